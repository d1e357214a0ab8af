"""Mistakes in schedules along cosines; they take the same arguments as those in schedule_steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from parity.mistakes.register import definition, mistake

Along = Callable[[float, float, float], float]
wrong_cosine = partial(mistake, "CosineAnnealingLR")
wrong_restarts = partial(mistake, "CosineAnnealingWarmRestarts")


def wave(start: float, end: float, share: float) -> float:
    """Go from start to end along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def line(start: float, end: float, share: float) -> float:
    """Go from start to end along a line."""
    return start + (end - start) * share


@definition("CosineAnnealingLR")
def cosine(
    t: int,
    lr: float,
    T_max: int,
    eta_min: float = 0.0,
    *,
    share: Callable[[int, int], float] = lambda t, T_max: t / T_max,
    along: Along = wave,
) -> float:
    """Return the rate along a cosine, in stages."""
    return along(lr, eta_min, share(t, T_max))


@wrong_cosine("arrives one step early: divides by T_max - 1", "share")
def cosine_early(t: int, T_max: int) -> float:
    return t / (T_max - 1)


@wrong_cosine("takes twice as long: T_max is half a wave, not a whole one", "share")
def cosine_twice_as_long(t: int, T_max: int) -> float:
    return t / (2 * T_max)


@wrong_cosine("stays at eta_min; torch's rate rises again", "share")
def cosine_stays(t: int, T_max: int) -> float:
    return min(t / T_max, 1.0)


@wrong_cosine("begins again at the top after T_max; torch's rate rises as it fell", "share")
def cosine_again(t: int, T_max: int) -> float:
    return t / T_max % 1.0


@wrong_cosine("ignores eta_min")
def cosine_to_0(t: int, lr: float, T_max: int, eta_min: float = 0.0) -> float:
    return cosine(t, lr, T_max)


@wrong_cosine("adds eta_min to a wave from the whole rate to 0")
def eta_min_added(t: int, lr: float, T_max: int, eta_min: float = 0.0) -> float:
    return eta_min + cosine(t, lr, T_max)


wrong_cosine("falls along a line; it falls along a cosine", "along")(line)


@definition("CosineAnnealingWarmRestarts")
def restarts(
    t: int,
    lr: float,
    T_0: int,
    T_mult: int = 1,
    eta_min: float = 0.0,
    *,
    over: Callable[[int, int], bool] = lambda done, cycle: done >= cycle,
    next_cycle: Callable[[int, int, int], int] = lambda cycle, T_0, T_mult: cycle * T_mult,
) -> float:
    """Return the rate along a cosine that begins again, in stages."""
    done, cycle = t, T_0
    while over(done, cycle):
        done, cycle = done - cycle, next_cycle(cycle, T_0, T_mult)
    return wave(lr, eta_min, done / cycle)


@wrong_restarts("restarts one step late", "over")
def restarts_late(done: int, cycle: int) -> bool:
    return done > cycle


@wrong_restarts("ignores T_mult: all cycles have T_0 steps", "next_cycle")
def equal_cycles(cycle: int, T_0: int, T_mult: int) -> int:
    return cycle


@wrong_restarts("makes each cycle T_0 steps longer; T_mult multiplies the length", "next_cycle")
def cycles_added(cycle: int, T_0: int, T_mult: int) -> int:
    return cycle + T_0


@wrong_restarts("ignores eta_min")
def restarts_to_0(t: int, lr: float, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> float:
    return restarts(t, lr, T_0, T_mult)


@wrong_restarts("goes up in each cycle; it comes down")
def restarts_upward(t: int, lr: float, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> float:
    return restarts(t, eta_min, T_0, T_mult, lr)
