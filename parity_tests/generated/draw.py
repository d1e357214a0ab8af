"""The draw of faults: a transformation, a function that it applies to, and a place in it, each with equal chances."""

from __future__ import annotations

import ast
import inspect
import random
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType

import scratch
from parity_tests.generated.sites import Function
from parity_tests.generated.transformations import TRANSFORMATIONS, Replacement
from parity_tests.mutation.mutator import Edit, Source
from parity_tests.mutation.subject import Mutant, Place, modules_of, subjects_of

LEFT_OUT = ("scratch.ops.definitions", "scratch.checks", "scratch.contract", "scratch.fast.cpus", "scratch.fast.memory")


@dataclass(frozen=True, eq=False)
class GeneratedFault:
    """One fault: its kind, the mutant that plants it, and the one that is grossly wrong at the same place, if there is one."""

    kind: str
    mutant: Mutant
    blunt: Mutant | None


def modules() -> list[ModuleType]:
    """Return the modules of scratch that compute something."""
    return [m for m in modules_of(scratch) if not m.__name__.startswith(LEFT_OUT) and not m.__name__.endswith("checks")]


def functions_of(found: Iterable[ModuleType], floats: Mapping[Place, Collection[str]]) -> list[Function]:
    """Return the functions of modules that some case runs; `floats` has their floating-point arguments."""
    functions = []
    for module in found:
        source = Source(inspect.getsource(module))
        subjects = (s for s in subjects_of(module) if s.place in floats and isinstance(s.node, ast.FunctionDef))
        functions += [Function(subject, source, floats[subject.place]) for subject in subjects]
    return functions


def draw(functions: Collection[Function], seed: int, count: int) -> list[GeneratedFault]:
    """Return `count` faults, one of each kind in turn, or all that there are; the same seed gives the same in the same code."""
    generator = random.Random(seed)
    left = {kind: [(f, found) for f in functions if (found := list(kind(f)))] for kind in TRANSFORMATIONS}
    faults: list[GeneratedFault] = []
    while len(faults) < count and any(left.values()):
        kinds = TRANSFORMATIONS[: count - len(faults)]
        drawn = [_drawn(kind.__name__.replace("_", " "), left[kind], generator) for kind in kinds if left[kind]]
        faults += [fault for fault in drawn if fault is not None]
    return faults


def _drawn(kind: str, left: list[tuple[Function, list[Replacement]]], generator: random.Random) -> GeneratedFault | None:
    """Take a replacement out of those that are left, and return its fault; None where it is no Python."""
    place = generator.randrange(len(left))
    function, replacements = left[place]
    chosen = replacements.pop(generator.randrange(len(replacements)))
    if not replacements:
        left.pop(place)
    planted, blunt = (_mutant(function, chosen.start, chosen.end, text) for text in (chosen.text, chosen.blunt))
    return None if planted is None else GeneratedFault(kind, planted, blunt)


def _mutant(function: Function, start: int, end: int, text: str) -> Mutant | None:
    """Return the mutant with this text; None where there is none, or where it is no Python."""
    if "np" not in function.module_names:
        text = text.replace("np.", "__import__('numpy').")
    edit = Edit("generated", start, end, text)
    try:
        ast.parse(function.source.edited(edit))
    except SyntaxError:
        return None
    return Mutant(function.subject, function.source, edit, 1) if text else None
