"""One training run of any task: its options, its steps, what it shows and saves, and how it goes on where it stopped."""

from __future__ import annotations

import argparse
import math
import shlex
import signal
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from checkpoint import FILE, Checkpoint, restore, snapshot
from comparison import HEADING, compared, compared_step
from console import InputError, Meter, Parser, at_least, device_problem, number, positive, refusing, result_line, writable
from objectives import IGNORED, Objective, cross_entropy
from resuming import elsewhere, resume, saved_options
from training import SCHEDULES, Backend, backend_for, learning_rate, new_model, noise

from parity.checkpoints.arrays import save_arrays
from parity.checkpoints.disk import held
from parity.running.device import rounding_environment
from parity.weights import CONFIG, WEIGHTS, refuse_unfit, save_model, set_state
from parity.weights import SAMPLES as SAMPLES_FILE
from scratch.module import Array, Module

# Options that may differ when a run is resumed: its losses do not depend on them, but for the last bits.
FREE = {
    *("backend", "backends", "compare", "device", "threads", "save", "resume", "plots", "known_data"),
    *("sample", "prompt", "temperature", "top_k", "top_p", "spell", "translate", "fill", "judge", "goal"),  # asked of it when done
}

HELD_OUT, SAMPLES, BATCHES, MASKS, CHANGES = range(5)  # what a generator is for: it begins at (seed, purpose, step)


class Task:
    """What is learnt: batches by their step, a score on held-out data, and something to show.

    unit       what the loss is the mean over: "character"
    nats       whether it is in nats a unit
    carries    whether the recurrent state goes on from one batch to the next
    options    what the run was started with
    """

    unit: str
    nats = True
    carries = False
    options: argparse.Namespace

    @property
    def objective(self) -> Objective:
        """What training makes small."""
        return cross_entropy(self.options.label_smoothing)

    def describe(self) -> str:
        """The data in one line."""
        raise NotImplementedError

    def vocabulary(self) -> dict[str, Any]:
        """The symbols that the numbers stand for, by name: strings or lists of strings."""
        raise NotImplementedError

    def batch(self, step: int) -> tuple[Any, ...]:
        """The inputs and labels of a step, which depend on nothing but the step and the seed."""
        raise NotImplementedError

    def size(self, batch: tuple[Any, ...]) -> int:
        """How many units a batch has: labels that count."""
        return int((batch[-1] != IGNORED).sum())

    def begins_anew(self, step: int) -> bool:
        """Whether no state comes from the step before."""
        return True

    def validate(self, backend: Backend) -> dict[str, float]:
        """Scores on held-out data by name: the "loss" and shares from 0 to 1."""
        raise NotImplementedError

    def show(self, backend: Backend, step: int) -> list[str]:
        """A few lines that the model writes or answers, after so many steps."""
        raise NotImplementedError

    def samples(self) -> dict[str, Array]:
        """A few inputs of the model by name, on which `parity check` compares the twins."""
        raise NotImplementedError


