"""Learning rate schedules of a whole run."""

from __future__ import annotations

from collections.abc import Callable

from scratch.optim.lr_scheduler import noam, warm_up_cosine

SCHEDULES = ("cosine", "inverse-sqrt")


def learning_rate(schedule: str, steps: int, peak: float) -> Callable[[int], float]:
    """Return the learning rate as a function of the step, counted from 0.

    It rises to `peak` over the first tenth of the steps. Then "cosine" falls along half a cosine towards 0, and "inverse-sqrt"
    falls as 1/√step (Vaswani et al. 2017, section 5.3, scaled to this peak).
    """
    rising = max(1, round(steps / 10))
    if schedule == "cosine":
        factor, highest = warm_up_cosine(rising, max(steps, rising + 1)), 1.0
    else:
        factor, highest = noam(1, rising), rising**-0.5
    return lambda step: peak * factor(step) / highest
