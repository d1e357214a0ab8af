"""All comparisons: each file of this folder is a family, and each row of its table CASES is a case.

A new file with a table is found by itself; its constant AFTER names the families that come before it. What several tables
draw is in draws.py. Where a file sets ON_REQUEST, its cases take minutes and gigabytes, and only a pattern that no other case
matches selects them.

FAMILIES, CASES and FULL_SIZE are read when one of them is first used, so that a command can report a mistake in a table.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

from parity.case import ParityCase, did_you_mean
from parity.discovery import families

WITHOUT_TABLE = ("draws",)


class Tables(NamedTuple):
    """All families, their cases, and the cases of full size."""

    families: dict[str, ModuleType]
    cases: tuple[ParityCase, ...]
    full_size: tuple[ParityCase, ...]


@cache
def tables() -> Tables:
    """Read all tables; raise ValueError where a file holds none, or two cases have one name."""
    found = families(__name__, "CASES", WITHOUT_TABLE)
    every_day = {family: module for family, module in found.items() if not hasattr(module, "ON_REQUEST")}
    cases = [case for family, module in every_day.items() for row in _rows(family, module) for case in _both_modes(row)]
    full_size = [row for family in found if family not in every_day for row in _rows(family, found[family])]
    _refuse_namesakes([*cases, *full_size])
    return Tables(every_day, tuple(cases), tuple(full_size))


def matching(pattern: str) -> list[ParityCase]:
    """Return the cases whose family or name contains the pattern, in upper or lower case; raise ValueError where there is none.

    Cases of full size are selected only where no other case matches.
    """
    for cases in (tables().cases, tables().full_size):
        if found := [case for case in cases if pattern.lower() in f"{case.family} {case.name}".lower()]:
            return found
    hint = did_you_mean(pattern, [case.name for case in (*tables().cases, *tables().full_size)]) or ";"
    raise ValueError(
        f"no case is called anything like {pattern!r}{hint} "
        f"`parity list` names all {len(tables().cases)}, `parity list full-size` more"
    )


def __getattr__(name: str) -> Any:
    if name not in ("FAMILIES", "CASES", "FULL_SIZE"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(tables(), name.lower())


def _rows(family: str, module: ModuleType) -> Iterator[ParityCase]:
    """Yield the rows of a table as cases of its family."""
    for row in module.CASES:
        if not isinstance(row, ParityCase):
            raise ValueError(f"the table of {family} holds a {type(row).__name__}, expected only ParityCase; unpack lists with *")
        yield replace(row, family=family)


def _both_modes(row: ParityCase) -> tuple[ParityCase, ...]:
    """Return a row, and a module's row once more in eval mode; a row that asks for eval mode has no other."""
    return (row,) if row.folder == "ops" or not row.has_backward or not row.training else (row, row.in_eval_mode())


def _refuse_namesakes(cases: list[ParityCase]) -> None:
    """Raise ValueError where two cases have one name."""
    by_name: dict[str, ParityCase] = {}
    for case in cases:
        other = by_name.setdefault(case.name, case)
        if other is not case:
            places = " and ".join(f"{c.scratch} in the table of {c.family}" for c in (other, case))
            raise ValueError(f"two cases are called {case.name!r}, {places}; give one of them another name")
