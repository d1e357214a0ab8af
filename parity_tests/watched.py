"""Size constants that record how code compares them, so that a test can ask which side of each threshold some calls have seen.

Code of `scratch` chooses between algorithms, or cuts work into blocks, by constants such as BLOCK. A `Watched` integer takes the
place of such a constant. Numbers that are computed from it are watched, too.
"""

from __future__ import annotations

import ast
import importlib
import operator
import pkgutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any
from unittest import mock


@dataclass(frozen=True)
class Place:
    """A place where code compares a constant, or a number computed from it, and the op that led there."""

    constant: str
    file: str
    line: int
    instruction: int
    user: str

    def __str__(self) -> str:
        return f"{self.constant} in {self.file}:{self.line}: {Path(self.file).read_text().splitlines()[self.line - 1].strip()}"


@dataclass
class Record:
    """The outcomes that were seen at each place."""

    outcomes: dict[Place, set[bool]] = field(default_factory=lambda: defaultdict(set))

    def add(self, constants: frozenset[str], outcome: bool) -> bool:
        """Record an outcome for each constant that the calling function names."""
        frame = sys._getframe(2)
        for constant in constants:
            if constant.split(".")[-1] in _names(frame.f_code):
                place = Place(constant, frame.f_code.co_filename, frame.f_lineno, frame.f_lasti, _user(frame))
                self.outcomes[place].add(outcome)
        return outcome

    def by_place(self) -> dict[str, set[bool]]:
        """Return the outcomes at each comparison, whatever the op."""
        found: dict[tuple[str, int], set[bool]] = defaultdict(set)
        for place, outcomes in self.outcomes.items():
            found[str(place), place.instruction] |= outcomes
        return {f"{text} (instruction {number})": outcomes for (text, number), outcomes in found.items()}

    def by_op(self) -> dict[str, set[bool]]:
        """Return the outcomes for each constant and each op whose work is cut into blocks."""
        found: dict[str, set[bool]] = defaultdict(set)
        for place, outcomes in self.outcomes.items():
            if place.user:
                found[f"{place.constant} for {place.user}"] |= outcomes
        return dict(found)


def _names(code: CodeType) -> set[str]:
    """Return the global names that a function and the functions inside it use."""
    return {*code.co_names, *(name for inner in code.co_consts if isinstance(inner, CodeType) for name in _names(inner))}


SHARED_WORK = ("threads.py", "row_shares.py")  # these call functions that ops give them, so each op has its own blocks


def _user(frame: FrameType | None) -> str:
    """Return the op whose work is cut into blocks; "" where the file that cuts also does the work, or in a backward."""
    if frame is None or Path(frame.f_code.co_filename).name not in SHARED_WORK:
        return ""
    while frame is not None and "/scratch/fast/" in frame.f_code.co_filename:
        frame = frame.f_back
    file, function = (frame.f_code.co_filename, frame.f_code.co_qualname) if frame else ("", "")
    return f"{Path(file).stem}.{function.split('.')[0]}" if "/scratch/" in file and "contract.py" not in file else ""


class Watched(int):
    """An integer that records comparisons; what is computed from it is watched, too."""

    constants: frozenset[str]
    record: Record

    def __hash__(self) -> int:
        return int.__hash__(self)

    def __bool__(self) -> bool:
        return self.record.add(self.constants, int(self) != 0)

    def __rfloordiv__(self, other: int) -> Any:
        self.record.add(self.constants, abs(other // int(self)) > 1)  # several blocks, or one
        return _watched(self, other // int(self), other)

    def __floordiv__(self, other: int) -> Any:
        if isinstance(other, Watched):
            other.record.add(other.constants, abs(int(self) // int(other)) > 1)
        return _watched(self, int(self) // int(other), other)

    def __truediv__(self, other: float) -> float:
        if isinstance(other, Watched):
            other.record.add(other.constants, int(self) / int(other) > 1)
        return int(self) / (int(other) if isinstance(other, int) else other)

    def __rtruediv__(self, other: float) -> float:
        self.record.add(self.constants, other / int(self) > 1)
        return other / int(self)

    def __rmod__(self, other: int) -> Any:
        self.record.add(self.constants, other % int(self) > 0)
        return _watched(self, other % int(self), other)


def _watched(origin: Watched, value: int, other: Any = 0) -> Any:
    """Return a number that was computed from a watched one, and perhaps from a second one."""
    if not isinstance(value, int):
        return value
    constants = origin.constants | (other.constants if isinstance(other, Watched) else frozenset())
    return watched(value, constants, origin.record)


def watched(value: int, constants: frozenset[str], record: Record) -> Watched:
    """Return a watched integer."""
    number = Watched(value)
    number.constants, number.record = constants, record
    return number


def _comparison(compare: Callable[[Any, Any], Any]) -> Callable[[Watched, Any], Any]:
    def method(self: Watched, other: Any) -> Any:
        if not isinstance(other, int | float):
            return NotImplemented
        return self.record.add(self.constants, compare(int(self), other))

    return method


def _arithmetic(compute: Callable[[Any, Any], Any], swapped: bool) -> Callable[[Watched, Any], Any]:
    def method(self: Watched, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        plain = int(other)
        return _watched(self, compute(plain, int(self)) if swapped else compute(int(self), plain), other)

    return method


for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Watched, f"__{_name}__", _comparison(getattr(operator, _name)))
for _name in ("add", "sub", "mul"):
    setattr(Watched, f"__{_name}__", _arithmetic(getattr(operator, _name), swapped=False))
    setattr(Watched, f"__r{_name}__", _arithmetic(getattr(operator, _name), swapped=True))
Watched.__neg__ = lambda self: _watched(self, -int(self))  # type: ignore[method-assign]


def _range(*bounds: int) -> range:
    """Count as `range` does; record whether a watched step is shorter than the whole."""
    start, stop, step = (*bounds, 1)[:3] if len(bounds) > 1 else (0, bounds[0], 1)
    if isinstance(step, Watched):
        step.record.add(step.constants, int(stop) - int(start) > int(step))
    return range(int(start), int(stop), int(step))


DECIDING = ("scratch.fast", "scratch.ops")  # the packages whose constants choose algorithms and blocks


def size_constants(package: ModuleType) -> Iterator[tuple[ModuleType, str, str]]:
    """Yield each integer above 1 that a module has under a name in capitals: the module, the name, and the constant's own path."""
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(info.name)
        for node in ast.parse(Path(str(module.__file__)).read_text()).body:
            for name, origin in _bound_names(node, module.__name__):
                value = getattr(module, name)
                if name.isupper() and origin.startswith(DECIDING) and type(value) is int and value > 1:
                    yield module, name, origin


def _bound_names(node: ast.stmt, module: str) -> Iterator[tuple[str, str]]:
    """Yield the names that a statement binds in a module, each with the path of its origin."""
    if isinstance(node, ast.ImportFrom):
        yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
    if isinstance(node, ast.Assign):
        for target in node.targets:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            yield from ((name.id, f"{module}.{name.id}") for name in names if isinstance(name, ast.Name))


@contextmanager
def watching(package: ModuleType) -> Iterator[Record]:
    """Record how a package compares its size constants."""
    record, patches = Record(), []
    for module, name, origin in size_constants(package):
        number = watched(getattr(module, name), frozenset([origin]), record)
        patches += [mock.patch.object(module, name, number), mock.patch.object(module, "range", _range, create=True)]
    for patch in patches:
        patch.start()
    try:
        yield record
    finally:
        for patch in reversed(patches):
            patch.stop()
