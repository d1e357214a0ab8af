"""A training run of any task: its steps, its reports, and how it resumes."""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from examples.training.backend import noise
from examples.training.checkpoint import Checkpoint, restore, snapshot
from examples.training.comparison import HEADING, compared, compared_step
from examples.training.console import InputError, refusing
from examples.training.interrupt import stopping
from examples.training.models import backend_for, new_model
from examples.training.progress import Meter, result_line
from examples.training.resuming import environment_change
from examples.training.schedule import learning_rate
from examples.training.storage import Storage
from examples.training.task import MASKS, Task
from parity.running.device import rounding_environment
from parity.weights import refuse_unfit, set_state
from scratch.module import Array, Module


class Run:
    """A training run: a task, one or two backends, and the losses and scores so far.

    losses   of every step, one for each backend
    scores   of every report: the step, the held-out loss and the other scores
    """

    def __init__(
        self,
        task: Task,
        model: str,
        config: Mapping[str, Any],
        rates: Mapping[str, float] | None = None,
        prepare: Callable[[Any], None] = lambda model: None,
        resume_with: str | None = None,
    ):
        """Start or resume a run of a model class.

        `rates` are learning rates of submodules, see backend_for. `prepare` may change the new NumPy model. `resume_with` is the
        directory that --resume takes, if it is not the one of this run.
        """
        options = task.options
        self.task, self.model, self.config, self.options = task, model, dict(config), options
        self.step, self.saved_steps = 0, options.steps
        self.losses: list[Sequence[float]] = []
        self.scores: list[Sequence[float]] = []
        with refusing():
            self.storage = Storage(options, resume_with)
            checkpoint = self.storage.checkpoint
            twin = self._saved_model(checkpoint) if checkpoint else new_model(model, config, options.seed, options.dtype)
            if not checkpoint:
                prepare(twin)
            self.backends = [backend_for(name, twin, self.config, options.device, rates) for name in options.backends]
            if checkpoint:
                self._restore(checkpoint)
        parameters = sum(parameter.data.size for parameter in twin.parameters())
        where = " and ".join(f"{backend.name} on {backend.device}" for backend in self.backends)
        print(f"{model} of {parameters:,} parameters in {options.dtype}: {where}")
        print(task.describe())
        if checkpoint:
            print(f"{options.resume}: {self.step:,} of {options.steps:,} steps are done")

    def train(self) -> dict[str, Any]:
        """Train for the remaining steps and return the values of the result line."""
        options, unit, start = self.options, self.task.unit, time.perf_counter()
        if self.step < options.steps:
            self._print_changes()
        if options.compare:
            print(HEADING)
        scores: dict[str, float] = {}
        with Meter(options.steps, f"{unit}s", f" nats/{unit}" if self.task.nats else "") as meter, stopping() as stopped:
            meter.begin("training", self.step)
            while self.step < options.steps:
                self._one_step(meter)
                due = self.step % options.every == 0 or self.step == options.steps
                if options.compare:
                    if self.step == 1 or self.step % math.ceil(options.steps / 20) == 0:
                        print(compared_step(self.step, self.losses[-1]))
                elif due:
                    scores = self._report(meter)
                    meter.begin("training", self.step)
                if stopped():
                    self._stop(saved=due)
        seconds = round(time.perf_counter() - start, 1)
        ran = dict(steps=self.step, seconds=seconds, dtype=options.dtype, data=options.data, seed=options.seed)
        if options.compare:
            return compared(np.array(self.losses)) | ran | {"device": options.device}
        scores = scores or self.task.validate(self.backends[0])
        held_out = {f"held_out_{name}": value for name, value in scores.items()}
        return held_out | ran | {"backend": options.backend, "device": options.device}

    def finish(self, result: Mapping[str, Any], *plots: str) -> None:
        """Save the trained model, print the names of the plots, and print the result line."""
        self.save_trained()
        self.storage.release()
        if plots:
            print(f"drawn in {self.options.plots}: {', '.join(plots)}")
        print(result_line(**result))

    def save_trained(self) -> None:
        """Save the trained model if the run is saved, and print how to verify it."""
        self.storage.save_trained(self.backends[0].model, self.config, self.task.samples())

    def _saved_model(self, checkpoint: Checkpoint) -> Module:
        """Return the NumPy model with the weights of a checkpoint; ValueError if it is not of this run."""
        options = self.options
        if checkpoint.model != self.model:
            raise ValueError(f"{options.resume}: expected the run of a {self.model}, found that of a {checkpoint.model}")
        if checkpoint.vocabulary != self.task.vocabulary():
            sizes = [{name: len(symbols) for name, symbols in v.items()} for v in (self.task.vocabulary(), checkpoint.vocabulary)]
            raise ValueError(
                f"{options.resume}: the data has another vocabulary than the run was trained on, {sizes[0]} instead of {sizes[1]}; "
                "give it the text that it was trained on"
            )
        shapes = {name: array.shape for name, array in checkpoint.part("model").items()}
        refuse_unfit(f"{options.resume}: its options", self.model, self.config, shapes)  # before memory is allocated
        model = new_model(self.model, self.config, options.seed, options.dtype)
        set_state(model, checkpoint.part("model"))
        return model

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Continue at the step of a checkpoint; ValueError if it does not fit this run."""
        if checkpoint.step > self.options.steps:
            raise ValueError(
                f"--steps {self.options.steps}: the run in {self.options.resume} is already at step {checkpoint.step}; "
                "expected at least as many"
            )
        restore(self.backends[0], checkpoint, self._state_after(checkpoint.step))
        history = checkpoint.part("history")
        self.step, self.losses, self.scores = checkpoint.step, list(history["losses"]), list(history["scores"])
        self.saved_steps = checkpoint.options["steps"]

    def _state_after(self, step: int) -> list[Array]:
        """Return a recurrent state with the shapes and dtypes of the one that is carried on after so many steps."""
        backend = self.backends[0]
        if step and self.task.carries:
            backend.score(*self.task.batch(step), carry=True, objective=self.task.objective)
        state = backend.carried()
        backend.carry([])
        return state

    def _print_changes(self) -> None:
        """Print how the run differs from the one that was saved, and save a new length before the first step."""
        options, checkpoint = self.options, self.storage.checkpoint
        if self.saved_steps != options.steps:
            print(
                f"{options.steps:,} steps instead of {self.saved_steps:,}: from here on the learning rate is that of the longer run"
            )
            self._save()
        change = environment_change(options.resume, checkpoint.environment, self._environment()) if checkpoint else ""
        if change:
            print(change)

    def _environment(self) -> dict[str, str]:
        """Return everything that the last bits of the losses depend on."""
        backend = self.backends[0]
        return rounding_environment() | {"backend": backend.name, "device": backend.device}

    def _one_step(self, meter: Meter) -> None:
        """Train every backend on the batch of this step."""
        options, task = self.options, self.task
        batch = task.batch(self.step)
        lr = learning_rate(options.schedule, options.steps, options.lr)(self.step)
        losses, accuracies = [], []
        for backend in self.backends:
            if task.carries and task.resets_state(self.step):
                backend.carry([])
            with noise(options.seed, MASKS, self.step), np.errstate(over="ignore", invalid="ignore"):
                loss, accuracy = backend.step(*batch, lr=lr, clip=1.0, carry=task.carries, objective=task.objective)
            losses.append(loss)
            accuracies.append(accuracy)
        self.step += 1
        self.losses.append(losses)
        if not np.isfinite(losses).all():
            raise InputError(f"the loss is {max(losses)} at step {self.step}: --lr {options.lr:g} is too high")
        meter.step(task.size(batch), losses[0], accuracies[0])

    def _report(self, meter: Meter) -> dict[str, float]:
        """Print the scores on held-out data and examples, save the run, and return the scores."""
        backend, news = self.backends[0], meter.news()
        scores = self.task.validate(backend)
        self.scores.append((self.step, *scores.values()))
        held_out = "  ".join(f"{name.replace('_', ' ')} {_shown(name, value)}" for name, value in scores.items())
        print(f"step {self.step:5}/{self.options.steps}  {news}  held out: {held_out}", flush=True)
        for line in self.task.show(backend, self.step):
            print(f"    {line}")
        self._save()
        return scores

    def _save(self) -> None:
        """Save the run as it is, if it is saved at all."""
        if not self.storage.directory:
            return
        arrays = snapshot(self.backends[0], {"losses": np.array(self.losses), "scores": np.array(self.scores)})
        options, vocabulary = self.options.to_save(), self.task.vocabulary()
        environment = self._environment()
        self.storage.save(Checkpoint(self.step, options, self.model, self.config, vocabulary, arrays, environment))

    def _stop(self, saved: bool) -> None:
        """End an interrupted run after a whole step, and print how to resume it."""
        if self.storage.directory:
            if not saved:
                self._save()
            self.save_trained()
            where = shlex.quote(str(self.storage.resume_with))
            print(f"stopped after step {self.step}; resume with: python {sys.argv[0]} --resume {where}", file=sys.stderr)
        raise KeyboardInterrupt


def _shown(name: str, value: float) -> str:
    return f"{value:.4f}" if name == "loss" else f"{value:.2%}"
