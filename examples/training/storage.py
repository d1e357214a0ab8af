"""The directory that keeps a run: locked by one process, with the last checkpoint and the trained weights."""

from __future__ import annotations

import shlex
import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from examples.training.checkpoint import FILE, Checkpoint
from examples.training.console import writable
from examples.training.options import TrainingOptions
from parity.checkpoints.arrays import save_arrays
from parity.checkpoints.disk import held
from parity.weights import CONFIG, SAMPLES, WEIGHTS, save_model
from scratch.module import Array


class Storage:
    """The place where a run is saved, if it is saved at all.

    directory    where the run is saved; None if it is not saved
    checkpoint   the checkpoint to resume from, if there is one
    resume_with  the directory to give to --resume; a run that is a stage of another one has another directory
    """

    def __init__(self, options: TrainingOptions, resume_with: str | None = None):
        self.directory, self.resume_with = options.save, resume_with or options.save
        self._lock = ExitStack()  # until the run is finished or garbage
        weakref.finalize(self, self._lock.close)
        for directory in filter(None, (options.save, options.plots)):
            writable(directory)  # before the training, to save the user a wait
        if options.save:
            self._lock.enter_context(held(options.save))
        self.checkpoint = Checkpoint.load(options.resume) if options.resume else None
        if self.has_file() and not self.checkpoint:
            raise ValueError(f"{options.save} has a run already: resume it with --resume {options.save}, or name another directory")

    def has_file(self) -> bool:
        """Return whether the directory contains a checkpoint."""
        return self.directory is not None and (Path(self.directory) / FILE).exists()

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint; OSError, with advice, if that fails."""
        try:
            checkpoint.save(str(self.directory))
        except OSError as error:
            complete = f"the last checkpoint is complete: resume with --resume {self.resume_with}"
            advice = complete if self.has_file() else "nothing was saved"
            raise OSError(f"{self.directory}: step {checkpoint.step} could not be saved ({error.strerror}); {advice}") from error

    def save_trained(self, model: Any, config: dict[str, Any], samples: dict[str, Array]) -> None:
        """Save the trained model with a few inputs, and print how to verify it."""
        if not self.directory:
            return
        save_model(self.directory, model, config)
        save_arrays(f"{self.directory}/{SAMPLES}", samples)
        print(f"saved in {self.directory}: {FILE}, {CONFIG}, {WEIGHTS}, {SAMPLES}")
        print(f"verify the twins:  parity check --weights {shlex.quote(self.directory)}")

    def release(self) -> None:
        """Let other processes use the directory."""
        self._lock.close()
