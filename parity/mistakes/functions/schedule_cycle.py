"""Mistakes in CyclicLR, which returns a rate and a momentum; it takes the same arguments as schedules in schedule_steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from parity.mistakes.functions.schedule_cosine import line
from parity.mistakes.register import definition, mistake

Rate = tuple[float, float]  # the learning rate and the momentum
wrong_cyclic = partial(mistake, "CyclicLR")


def scaled(mode: str, height: float, cycle: int, t: int, gamma: float) -> float:
    """Scale the height of a cycle, which is counted from 0."""
    return height * {"triangular2": 0.5**cycle, "exp_range": gamma**t}.get(mode, 1.0)


@definition("CyclicLR")
def cyclic(
    t: int,
    lr: float,
    base_lr: float,
    max_lr: float,
    step_size_up: int,
    step_size_down: int | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
    base_momentum: float = 0.8,
    max_momentum: float = 0.9,
    *,
    down: Callable[[int, int | None], int] = lambda up, down: up if down is None else down,
    scaled: Callable[[str, float, int, int, float], float] = scaled,
    momentum: Callable[[float, float, float, float], float] = lambda low, high, height, scaled: line(high, low, scaled),
) -> Rate:
    """Return the rate and the momentum of cycles, in stages."""
    steps_down = down(step_size_up, step_size_down)
    cycle, x = divmod(t, step_size_up + steps_down)
    height = x / step_size_up if x <= step_size_up else (step_size_up + steps_down - x) / steps_down
    scaled_height = scaled(mode, height, cycle, t, gamma)
    return line(base_lr, max_lr, scaled_height), momentum(base_momentum, max_momentum, height, scaled_height)


@wrong_cyclic("ignores step_size_down: comes down in as many steps as it goes up", "down")
def as_long_down(up: int, down: int | None) -> int:
    return up


@wrong_cyclic("ignores mode: all cycles have the same height", "scaled")
def equal_heights(mode: str, height: float, cycle: int, t: int, gamma: float) -> float:
    return height


@wrong_cyclic("halves the first cycle already: the halving counts the cycles from 0", "scaled")
def cycles_from_1(mode: str, height: float, cycle: int, t: int, gamma: float) -> float:
    return scaled(mode, height, cycle + 1, t, gamma)


@wrong_cyclic("halves at every step; it halves at every cycle", "scaled")
def halved_at_every_step(mode: str, height: float, cycle: int, t: int, gamma: float) -> float:
    return scaled(mode, height, t, t, gamma)


@wrong_cyclic("multiplies by gamma at every cycle; it is at every step", "scaled")
def gamma_at_every_cycle(mode: str, height: float, cycle: int, t: int, gamma: float) -> float:
    return scaled(mode, height, cycle, cycle + 1, gamma)


@wrong_cyclic("lets the momentum rise with the rate; it goes the other way", "momentum")
def momentum_with_rate(low: float, high: float, height: float, scaled: float) -> float:
    return line(low, high, scaled)


@wrong_cyclic("does not cycle the momentum", "momentum")
def momentum_kept(low: float, high: float, height: float, scaled: float) -> float:
    return high


@wrong_cyclic("does not scale the height of the momentum with that of the rate", "momentum")
def momentum_not_scaled(low: float, high: float, height: float, scaled: float) -> float:
    return line(high, low, height)
