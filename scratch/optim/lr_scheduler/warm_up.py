"""Factors for LambdaLR that begin with a warm-up: functions of the number of the step, from 0.

The rate is never 0: the first steps have 1 / n, 2 / n, 3 / n, ... of it, for n warm-up steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scratch.optim.lr_scheduler.checks import whole, within

Factor = Callable[[int], float]


def linear_warm_up(warm_up_steps: int) -> Factor:
    """Return the factor that is 1 / warm_up_steps, 2 / warm_up_steps, ... up to 1, and then stays 1."""
    whole("linear_warm_up", 1, warm_up_steps=warm_up_steps)
    return lambda step: min((step + 1) / warm_up_steps, 1.0)


def warm_up_cosine(warm_up_steps: int, total_steps: int, lowest: float = 0.0) -> Factor:
    """Return the factor of linear_warm_up, then along a cosine from 1 to `lowest` at total_steps, where it stays."""
    whole("warm_up_cosine", 1, warm_up_steps=warm_up_steps)
    whole("warm_up_cosine", warm_up_steps + 1, total_steps=total_steps)
    within("warm_up_cosine", 0, 1, lowest=lowest)

    def factor(step: int) -> float:
        if step < warm_up_steps:
            return (step + 1) / warm_up_steps
        share = min((step - warm_up_steps) / (total_steps - warm_up_steps), 1.0)
        return lowest + (1 - lowest) * (1 + math.cos(math.pi * share)) / 2

    return factor


def noam(d_model: int, warm_up_steps: int) -> Factor:
    """Return the Transformer's rate, for lr=1: a linear warm-up, then an inverse square root (Vaswani et al. 2017, section 5.3)."""
    whole("noam", 1, d_model=d_model, warm_up_steps=warm_up_steps)
    return lambda step: d_model**-0.5 * min((step + 1) ** -0.5, (step + 1) * warm_up_steps**-1.5)
