"""A comparison as data, and the lookup of its two sides."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from parity.inputs import Draw
from scratch.module import Array


@dataclass(frozen=True, eq=False)
class ParityCase:
    """A comparison of a twin in `scratch` with its twin in `reference`.

    name        the unique name of the case in tables and tests
    scratch     the dotted path inside the package under test: "ops.conv2d", "layers.Linear", "optim.SGD"
    inputs      a function that draws the inputs in the order of both twins' arguments: float64, integer and boolean arrays
    config      constructor arguments of a class or options of a function, the same for both twins; arrays become tensors
    reference   the dotted path inside `reference`, by default the same as `scratch`; or a path that starts with "torch."
    training    whether a module is in training mode
    constants   floating-point inputs without a gradient, such as class weights
    state       weights by name; if None, they are drawn
    scales      factors for drawn weights, by a part of their names; each factor is a power of 2
    family      the name of the table that holds the case
    """

    name: str
    scratch: str
    inputs: Callable[[Draw], dict[str, Any]]
    config: Mapping[str, Any] = field(default_factory=dict)
    _: KW_ONLY
    reference: str = ""
    training: bool = True
    constants: tuple[str, ...] = ()
    state: Mapping[str, Array] | None = None
    scales: Mapping[str, float] = field(default_factory=dict)
    family: str = ""

    def __post_init__(self) -> None:
        if "." not in self.scratch:
            raise ValueError(f"case {self.name!r}: scratch is {self.scratch!r}, expected a path such as 'ops.conv2d'")
        if not callable(self.inputs):
            raise ValueError(
                f"case {self.name!r}: inputs is {self.inputs!r}, expected a function that draws them; "
                "write the path of a torch function as reference=..."
            )
        if not self.reference:
            object.__setattr__(self, "reference", self.scratch)

    @property
    def folder(self) -> str:
        """Return the folder of the twins: "ops", "layers", "models" or "optim"; or the file, "generation"."""
        return self.scratch.split(".")[0]

    @property
    def has_backward(self) -> bool:
        """Return whether the twins are ops, layers or models; parts of training and text generation have no backward."""
        return self.folder not in ("optim", "generation")

    def in_eval_mode(self) -> ParityCase:
        """Return the same comparison of modules in eval mode."""
        return replace(self, name=f"{self.name}-eval", training=False)

    def with_each_reduction(self) -> list[ParityCase]:
        """Return the same comparison of a loss for each of its reductions."""
        reductions = ("mean", "sum", "none")
        return [replace(self, name=f"{self.name}-{r}", config={**self.config, "reduction": r}) for r in reductions]


class NotWrittenError(ValueError, NotImplementedError):
    """An error of a path at which a package has nothing yet; the message names the package and what it lacks."""


def resolve(path: str, package: str) -> Any:
    """Return the object at a dotted path inside a package; a path that starts with "torch." is an absolute one.

    Raise NotWrittenError where there is no such object, and ValueError where torch has none.
    """
    first, *names = path.split(".")
    place, lacking = (first, ValueError) if first == "torch" else (f"{package}.{first}", NotWrittenError)
    try:
        found: Any = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name != place:
            raise
        names_there = [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]
        raise lacking(f"{package} has no {first!r}, expected by the path {path!r}{did_you_mean(first, names_there)}") from None
    for name in names:
        if not hasattr(found, name):
            raise lacking(f"{place} has no {name!r}, expected by the path {path!r}{did_you_mean(name, dir(found))}")
        found, place = getattr(found, name), f"{place}.{name}"
    return found


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a question that offers the names that are most like the given one, or "" where none is like it."""
    close = get_close_matches(name, list(names), n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""
