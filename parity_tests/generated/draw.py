"""The draw of faults: a transformation, a function that it applies to, and a place in it, each with equal chances."""

from __future__ import annotations

import ast
import inspect
import random
from collections.abc import Collection, Iterable, Mapping
from types import ModuleType

import scratch
from parity_tests.generated.sites import Function
from parity_tests.generated.transformations import TRANSFORMATIONS
from parity_tests.mutation.mutator import Edit, Source
from parity_tests.mutation.subject import Mutant, Place, modules_of, subjects_of

LEFT_OUT = ("scratch.ops.definitions", "scratch.checks", "scratch.contract", "scratch.fast.cpus", "scratch.fast.memory")


def modules() -> list[ModuleType]:
    """Return the modules of scratch that compute something."""
    return [m for m in modules_of(scratch) if not m.__name__.startswith(LEFT_OUT) and not m.__name__.endswith("checks")]


def functions_of(found: Iterable[ModuleType], floats: Mapping[Place, Collection[str]]) -> list[Function]:
    """Return the functions of modules that some case runs; `floats` has their floating-point arguments."""
    functions = []
    for module in found:
        source = Source(inspect.getsource(module))
        functions += [Function(s, source, floats[s.place]) for s in subjects_of(module) if s.place in floats]
    return functions


def draw(functions: list[Function], seed: int, count: int) -> list[Mutant]:
    """Return `count` faults, of each kind in turn; the same seed gives the same faults."""
    generator = random.Random(seed)
    faults: dict[tuple[str, int, str], Mutant] = {}
    kinds = {kind: [(f, edits) for f in functions if (edits := list(kind(f)))] for kind in TRANSFORMATIONS}
    while len(faults) < count:
        kind = TRANSFORMATIONS[len(faults) % len(TRANSFORMATIONS)]
        function, edits = generator.choice(kinds[kind])
        start, end, text = generator.choice(edits)
        if "np" not in function.module_names:
            text = text.replace("np.", "__import__('numpy').")
        edit = Edit(kind.__name__, start, end, text)
        mutant = Mutant(function.subject, function.source, edit, 1)
        if _compiles(function.source.edited(edit)):
            faults.setdefault((function.subject.file, start, text), mutant)
    return list(faults.values())


def _compiles(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True
