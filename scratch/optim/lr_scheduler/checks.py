"""Checks of the options of schedules: each raises ValueError in one line."""

from collections.abc import Sequence
from numbers import Integral

from scratch.optim.optimizer import Optimizer


def whole(schedule: str, least: int, **counts: int) -> None:
    """Raise ValueError where one of these options is not a whole number of at least `least`."""
    for name, count in counts.items():
        if not isinstance(count, Integral) or count < least:
            raise ValueError(f"{schedule}: {name} is {count!r}, expected a whole number of at least {least}")


def within(schedule: str, low: float, high: float, **options: float) -> None:
    """Raise ValueError where one of these options is not between low and high."""
    for name, value in options.items():
        if not low <= value <= high:
            raise ValueError(f"{schedule}: {name} is {value!r}, expected {low:g} to {high:g}")


def for_each_group(schedule: str, optimizer: Optimizer, name: str, value: float | Sequence[float]) -> list[float]:
    """Return an option as one number for each group, or raise ValueError; a single number serves all groups."""
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, Sequence) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{schedule}: {name} has {len(values)} values, expected one, or one for each of {groups} groups")
    return values
