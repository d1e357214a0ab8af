"""Mistakes in schedules that change the rate at some steps only.

A schedule takes the number of the step, the first learning rate and the options of torch's schedule, and returns the rate.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import partial

from parity.mistakes.register import mistake

wrong_step = partial(mistake, "StepLR")
wrong_multi_step = partial(mistake, "MultiStepLR")
wrong_constant = partial(mistake, "ConstantLR")


@wrong_step("decays at every step; it decays every step_size steps")
def at_every_step(t: int, lr: float, step_size: int, gamma: float) -> float:
    return lr * gamma**t


@wrong_step("decays one step late")
def step_late(t: int, lr: float, step_size: int, gamma: float) -> float:
    return lr * gamma ** (max(t - 1, 0) // step_size)


@wrong_step("decays one step early")
def step_early(t: int, lr: float, step_size: int, gamma: float) -> float:
    return lr * gamma ** ((t + 1) // step_size)


@wrong_step("multiplies by 1 - gamma")
def step_by_rest(t: int, lr: float, step_size: int, gamma: float) -> float:
    return lr * (1 - gamma) ** (t // step_size)


@wrong_step("divides by gamma")
def step_divided(t: int, lr: float, step_size: int, gamma: float) -> float:
    return lr / gamma ** (t // step_size)


@wrong_step("subtracts gamma times the first rate at each decay")
def step_subtracted(t: int, lr: float, step_size: int, gamma: float) -> float:
    return lr * (1 - (1 - gamma) * (t // step_size))


@wrong_multi_step("decays one step late")
def milestones_late(t: int, lr: float, milestones: list[int], gamma: float) -> float:
    return lr * gamma ** bisect_left(sorted(milestones), t)


@wrong_multi_step("decays one step early")
def milestones_early(t: int, lr: float, milestones: list[int], gamma: float) -> float:
    return lr * gamma ** bisect_right(sorted(milestones), t + 1)


@wrong_multi_step("decays only once at a milestone that comes twice")
def milestones_once_each(t: int, lr: float, milestones: list[int], gamma: float) -> float:
    return lr * gamma ** bisect_right(sorted(set(milestones)), t)


@wrong_multi_step("decays once, however many milestones have passed")
def first_milestone_alone(t: int, lr: float, milestones: list[int], gamma: float) -> float:
    return lr * gamma ** (t >= min(milestones))


@wrong_constant("holds the factor one step too long")
def held_too_long(t: int, lr: float, factor: float, total_iters: int) -> float:
    return lr * (factor if t <= total_iters else 1)


@wrong_constant("holds the factor one step too short")
def held_too_short(t: int, lr: float, factor: float, total_iters: int) -> float:
    return lr * (factor if t < total_iters - 1 else 1)


@wrong_constant("never ends")
def held_forever(t: int, lr: float, factor: float, total_iters: int) -> float:
    return lr * factor


@wrong_constant("multiplies by factor after total_iters, not before")
def held_later(t: int, lr: float, factor: float, total_iters: int) -> float:
    return lr * (1 if t < total_iters else factor)
