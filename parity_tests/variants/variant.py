"""A variant: right code that computes what one function of scratch computes, in another way that a competent user may choose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import wraps
from typing import Any
from unittest.mock import patch

from parity.case import ParityCase, did_you_mean, resolve
from parity.cases import CASES

VARIANTS: list[Variant] = []
CALLS: Counter[str] = Counter()  # of each variant, by its name


@dataclass(frozen=True)
class Variant:
    """Another way to compute one function of scratch.

    path       the function that it replaces: "ops.softmax", or "optim.Adam.update" for a method
    function   the function that replaces it; it takes the same arguments
    cases      the cases that call it with options that it supports
    """

    path: str
    function: Callable[..., Any]
    cases: tuple[ParityCase, ...]

    @property
    def name(self) -> str:
        """Return the name of the function."""
        return self.function.__name__


def variant(path: str, also: str = "", only: str = "*", but: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as a variant of the function at a path of scratch.

    also   names of cases of layers, models or other paths that use the function; they may hold * and ?
    only   names of those cases of the path itself that the variant supports; by default, all of them
    but    names of cases among them that it does not support
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        own = [case for case in CASES if path in (case.scratch, f"{case.scratch}.{path.rpartition('.')[2]}")]
        left_out = _named(but, own, function)
        cases = [*(case for case in _named(only, own, function) if case not in left_out), *_named(also, CASES, function)]
        if any(function.__name__ == other.name for other in VARIANTS):
            raise ValueError(f"two variants are called {function.__name__}, expected another name for one of them")
        VARIANTS.append(Variant(path, _counted(function), tuple(dict.fromkeys(cases))))
        return function

    return register


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def counted(*args: Any, **options: Any) -> Any:
        CALLS[function.__name__] += 1
        return function(*args, **options)

    return counted


def _named(patterns: str, cases: list[ParityCase] | tuple[ParityCase, ...], function: Callable[..., Any]) -> list[ParityCase]:
    """Return the cases whose name matches one of the patterns; raise ValueError where a pattern matches none."""
    found = []
    for pattern in patterns.split():
        matching = [case for case in cases if fnmatchcase(case.name, pattern)]
        if not matching and pattern != "*":
            hint = did_you_mean(pattern, [case.name for case in cases])
            raise ValueError(f"{function.__name__}: no case is called {pattern!r}, expected the name of a case{hint}")
        found += matching
    return found


@contextmanager
def replaced(path: str, function: Callable[..., Any]) -> Iterator[None]:
    """Let a path of scratch lead to another function, inside the block; everyone who imported an op calls the other one too."""
    place, _, name = path.rpartition(".")
    owner = resolve(place, "scratch")
    original = getattr(owner, name)
    if not hasattr(original, "__wrapped__"):  # a method, or a function that only its package calls
        with patch.object(owner, name, function):
            yield
        return
    kept = original.__closure__[original.__code__.co_freevars.index("function")]  # where the op's contract keeps its function
    before = kept.cell_contents
    try:
        kept.cell_contents = function
        yield
    finally:
        kept.cell_contents = before
