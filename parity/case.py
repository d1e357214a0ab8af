"""What is compared, as data."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from parity.inputs import Draw
from scratch.module import Array


@dataclass(frozen=True, eq=False)
class ParityCase:
    """One comparison of a twin of `scratch` with its twin of `reference`.

    name        what it is called in tables and tests; unique
    scratch     dotted path inside the package under test: "ops.conv2d", "layers.Linear", "models.CNN"
    reference   dotted path inside reference, or an absolute one that starts with "torch."
    inputs      draws the inputs, in the order in which both twins take them, as float64, integer and boolean arrays
    config      a class's constructor arguments or a function's options, the same for both; arrays become tensors
    training    the mode that a module is put in
    constants   inputs that have no gradient although they are floating-point, such as class weights
    state       weights by name; None draws them
    scales      factors of weights that are drawn, by a part of their names; powers of 2
    family      the table that holds the case
    """

    name: str
    scratch: str
    reference: str
    inputs: Callable[[Draw], dict[str, Any]]
    config: Mapping[str, Any] = field(default_factory=dict)
    training: bool = True
    constants: tuple[str, ...] = ()
    state: Mapping[str, Array] | None = None
    scales: Mapping[str, float] = field(default_factory=dict)
    family: str = ""

    def in_eval_mode(self) -> ParityCase:
        """The same comparison of modules in eval mode."""
        return replace(self, name=f"{self.name}-eval", training=False)


class NotWrittenError(ValueError, NotImplementedError):
    """An error of a path at which a package has nothing yet; the message names the package and what it lacks."""


def resolve(path: str, package: str) -> Any:
    """Return the object at a dotted path inside a package; a path that starts with "torch." is an absolute one.

    Raise NotWrittenError where there is no such object.
    """
    first, *names = path.split(".")
    place = first if first == "torch" else f"{package}.{first}"
    try:
        found: Any = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name != place:
            raise
        raise NotWrittenError(f"{package} has no {first}") from None
    for name in names:
        if not hasattr(found, name):
            raise NotWrittenError(f"{place} has no {name}")
        found, place = getattr(found, name), f"{place}.{name}"
    return found
