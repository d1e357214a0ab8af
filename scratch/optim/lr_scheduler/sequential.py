"""One schedule after another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from scratch.optim.lr_scheduler.scheduler import LRScheduler
from scratch.optim.optimizer import Optimizer


class SequentialLR(LRScheduler):
    """Several schedules of one optimiser, one after another: each begins at its milestone, from its own start."""

    def __init__(self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1):
        if not schedulers or any(s.optimizer is not optimizer or isinstance(s, SequentialLR) for s in schedulers):
            raise ValueError("SequentialLR: expected one or more schedulers of its own optimiser, none of them a SequentialLR")
        if len(milestones) != len(schedulers) - 1 or list(milestones) != sorted(set(milestones)):
            raise ValueError(
                f"SequentialLR: expected rising milestones, one fewer than the {len(schedulers)} schedulers, got {milestones}"
            )
        self.optimizer, self._schedulers, self._milestones = optimizer, schedulers, milestones
        self.last_epoch = last_epoch + 1
        for scheduler in schedulers:  # each constructor has set a first rate
            scheduler.last_epoch -= 1
        current = schedulers[bisect_right(milestones, 0)]
        current._start()
        self._last_lr = current.get_last_lr()

    def step(self) -> None:
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            scheduler._go_to(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        schedulers = self._schedulers
        if len(state_dict.get("_schedulers", ())) != len(schedulers):
            raise ValueError(f"the state does not fit SequentialLR: expected the states of {len(schedulers)} schedulers")
        super().load_state_dict(state_dict)
        self._schedulers = schedulers
        for scheduler, state in zip(schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)