def add_options(parser: Parser, data: str, defaults: Mapping[str, Any], known: Sequence[str], own_file: bool = False) -> None:
    """The options that every run has; those that its losses depend on get their defaults in `parsed`.

    `known` names the data there is; `own_file` allows a file beside it.
    """
    parser.set_defaults(known_data=tuple(known))
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--backend", choices=("numpy", "torch"), default="numpy", help="who trains (default: numpy)")
    which.add_argument("--compare", action="store_true", help="train both side by side and print how far their losses differ")
    parser.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu", help="where PyTorch computes (default: cpu)")
    parser.add_argument("--dtype", choices=("float32", "float64"), help="default: float32")
    parser.add_argument("--data", choices=None if own_file else known, metavar="NAME", help=data)
    length = parser.add_mutually_exclusive_group()
    if "epochs" in defaults:
        by_epochs = f"passes over the data (default: {defaults['epochs']}, by the data)"
        length.add_argument("--epochs", type=at_least(0), metavar="N", help=by_epochs)
    by_steps = f" (default: {defaults['steps']}, by the data)" if "steps" in defaults else ""
    length.add_argument("--steps", type=at_least(0), metavar="N", help=f"batches to train on{by_steps}")
    parser.add_argument("--batch", type=at_least(1), metavar="N", help=f"examples a step (default: {defaults['batch']})")
    parser.add_argument("--lr", type=positive, help=f"the highest learning rate of the run (default: {defaults['lr']:g})")
    course = "of the learning rate after its warm-up (default: cosine)"
    parser.add_argument("--schedule", choices=SCHEDULES, help=course)
    smoothing = "the share of each target that goes to all classes alike (default: 0)"
    parser.add_argument("--label-smoothing", type=number(0, below=1), metavar="P", help=smoothing)
    dropout = f"the share of values that are zeroed in training (default: {defaults['dropout']:g})"
    parser.add_argument("--dropout", type=number(0, below=1), metavar="P", help=dropout)
    parser.add_argument("--seed", type=at_least(0), metavar="N", help="default: 0")
    every = f"take stock every N steps (default: {defaults.get('every', 'a pass')})"
    parser.add_argument("--every", type=at_least(1), metavar="N", help=every)
    parser.add_argument("--save", metavar="DIR", help="keep the run, to go on with --resume, and its weights")
    parser.add_argument(
        "--resume", metavar="DIR", help="go on where the run in DIR stopped, with its options; --steps N makes it longer"
    )
    parser.add_argument("--plots", metavar="DIR", help="draw what the run came to")


def parsed(
    parser: Parser, argv: Sequence[str] | None, defaults: Callable[[argparse.Namespace], Mapping[str, Any]]
) -> argparse.Namespace:
    """The options, found to fit together: those given, else those of the run that is resumed, else the defaults for both."""
    options = parser.parse_args(argv)
    options.backends = ("numpy", "torch") if options.compare else (options.backend,)
    if options.resume:
        if options.save:
            parser.error("--resume DIR goes on saving in DIR: leave --save out")
        with refusing():
            resume(parser, options, FREE)
        options.save = options.resume
    first = {"dtype": "float32", "seed": 0, "schedule": "cosine", "label_smoothing": 0.0}
    for name, value in (first | dict(defaults(options))).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    problem = device_problem(options.backends[-1], options.device, options.dtype)
    if problem:
        parser.error(problem)
    if options.compare and options.save:
        parser.error("--compare trains two models and a run that is saved has one: leave out either")
    return options


