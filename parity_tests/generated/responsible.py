"""The functions and classes that a fault in a function makes wrong themselves: it, and what calls it without a module between."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import CodeType, ModuleType
from typing import Any

from parity_tests.mutation.subject import Place
from parity_tests.planting import functions_of
from scratch.module import Module


def responsible(place: Place, modules: Iterable[ModuleType]) -> set[str]:
    """Return the names of the functions and classes that may be called the culprit of a fault at a place."""
    callers = _callers(list(modules))
    names: set[str] = set()
    remaining, seen = [place], {place}
    while remaining:
        module, name = remaining.pop()
        if "." in name:
            names |= {name.split(".")[0], *_subclasses(module, name.split(".")[0])}
            continue
        names.add(name)
        for caller in callers.get((module, name), set()) - seen:
            seen.add(caller)
            remaining.append(caller)
    return names


def _callers(modules: list[ModuleType]) -> dict[Place, set[Place]]:
    """Return the functions that use each function by name."""
    callers: dict[Place, set[Place]] = {}
    for module in modules:
        for name, function in functions_of(module).items():
            for used in _names(function.__code__):
                target = inspect.unwrap(vars(module).get(used)) if callable(vars(module).get(used)) else None
                if inspect.isfunction(target):
                    callers.setdefault((target.__module__, target.__qualname__), set()).add((module.__name__, name))
    return callers


def _names(code: CodeType) -> set[str]:
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


def _subclasses(module: str, name: str) -> set[str]:
    def below(cls: type[Any]) -> Iterable[type[Any]]:
        for sub in cls.__subclasses__():
            yield sub
            yield from below(sub)

    classes = [Module, *below(Module)]
    owner = next((cls for cls in classes if (cls.__module__, cls.__name__) == (module, name)), None)
    return {sub.__name__ for sub in below(owner)} if owner else set()
