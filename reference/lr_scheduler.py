"""Factors for torch.optim.lr_scheduler.LambdaLR that begin with a warm-up: functions of the number of the step, from 0."""

import math
from collections.abc import Callable


def linear_warm_up(warm_up_steps: int) -> Callable[[int], float]:
    """1 / warm_up_steps, 2 / warm_up_steps, ... up to 1, and 1 from there on."""
    return lambda step: min(1.0, (step + 1) / warm_up_steps)


def warm_up_cosine(warm_up_steps: int, total_steps: int, lowest: float = 0.0) -> Callable[[int], float]:
    """linear_warm_up, then along a cosine from 1 to `lowest`, which it has from total_steps on."""

    def factor(step: int) -> float:
        share = (step - warm_up_steps) / (total_steps - warm_up_steps)
        wave = (1 + math.cos(math.pi * min(max(share, 0.0), 1.0))) / 2
        return min((step + 1) / warm_up_steps, lowest + (1 - lowest) * wave)

    return factor


def noam(d_model: int, warm_up_steps: int) -> Callable[[int], float]:
    """The Transformer's rate, for lr=1 (Vaswani et al. 2017, section 5.3)."""
    return lambda step: 1 / math.sqrt(d_model * max(step + 1, warm_up_steps)) * min(1.0, (step + 1) / warm_up_steps)
