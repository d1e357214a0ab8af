"""A schedule in which the rate rises and falls once while the momentum falls and rises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scratch.checks import one_of
from scratch.optim.lr_scheduler.checks import for_each_group, whole, within
from scratch.optim.lr_scheduler.cosine import along_cosine
from scratch.optim.lr_scheduler.cycle import CycleLR
from scratch.optim.optimizer import Optimizer


class OneCycleLR(CycleLR):
    """One cycle up to max_lr and down again (Smith & Topin 2018, section 2).

    In the first pct_start of all steps the rate goes from max_lr / div_factor to max_lr; then it goes to
    max_lr / div_factor / final_div_factor. It follows a cosine, or a line with anneal_strategy="linear". With three_phase, it first
    goes back to max_lr / div_factor in as many steps. The momentum goes from max_momentum to base_momentum and back. The number
    of all steps is total_steps, or epochs * steps_per_epoch.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 10000.0,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: expected total_steps, or epochs and steps_per_epoch")
            whole("OneCycleLR", 1, epochs=epochs, steps_per_epoch=steps_per_epoch)
            total_steps = epochs * steps_per_epoch
        whole("OneCycleLR", 1, total_steps=total_steps)
        within("OneCycleLR", 0, 1, pct_start=pct_start)
        one_of("OneCycleLR", "anneal_strategy", anneal_strategy, tuple(ANNEALING))
        max_lrs = for_each_group("OneCycleLR", optimizer, "max_lr", max_lr)
        self.total_steps, self._anneal_func_type = total_steps, anneal_strategy
        up, last = pct_start * total_steps - 1, total_steps - 1
        if three_phase:
            self._schedule_phases = [
                _phase(up, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
                _phase(2 * up, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
                _phase(last, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
            ]
        else:
            self._schedule_phases = [
                _phase(up, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
                _phase(last, "max_lr", "min_lr", "base_momentum", "max_momentum"),
            ]
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            base_momentums, max_momentums = self._take_momentums(optimizer, base_momentum, max_momentum)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group["initial_lr"] = max_lrs[i] / div_factor
                group["max_lr"], group["min_lr"] = max_lrs[i], group["initial_lr"] / final_div_factor
                if cycle_momentum:
                    group["max_momentum"], group["base_momentum"] = max_momentums[i], base_momentums[i]
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return self._now("lr")

    def get_momentum(self) -> list[float]:
        return self._now("momentum")

    def _now(self, what: str) -> list[float]:
        """Return the rate ("lr") or the "momentum" of each group at last_epoch."""
        if self.last_epoch > self.total_steps:
            raise ValueError(f"OneCycleLR: step {self.last_epoch} is beyond total_steps, {self.total_steps}; make a new schedule")
        start = 0.0
        for phase in self._schedule_phases:
            end = phase["end_step"]
            if self.last_epoch <= end or phase is self._schedule_phases[-1]:
                break
            start = end
        share = (self.last_epoch - start) / (end - start) if end > start else 1.0
        between = ANNEALING[self._anneal_func_type]
        return [between(group[phase[f"start_{what}"]], group[phase[f"end_{what}"]], share) for group in self.optimizer.param_groups]


def along_line(start: float, end: float, share: float) -> float:
    """Return the value at `share` of the way from start to end, along a line."""
    return start + (end - start) * share


def _phase(end_step: float, start_lr: str, end_lr: str, start_momentum: str, end_momentum: str) -> dict[str, Any]:
    """Return a phase of OneCycleLR: its last step, and the options of the groups that it starts from and goes to."""
    return dict(end_step=end_step, start_lr=start_lr, end_lr=end_lr, start_momentum=start_momentum, end_momentum=end_momentum)


ANNEALING = {"cos": along_cosine, "linear": along_line}
