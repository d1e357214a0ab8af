"""What the schedules ask of their options, said in one line where it is not so."""

from collections.abc import Sequence
from numbers import Integral

from scratch.optim.optimizer import Optimizer


def whole(schedule: str, least: int, **counts: int) -> None:
    """Raise ValueError where one of these options is no whole number, or below the least."""
    for name, count in counts.items():
        if not isinstance(count, Integral) or count < least:
            raise ValueError(f"{schedule}: {name} is {count!r}, expected a whole number of at least {least}")


def within(schedule: str, low: float, high: float, **options: float) -> None:
    """Raise ValueError where one of these options is out of its range."""
    for name, value in options.items():
        if not low <= value <= high:
            raise ValueError(f"{schedule}: {name} is {value!r}, expected {low:g} to {high:g}")


def for_each_group(schedule: str, optimizer: Optimizer, name: str, value: float | Sequence[float]) -> list[float]:
    """An option as a number for each group; one number serves all."""
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, Sequence) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{schedule}: {name} has {len(values)} values, expected one, or one for each of {groups} groups")
    return values
