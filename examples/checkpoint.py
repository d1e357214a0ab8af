"""Everything that a training run goes on from, in one file that is whole at every moment.

The file holds the weights, what the optimiser keeps, the recurrent state that is carried on, the losses so far, and as
metadata the step and what the run was started with. Batches, masks and samples are drawn by generators that begin anew from
(seed, step), so that the step is their state too. Either backend goes on from what the other saved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from training import Backend

from parity.weights import get_state, load_arrays, load_metadata, save_arrays
from scratch.module import Array

FILE = "checkpoint.safetensors"


@dataclass
class Checkpoint:
    """A run after some steps.

    options     what the run was started with, by name: everything that its losses depend on
    model       the class of the model
    config      the arguments that built it
    vocabulary  the symbols that its numbers stand for, by name
    arrays      "model.NAME", "optimizer.NUMBER.NAME", "state.NUMBER" and "history.NAME"
    """

    step: int
    options: dict[str, Any]
    model: str
    config: dict[str, Any]
    vocabulary: dict[str, Any]
    arrays: dict[str, Array]

    def part(self, name: str) -> dict[str, Array]:
        """The arrays whose names begin with this word, without it."""
        return {key.removeprefix(f"{name}."): array for key, array in self.arrays.items() if key.startswith(f"{name}.")}

    def save(self, directory: str | Path) -> None:
        """Put it in place of the last one, once it is written whole."""
        for half_written in Path(directory).glob(f".{FILE}.*"):  # left by a kill
            half_written.unlink()
        described = {name: getattr(self, name) for name in ("step", "options", "model", "config", "vocabulary")}
        save_arrays(Path(directory) / FILE, self.arrays, {"checkpoint": json.dumps(described)})

    @classmethod
    def load(cls, directory: str | Path) -> Checkpoint:
        """Read a directory's checkpoint; ValueError where there is none, or something else."""
        path = Path(directory) / FILE
        if not path.is_file():
            raise ValueError(f"{directory}: expected the directory of a run that was started with --save, with {FILE} in it")
        arrays = load_arrays(path)
        with suppress(KeyError, TypeError, json.JSONDecodeError):
            return cls(**json.loads(load_metadata(path)["checkpoint"]), arrays=arrays)
        raise ValueError(f"{path}: expected a checkpoint, found a safetensors file of another kind")


def snapshot(backend: Backend, history: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of a backend and of what it has come through."""
    arrays = {f"model.{name}": array for name, array in get_state(backend.model).items()}
    for number, kept in backend.optimizer_state().items():
        arrays |= {f"optimizer.{number}.{name}": array for name, array in kept.items()}
    arrays |= {f"state.{number}": array for number, array in enumerate(backend.carried())}
    return arrays | {f"history.{name}": array for name, array in history.items()}


def restore(backend: Backend, checkpoint: Checkpoint) -> None:
    """Put a backend, whose model has the checkpoint's weights already, where the run stopped."""
    kept: dict[int, dict[str, Array]] = {}
    for key, array in checkpoint.part("optimizer").items():
        number, name = key.split(".", 1)
        kept.setdefault(int(number), {})[name] = array
    backend.load_optimizer_state(kept)
    state = checkpoint.part("state")
    backend.carry([np.asarray(state[str(number)]) for number in range(len(state))])
