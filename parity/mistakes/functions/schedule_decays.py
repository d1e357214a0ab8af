"""Mistakes in schedules along lines and powers; they take the same arguments as those in schedule_steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from parity.mistakes.register import definition, mistake

wrong_linear = partial(mistake, "LinearLR")
wrong_exponential = partial(mistake, "ExponentialLR")
wrong_polynomial = partial(mistake, "PolynomialLR")
Share = Callable[[int, int], float]


@definition("LinearLR")
def linear(
    t: int,
    lr: float,
    start_factor: float,
    end_factor: float,
    total_iters: int,
    *,
    share: Share = lambda t, total_iters: min(t / total_iters, 1.0),
) -> float:
    """Return the rate along a line, with a function for the share of the way."""
    return lr * (start_factor + (end_factor - start_factor) * share(t, total_iters))


@wrong_linear("is one step ahead", "share")
def linear_ahead(t: int, total_iters: int) -> float:
    return min((t + 1) / total_iters, 1.0)


@wrong_linear("does not stop at end_factor", "share")
def linear_without_end(t: int, total_iters: int) -> float:
    return t / total_iters


@wrong_linear("arrives one step early: divides by total_iters - 1", "share")
def linear_early(t: int, total_iters: int) -> float:
    return min(t / (total_iters - 1), 1.0)


@wrong_linear("goes from end_factor to start_factor")
def linear_reversed(t: int, lr: float, start_factor: float, end_factor: float, total_iters: int) -> float:
    return linear(t, lr, end_factor, start_factor, total_iters)


@wrong_linear("ends at the whole rate; it ends at end_factor")
def linear_to_1(t: int, lr: float, start_factor: float, end_factor: float, total_iters: int) -> float:
    return linear(t, lr, start_factor, 1.0, total_iters)


@wrong_linear("begins at 0; it begins at start_factor")
def linear_from_0(t: int, lr: float, start_factor: float, end_factor: float, total_iters: int) -> float:
    return linear(t, lr, 0.0, end_factor, total_iters)


@wrong_exponential("is one step ahead: it decays the first rate already")
def exponential_ahead(t: int, lr: float, gamma: float) -> float:
    return lr * gamma ** (t + 1)


@wrong_exponential("multiplies by 1 - gamma")
def exponential_by_rest(t: int, lr: float, gamma: float) -> float:
    return lr * (1 - gamma) ** t


@wrong_exponential("multiplies by e^-gamma")
def exponential_of_gamma(t: int, lr: float, gamma: float) -> float:
    return lr * math.exp(-gamma * t)


@wrong_exponential("decays once")
def exponential_once(t: int, lr: float, gamma: float) -> float:
    return lr * gamma ** min(t, 1)


@definition("PolynomialLR")
def polynomial(t: int, lr: float, total_iters: int, power: float) -> float:
    """Return the rate, which is a power of the share that is left."""
    return lr * (1 - min(t, total_iters) / total_iters) ** power


@wrong_polynomial("is one step ahead")
def polynomial_ahead(t: int, lr: float, total_iters: int, power: float) -> float:
    return polynomial(t + 1, lr, total_iters, power)


@wrong_polynomial("ignores power: falls in equal steps")
def polynomial_as_line(t: int, lr: float, total_iters: int, power: float) -> float:
    return polynomial(t, lr, total_iters, 1.0)


@wrong_polynomial("takes the power of what is done; it takes the power of what is left")
def power_of_done(t: int, lr: float, total_iters: int, power: float) -> float:
    return lr * (1 - (min(t, total_iters) / total_iters) ** power)


@wrong_polynomial("begins again after total_iters")
def polynomial_again(t: int, lr: float, total_iters: int, power: float) -> float:
    return polynomial(t % total_iters, lr, total_iters, power)
