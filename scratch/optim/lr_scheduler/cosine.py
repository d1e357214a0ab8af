"""Schedules along a cosine (Loshchilov & Hutter 2017, section 3)."""

from __future__ import annotations

import math

from scratch.optim.lr_scheduler.checks import whole
from scratch.optim.lr_scheduler.scheduler import LRScheduler
from scratch.optim.optimizer import Optimizer


def along_cosine(start: float, end: float, share: float) -> float:
    """Return the value at `share` of the way from start to end, along half a cosine wave."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


class CosineAnnealingLR(LRScheduler):
    """A schedule along a cosine, from the first rate to eta_min in T_max steps, and back in as many."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1):
        whole("CosineAnnealingLR", 1, T_max=T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [along_cosine(base_lr, self.eta_min, self.last_epoch / self.T_max) for base_lr in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """A schedule along a cosine from the first rate to eta_min, repeated in cycles of T_0, T_0 T_mult, T_0 T_mult², ... steps."""

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1):
        whole("CosineAnnealingWarmRestarts", 1, T_0=T_0, T_mult=T_mult)
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        self.T_i: int = T_0  # the number of steps of the cycle; T_cur of them are done
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [along_cosine(base_lr, self.eta_min, self.T_cur / self.T_i) for base_lr in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Advance by one step, or to an epoch, which may be fractional: epoch + batch / batches."""
        if epoch is not None and not epoch >= 0:
            raise ValueError(f"{self._name}: epoch is {epoch!r}, expected at least 0")
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch, self.T_cur = self.last_epoch + 1, self.T_cur + 1
        else:
            self.T_cur, self.T_i = epoch, self.T_0
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
        self._go_to(math.floor(epoch))
