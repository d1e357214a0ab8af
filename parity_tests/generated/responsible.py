"""The functions and classes that a fault in a function makes wrong themselves: it, and what calls it without a module between."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from types import CodeType, ModuleType
from typing import Any

from parity_tests.mutation.subject import Place
from parity_tests.planting import functions_of
from scratch.module import Module
from scratch.optim.lr_scheduler.scheduler import LRScheduler
from scratch.optim.optimizer import Optimizer

CULPRITS = (Module, Optimizer, LRScheduler)


def responsible(place: Place, modules: Iterable[ModuleType]) -> set[str]:
    """Return the names of the functions and classes that may be called the culprit of a fault at a place."""
    callers = _callers(list(modules))
    names: set[str] = set()
    remaining, seen = [place], {place}
    while remaining:
        module, name = remaining.pop()
        owner, _, method = name.rpartition(".")
        names.add(owner or name)
        if owner and (below := _subclasses(module, owner)) is not None:
            names |= below
            continue
        used = {method, owner} if owner else {name}
        for caller in set().union(*(callers.get(each, set()) for each in used)) - seen:
            seen.add(caller)
            remaining.append(caller)
    return names


def _callers(modules: list[ModuleType]) -> dict[str, set[Place]]:
    """Return the functions that use each name, in their own code or by a table of their module."""
    callers: dict[str, set[Place]] = {}
    for module in modules:
        functions = functions_of(module)
        tables = {name: _functions_in(value) for name, value in vars(module).items() if isinstance(value, dict | tuple | list)}
        for name, function in functions.items():
            for used in _names(function.__code__):
                for each in (used, *tables.get(used, ())):
                    callers.setdefault(each, set()).add((module.__name__, name))
    return callers


def _functions_in(table: Any) -> set[str]:
    values = table.values() if isinstance(table, dict) else table
    leaves = [leaf for value in values for leaf in (value if isinstance(value, tuple) else (value,))]
    return {leaf.__name__ for leaf in leaves if inspect.isfunction(leaf)}


def _names(code: CodeType) -> set[str]:
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


def _subclasses(module: str, name: str) -> set[str] | None:
    """Return the names of a class's subclasses if it is a layer, an optimiser or a schedule, which culprits are; else None."""

    def below(cls: type[Any]) -> Iterable[type[Any]]:
        for sub in cls.__subclasses__():
            yield sub
            yield from below(sub)

    owner = getattr(sys.modules[module], name, None)
    if not inspect.isclass(owner) or not issubclass(owner, CULPRITS):
        return None
    return {sub.__name__ for sub in below(owner)}
