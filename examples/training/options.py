"""The options of a training run: a frozen dataclass, whose fields are the options of the command line.

A script adds options of its own in a subclass. There it also gives an inherited option another default:

    @dataclass(frozen=True, kw_only=True)
    class Options(TrainingOptions):
        steps: int = 400
        hidden: int = option(128, at_least(1), "width of a layer (default: 128)")
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Self

from examples.training.console import Parser, at_least, device_problem, number, positive, refusing
from examples.training.resuming import Saved, resumed
from examples.training.schedule import SCHEDULES

OWN_FILE = "a file"  # is saved in place of the name of the user's own text


def option(
    default: Any, parse: Callable[[str], Any] = str, help: str = "", may_differ: bool = False, exclusive: str = "", **argument: Any
) -> Any:
    """Declare an option of the command line.

    may_differ   a run may be resumed with another value, since its losses do not depend on it; it is not saved
    exclusive    the name of a group of options of which only one may be given
    argument     further arguments of argparse's add_argument
    """
    given = argument | {"help": help} | ({} if argument.get("action") == "store_true" else {"type": parse})
    return field(default=default, metadata={"argument": given, "may_differ": may_differ, "exclusive": exclusive})


def data_option(default: str, names: Sequence[str], help: str, own_file: bool = False) -> Any:
    """Declare the option --data: one of some names, or also a file of the user."""
    chosen = option(default, str, help, metavar="NAME", choices=None if own_file else tuple(names))
    return field(default=default, metadata={**chosen.metadata, "names": tuple(names)})


def asked_option(parse: Callable[[str], Any], metavar: str, help: str) -> Any:
    """Declare a question to the trained model; it may be given several times."""
    return option((), parse, f"{help}; may be given several times", may_differ=True, action="append", metavar=metavar)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options that every training run has. A run by passes over the data gives `epochs` a default."""

    backend: str = option(
        "numpy",
        str,
        "the backend that trains (default: numpy)",
        may_differ=True,
        exclusive="backend",
        choices=("numpy", "torch"),
    )
    compare: bool = option(
        False,
        bool,
        "train both side by side and print how far their losses differ",
        may_differ=True,
        exclusive="backend",
        action="store_true",
    )
    device: str = option("cpu", str, "where PyTorch computes (default: cpu)", may_differ=True, choices=("cpu", "cuda", "mps"))
    dtype: str = option("float32", str, "default: float32", choices=("float32", "float64"))
    data: str
    epochs: int | None = option(
        None, at_least(0), "passes over the data (default: {epochs}, by the data)", exclusive="length", metavar="N"
    )
    steps: int = option(0, at_least(0), "batches to train on (default: {steps})", exclusive="length", metavar="N")
    batch: int = option(0, at_least(1), "examples a step (default: {batch})", metavar="N")
    lr: float = option(0.0, positive, "the highest learning rate of the run (default: {lr:g})")
    schedule: str = option(
        "cosine", str, "how the learning rate changes after its warm-up (default: {schedule})", choices=SCHEDULES
    )
    label_smoothing: float = option(
        0.0,
        number(0, below=1),
        "the share of each target that is spread over all classes (default: {label_smoothing:g})",
        metavar="P",
    )
    dropout: float = option(
        0.0, number(0, below=1), "the share of values that dropout sets to zero (default: {dropout:g})", metavar="P"
    )
    seed: int = option(0, at_least(0), "default: 0", metavar="N")
    every: int = option(0, at_least(1), "score, report and save every N steps (default: {every})", metavar="N")
    save: str | None = option(None, str, "save the run, for --resume, and its weights", may_differ=True, metavar="DIR")
    resume: str | None = option(
        None, str, "resume the run in DIR, with its options; --steps N makes it longer", may_differ=True, metavar="DIR"
    )
    plots: str | None = option(None, str, "draw plots of the run", may_differ=True, metavar="DIR")

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends that train, by name."""
        return ("numpy", "torch") if self.compare else (self.backend,)

    def dependent_defaults(self) -> Mapping[str, Any]:
        """Return the defaults that depend on other options, such as the data or the model."""
        return {}

    def problem(self) -> str:
        """Return why these options do not fit together, in one line; "" if they do."""
        if self.compare and self.save:
            return "--compare trains two models and a run that is saved has one: leave out either"
        return device_problem(self.backends[-1], self.device, self.dtype)

    def in_steps(self, examples: int) -> Self:
        """Count the length of the run, and of its reports, in steps instead of passes over so many examples."""
        one_pass = max(1, examples // self.batch)
        steps = self.steps if self.epochs is None else self.epochs * one_pass
        return replace(self, steps=steps, epochs=None, every=self.every or one_pass)

    @classmethod
    def parse(cls, argv: Sequence[str] | None = None, description: str | None = "") -> Self:
        """Read the command line: options not given are those of the run that is resumed, else the defaults."""
        parser = Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        cls._add_arguments(parser)
        given = _given(parser.parse_args(argv))
        if "resume" in given:
            if "save" in given:
                parser.error("--resume DIR continues to save in DIR: leave --save out")
            with refusing():
                given |= resumed(parser, given, cls._saved())
            given["save"] = given["resume"]
        if "steps" in given:
            given["epochs"] = None
        options = cls(**{**cls(**given).dependent_defaults(), **given})
        problem = options.problem()
        if problem:
            parser.error(problem)
        return options

    def to_save(self) -> dict[str, Any]:
        """Return the options that a checkpoint keeps: those that the losses depend on, without the name of a file."""
        saved = self._saved()
        return {name: getattr(self, name) for name in saved.names} | {"data": self.data if self.data in saved.data else OWN_FILE}

    @classmethod
    def _saved(cls) -> Saved:
        """Return the names of the options that are saved, and the data that has a name."""
        declared = cls._declared()
        names = (name for name, metadata in declared.items() if not metadata["may_differ"] and name != "epochs")
        return Saved(tuple(names), declared["data"]["names"])

    @classmethod
    def _declared(cls) -> dict[str, Mapping[str, Any]]:
        """Return how each option is declared, by name. A subclass that only changes a default has no declaration."""
        found: dict[str, Mapping[str, Any]] = {each.name: {} for each in fields(cls)}
        for kind in filter(is_dataclass, reversed(cls.__mro__)):
            found |= {each.name: each.metadata for each in fields(kind) if each.metadata}
        undeclared = [name for name, metadata in found.items() if not metadata]
        if undeclared:
            raise TypeError(f"{cls.__qualname__}: expected {', '.join(undeclared)} to be declared with option(...)")
        return found

    @classmethod
    def _add_arguments(cls, parser: Parser) -> None:
        """Add every option to a parser, without a default: what is not given stays None."""
        defaults: dict[str, Any] = {each.name: each.default for each in fields(cls)}
        by_passes = defaults["epochs"] is not None
        shown = defaults | dict(
            steps="those of --epochs" if by_passes else f"{defaults['steps']}, by the data",
            every="a pass" if by_passes else defaults["every"],
        )
        groups: dict[str, Any] = {}
        for name, metadata in cls._declared().items():
            if name == "epochs" and not by_passes:
                continue
            exclusive = metadata["exclusive"]
            if exclusive and exclusive not in groups:
                groups[exclusive] = parser.add_mutually_exclusive_group()
            argument = {**metadata["argument"], "help": metadata["argument"]["help"].format(**shown), "default": None}
            groups.get(exclusive, parser).add_argument(f"--{name.replace('_', '-')}", **argument)


def _given(parsed: argparse.Namespace) -> dict[str, Any]:
    """Return the options that are given; the number of threads is set already."""
    found = {name: value for name, value in vars(parsed).items() if value is not None and name != "threads"}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
