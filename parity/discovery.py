"""Discovery of families: each module of a folder that holds a table is one, so that nobody keeps a list of them."""

from __future__ import annotations

import importlib
import pkgutil
import traceback
from collections.abc import Collection, Mapping
from types import ModuleType

from parity.case import did_you_mean


def families(package: str, table: str, others: Collection[str]) -> dict[str, ModuleType]:
    """Return the modules of a package that hold a table of this name, by their file names with spaces for underscores.

    They come in alphabetical order, but each after the families that its constant AFTER names. `others` are the files of the
    folder that hold no table.
    """
    found: dict[str, ModuleType] = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module.name not in others:
            found[module.name] = _imported(package, module.name)
            if not hasattr(found[module.name], table):
                raise ValueError(
                    f"{_file(package, module.name)} holds no {table}, expected a list under that name; "
                    f"files without one are {', '.join(sorted(others))}"
                )
    return {name.replace("_", " "): found[name] for name in _ordered(package, found)}


def _imported(package: str, name: str) -> ModuleType:
    """Import a module of the package; raise ValueError with the place and the reason where it cannot be imported."""
    module = f"{package}.{name}"
    try:
        return importlib.import_module(module)
    except Exception as error:
        frames = [(f, line) for f, line in traceback.walk_tb(error.__traceback__) if f.f_globals.get("__name__") == module]
        place = f"{_file(package, name)}:{frames[-1][1]}" if frames else _file(package, name)
        known = did_you_mean(error.name or "", frames[-1][0].f_globals) if isinstance(error, NameError) and frames else ""
        reason = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}{known}"
        raise ValueError(f"{place}: {reason}") from error


def _ordered(package: str, found: Mapping[str, ModuleType]) -> list[str]:
    """Return the names in alphabetical order, but each after those that its module's AFTER names."""
    waiting: dict[str, set[str]] = {}
    for name, module in sorted(found.items()):
        after = getattr(module, "AFTER", ())
        if isinstance(after, str):
            raise ValueError(f"{_file(package, name)}: AFTER is {after!r}, expected a tuple of names, such as ({after!r},)")
        waiting[name] = set(after)
    for name, before in waiting.items():
        for unknown in sorted(before - found.keys()):
            known = did_you_mean(unknown, found)
            raise ValueError(f"{_file(package, name)}: AFTER names {unknown!r}, expected the name of another file{known}")
    order: list[str] = []
    while waiting:
        ready = next((name for name, before in waiting.items() if before <= set(order)), None)
        if ready is None:
            raise ValueError(f"{package}: {', '.join(waiting)} name each other in AFTER, expected one of them to come first")
        order.append(ready)
        del waiting[ready]
    return order


def _file(package: str, name: str) -> str:
    return f"{package.replace('.', '/')}/{name}.py"
