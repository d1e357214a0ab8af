"""Mistakes in warm-ups and in schedules one after another; they take the same arguments as those in schedule_steps."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from functools import partial

from parity.mistakes.functions.schedule_cosine import wave
from parity.mistakes.register import definition, mistake

Schedule = Callable[[int, float], float]
wrong_sequence = partial(mistake, "SequentialLR")
wrong_warm_up = partial(mistake, "linear_warm_up")
wrong_warm_up_cosine = partial(mistake, "warm_up_cosine")
wrong_noam = partial(mistake, "noam")


@definition("SequentialLR")
def sequential(
    t: int,
    lr: float,
    parts: list[Schedule],
    milestones: list[int],
    *,
    shift: int = 0,
    begun: Callable[[int], int] = lambda milestone: milestone,
) -> float:
    """Return the rate of one schedule after another, in stages."""
    moved = [milestone + shift for milestone in milestones]
    k = bisect_right(moved, t)
    return parts[k](t - (begun(moved[k - 1]) if k else 0), lr)


wrong_sequence("goes over to the next schedule one step late", "shift")(1)
wrong_sequence("goes over to the next schedule one step early", "shift")(-1)


@wrong_sequence("begins the next schedule at the number of all steps; it begins at its own start", "begun")
def goes_on(milestone: int) -> int:
    return 0


@wrong_sequence("skips the first step of the next schedule", "begun")
def first_step_skipped(milestone: int) -> int:
    return milestone - 1


@wrong_warm_up("begins at 0: counts its steps from 0; they count from 1")
def warm_up_from_0(t: int, lr: float, warm_up_steps: int) -> float:
    return lr * min(t / warm_up_steps, 1.0)


@wrong_warm_up("does not stop at the whole rate")
def warm_up_without_end(t: int, lr: float, warm_up_steps: int) -> float:
    return lr * (t + 1) / warm_up_steps


@wrong_warm_up("takes one step more")
def warm_up_longer(t: int, lr: float, warm_up_steps: int) -> float:
    return lr * min((t + 1) / (warm_up_steps + 1), 1.0)


@wrong_warm_up("takes one step fewer")
def warm_up_shorter(t: int, lr: float, warm_up_steps: int) -> float:
    return lr * min((t + 2) / warm_up_steps, 1.0)


@definition("warm_up_cosine")
def warm_up_cosine(
    t: int,
    lr: float,
    warm_up_steps: int,
    total_steps: int,
    lowest: float = 0.0,
    *,
    first: int = 1,
    share: Callable[[int, int, int], float] = lambda t, warm_up, total: (t - warm_up) / (total - warm_up),
) -> float:
    """Return the rate of a warm-up and a cosine, in stages."""
    if t < warm_up_steps:
        return lr * (t + first) / warm_up_steps
    return lr * wave(1.0, lowest, min(share(t, warm_up_steps, total_steps), 1.0))


wrong_warm_up_cosine("begins at 0: counts its steps from 0; they count from 1", "first")(0)


@wrong_warm_up_cosine("leaves the warm-up out")
def no_warm_up(t: int, lr: float, warm_up_steps: int, total_steps: int, lowest: float = 0.0) -> float:
    return lr * wave(1.0, lowest, min(t / total_steps, 1.0))


@wrong_warm_up_cosine("begins the cosine at step 0; it begins after the warm-up", "share")
def cosine_from_0(t: int, warm_up: int, total: int) -> float:
    return t / (total - warm_up)


@wrong_warm_up_cosine("uses total_steps for those after the warm-up", "share")
def total_after_warm_up(t: int, warm_up: int, total: int) -> float:
    return (t - warm_up) / total


@wrong_warm_up_cosine("ignores lowest: goes down to 0")
def down_to_0(t: int, lr: float, warm_up_steps: int, total_steps: int, lowest: float = 0.0) -> float:
    return warm_up_cosine(t, lr, warm_up_steps, total_steps)


@definition("noam")
def noam(
    t: int,
    lr: float,
    d_model: int,
    warm_up_steps: int,
    *,
    first: int = 1,
    scale: Callable[[int], float] = lambda d_model: d_model**-0.5,
    pick: Callable[[float, float], float] = min,
) -> float:
    """Return the rate of the first Transformer, in stages."""
    step = t + first
    return lr * scale(d_model) * pick(step * warm_up_steps**-1.5, step**-0.5 if step else math.inf)


wrong_noam("counts the steps from 0; the first step is 1", "first")(0)


@wrong_noam("leaves out d_model^-0.5", "scale")
def no_d_model(d_model: int) -> float:
    return 1.0


@wrong_noam("multiplies by √d_model; it divides by √d_model", "scale")
def multiplied_by_root(d_model: int) -> float:
    return d_model**0.5


wrong_noam("takes the larger of the two; it takes the smaller", "pick")(max)


@wrong_noam("leaves the warm-up out", "pick")
def only_falling(rising: float, falling: float) -> float:
    return falling
