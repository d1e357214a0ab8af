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


def resolve(path: str, package: str) -> Any:
    """The object at a dotted path inside a package, or at an absolute one that starts with "torch."."""
    names = path.split(".")
    found: Any = importlib.import_module(names[0] if names[0] == "torch" else f"{package}.{names[0]}")
    for name in names[1:]:
        found = getattr(found, name)
    return found