def in_passes(options: argparse.Namespace, examples: int) -> None:
    """Count the steps of a run, and those from one stock-taking to the next, in passes over so many examples."""
    a_pass = max(1, examples // options.batch)
    if options.steps is None:
        options.steps = options.epochs * a_pass
    if options.every is None:
        options.every = a_pass


class Run:
    """A training run: its task, its backends and what it has come through.

    `rates` are those of parts of the model, as shares of the learning rate: see training.parameter_groups. `prepare` changes the
    NumPy model, of initial weights, that the run begins with.
    """

    def __init__(
        self,
        task: Task,
        model: str,
        config: Mapping[str, Any],
        options: argparse.Namespace,
        rates: Mapping[str, float] | None = None,
        prepare: Callable[[Any], None] = lambda model: None,
    ):
        self.task, self.model, self.config, self.options = task, model, dict(config), options
        self.directory = options.save  # that is to be named to go on
        self.step, self.saved_steps = 0, options.steps
        self._held = ExitStack()  # the directory, until the run is finished, or is no more
        weakref.finalize(self, self._held.close)
        self.losses: list[Sequence[float]] = []  # of every step, one a backend
        self.scores: list[Sequence[float]] = []  # steps, and after them the held-out loss and the other scores
        with refusing():
            for directory in filter(None, (options.save, options.plots)):
                writable(directory)  # to be known before the training, not after it
            if options.save:
                self._held.enter_context(held(options.save))
            checkpoint = Checkpoint.load(options.resume) if options.resume else None
            if options.save and not checkpoint and (Path(options.save) / FILE).exists():
                raise ValueError(
                    f"{options.save} keeps a run already: go on with --resume {options.save}, or name another directory"
                )
            twin = self._fresh(checkpoint, prepare)
            self.backends = [backend_for(name, twin, self.config, options.device, rates) for name in options.backends]
            if checkpoint:
                self._go_on_from(checkpoint)
        self._elsewhere = checkpoint.environment if checkpoint else {}
        parameters = sum(parameter.data.size for parameter in twin.parameters())
        where = " and ".join(f"{backend.name} on {backend.device}" for backend in self.backends)
        print(f"{model} of {parameters:,} parameters in {options.dtype}: {where}")
        print(task.describe())
        if checkpoint:
            print(f"{options.resume}: {self.step:,} of {options.steps:,} steps are done")

    def train(self) -> dict[str, Any]:
        """Take the steps that are left; what the result line says."""
        options, unit, start = self.options, self.task.unit, time.perf_counter()
        if self.step < options.steps:
            self._say_what_is_new()
        if options.compare:
            print(HEADING)
        validation: dict[str, float] = {}
        with Meter(options.steps, f"{unit}s", f" nats/{unit}" if self.task.nats else "") as meter, stopping() as stopped:
            meter.begin("training", self.step)
            while self.step < options.steps:
                self._one_step(meter)
                due = self.step % options.every == 0 or self.step == options.steps
                if options.compare:
                    if self.step == 1 or self.step % math.ceil(options.steps / 20) == 0:
                        print(compared_step(self.step, self.losses[-1]))
                elif due:
                    validation = self._take_stock(meter)
                    meter.begin("training", self.step)
                if stopped():
                    self._stop(saved=due)
        seconds = round(time.perf_counter() - start, 1)
        ran = dict(steps=self.step, seconds=seconds, dtype=options.dtype, data=options.data, seed=options.seed)
        if options.compare:
            return compared(np.array(self.losses)) | ran | {"device": options.device}
        scores = {f"held_out_{name}": value for name, value in (validation or self.task.validate(self.backends[0])).items()}
        return scores | ran | {"backend": options.backend, "device": options.device}

    def finish(self, result: Mapping[str, Any], *drawn: str) -> None:
        """Keep the run, say what is drawn and print the result line."""
        self.keep()
        self._held.close()
        if drawn:
            print(f"drawn in {self.options.plots}: {', '.join(drawn)}")
        print(result_line(**result))

    def keep(self) -> None:
        """Save the model, where it is to be saved, and say what can be done with it."""
        directory = self.options.save
        if directory:
            save_model(directory, self.backends[0].model, self.config)
            save_arrays(f"{directory}/{SAMPLES_FILE}", self.task.samples())
            print(f"saved in {directory}: {FILE}, {CONFIG}, {WEIGHTS}, {SAMPLES_FILE}")
            print(f"verify the twins:  parity check --weights {shlex.quote(directory)}")

    def _fresh(self, checkpoint: Checkpoint | None, prepare: Callable[[Any], None]) -> Module:
        """The NumPy model with the weights that the run begins or goes on with."""
        if checkpoint and checkpoint.model != self.model:
            raise ValueError(f"{self.options.resume}: expected the run of a {self.model}, found that of a {checkpoint.model}")
        if checkpoint and checkpoint.vocabulary != self.task.vocabulary():
            sizes = [{name: len(symbols) for name, symbols in v.items()} for v in (self.task.vocabulary(), checkpoint.vocabulary)]
            raise ValueError(
                f"{self.options.resume}: the data has another vocabulary than it was trained on, {sizes[0]} for {sizes[1]}; "
                "give it the text that it was trained on"
            )
        if checkpoint:  # before memory is taken for what it says
            shapes = {name: array.shape for name, array in checkpoint.part("model").items()}
            refuse_unfit(f"{self.options.resume}: its options", self.model, self.config, shapes)
        model = new_model(self.model, self.config, self.options.seed, self.options.dtype)
        if checkpoint:
            set_state(model, checkpoint.part("model"))
        else:
            prepare(model)
        return model

    def _go_on_from(self, checkpoint: Checkpoint) -> None:
        """Take on what a checkpoint has; ValueError where it does not fit this run."""
        options, backend = self.options, self.backends[0]
        if checkpoint.step > options.steps:
            raise ValueError(
                f"--steps {options.steps}: the run in {options.resume} has {checkpoint.step} behind it; expected no less"
            )
        restore(backend, checkpoint, self._state_after(checkpoint.step))
        history = checkpoint.part("history")
        self.step, self.losses, self.scores = checkpoint.step, list(history["losses"]), list(history["scores"])
        self.saved_steps = checkpoint.options.get("steps")

    def _state_after(self, step: int) -> list[Array]:
        """A recurrent state like the one that is carried on after so many steps."""
        backend = self.backends[0]
        if step and self.task.carries:
            backend.score(*self.task.batch(step), carry=True, objective=self.task.objective)
        state = backend.carried()
        backend.carry([])
        return state

    def _say_what_is_new(self) -> None:
        """Say in what the run goes on otherwise than it was saved, and save a new length before anything can happen to it."""
        options = self.options
        if self.saved_steps != options.steps:
            print(
                f"{options.steps:,} steps instead of {self.saved_steps:,}: from here on the learning rate is that of so long a run"
            )
            self._save()
        difference = elsewhere(options.resume, self._elsewhere, self._environment())
        if difference:
            print(difference)

    def _environment(self) -> dict[str, str]:
        """What the last bits of the losses depend on."""
        backend = self.backends[0]
        return rounding_environment() | {"backend": backend.name, "device": backend.device}

    def _one_step(self, meter: Meter) -> None:
        """Train every backend on the batch of this step."""
        options, task = self.options, self.task
        batch = task.batch(self.step)
        lr = learning_rate(options.schedule, options.steps, options.lr)(self.step)
        losses, accuracies = [], []
        for backend in self.backends:
            if task.carries and task.begins_anew(self.step):
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

    def _take_stock(self, meter: Meter) -> dict[str, float]:
        """Validate, show and save; the scores on held-out data."""
        backend, news = self.backends[0], meter.news()
        scores = self.task.validate(backend)
        self.scores.append((self.step, *scores.values()))
        held_out = "  ".join(f"{name.replace('_', ' ')} {_shown(name, value)}" for name, value in scores.items())
        print(f"step {self.step:5}/{self.options.steps}  {news}  held out: {held_out}", flush=True)
        for line in self.task.show(backend, self.step):
            print(f"    {line}")
        if self.options.save:
            self._save()
        return scores

    def _save(self) -> None:
        options = saved_options(self.options, FREE)
        arrays = snapshot(self.backends[0], {"losses": np.array(self.losses), "scores": np.array(self.scores)})
        last = Checkpoint(self.step, options, self.model, self.config, self.task.vocabulary(), arrays, self._environment())
        try:
            last.save(self.options.save)
        except OSError as error:
            whole = (Path(self.options.save) / FILE).exists()
            hint = f"the last checkpoint is whole: go on with --resume {self.directory}" if whole else "nothing was saved"
            raise OSError(f"{self.options.save}: step {self.step} could not be saved ({error.strerror}); {hint}") from error

    def _stop(self, saved: bool) -> None:
        """End an interrupted run after a whole step."""
        if self.options.save:
            if not saved:
                self._save()
            self.keep()
            where = shlex.quote(self.directory)
            print(f"stopped after step {self.step}; go on with: python {sys.argv[0]} --resume {where}", file=sys.stderr)
        raise KeyboardInterrupt


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Inside the block the first Ctrl-C only makes the function that comes out say so; the second interrupts."""
    asked = False

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)

    try:
        before = signal.signal(signal.SIGINT, ask)
    except ValueError:  # not in the main thread, where no signal comes
        yield lambda: False
        return
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def _shown(name: str, value: float) -> str:
    return f"{value:.4f}" if name == "loss" else f"{value:.2%}"
