"""Warm-up schedules for torch.optim.lr_scheduler.LambdaLR: functions from the number of a step, from 0, to a factor."""

import math
from collections.abc import Callable


def linear_warm_up(warm_up_steps: int) -> Callable[[int], float]:
    """Return a schedule that rises linearly, 1 / warm_up_steps, 2 / warm_up_steps, ..., to 1, and stays there."""
    return lambda step: min(1.0, (step + 1) / warm_up_steps)


def warm_up_cosine(warm_up_steps: int, total_steps: int, lowest: float = 0.0) -> Callable[[int], float]:
    """Return linear_warm_up, followed by half a cosine from 1 to `lowest`, which it reaches at total_steps."""

    def factor(step: int) -> float:
        share = (step - warm_up_steps) / (total_steps - warm_up_steps)
        wave = (1 + math.cos(math.pi * min(max(share, 0.0), 1.0))) / 2
        return min((step + 1) / warm_up_steps, lowest + (1 - lowest) * wave)

    return factor


def noam(d_model: int, warm_up_steps: int) -> Callable[[int], float]:
    """Return the Transformer's learning rate, for lr=1 (Vaswani et al. 2017, section 5.3)."""
    return lambda step: 1 / math.sqrt(d_model * max(step + 1, warm_up_steps)) * min(1.0, (step + 1) / warm_up_steps)
