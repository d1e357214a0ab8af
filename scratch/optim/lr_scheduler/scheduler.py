"""The base of all schedules: the steps, the groups whose rates they set, and a state in torch.optim.lr_scheduler's layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scratch.optim.optimizer import Optimizer

BOOKKEEPING = {"_get_lr_called_within_step", "_is_initial", "verbose"}  # keys in the states of some versions of torch


class LRScheduler:
    """The base of schedules, which set the learning rate of every group of an optimiser at each call of step().

    The constructor sets the first rates; then optimizer.step() and scheduler.step() are called in turn. A subclass defines
    get_lr(), which returns the rates at last_epoch, the number of the step, from 0. They are computed from base_lrs, the initial
    rates of the groups. torch.optim.lr_scheduler mostly changes the last rates instead, which gives the same numbers but for
    rounding. So a rate that is written by hand lasts only until the next step, and two schedules of one optimiser do not
    multiply; use LambdaLR or SequentialLR for that.

    To resume without a state, pass the number of the last step as last_epoch; the groups then need an "initial_lr".
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        if not isinstance(optimizer, Optimizer):
            raise ValueError(f"{self._name}: expected an optimiser of scratch.optim, got {type(optimizer).__name__}")
        if last_epoch < -1:
            raise ValueError(f"{self._name}: last_epoch is {last_epoch}, expected the number of the last step, or -1 for a start")
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError(f"{self._name}: no initial_lr in a group; to resume, first load the optimiser's state")
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._last_lr: list[float] = []
        self._start()

    def get_lr(self) -> list[float]:
        """Return the learning rate of each group at last_epoch."""
        raise NotImplementedError(f"{self._name} has no get_lr")

    def get_last_lr(self) -> list[float]:
        """Return the learning rates that were set last."""
        return self._last_lr

    def step(self) -> None:
        """Advance by one step."""
        self._step_count += 1
        self._go_to(self.last_epoch + 1)

    def state_dict(self) -> dict[str, Any]:
        """Return the state in torch.optim.lr_scheduler's layout, without the optimiser, whose own state has the rates."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state_dict() of this class or of its twin in torch.optim.lr_scheduler.

        Raise ValueError, before anything is changed, where names are missing or unexpected.
        """
        own = self.state_dict()
        problems = [f"missing {name}" for name in own if name not in state_dict]
        problems += [f"unexpected {name}" for name in state_dict if name not in own and name not in BOOKKEEPING]
        if problems:
            raise ValueError(f"the state does not fit {self._name}: {'; '.join(problems)}")
        vars(self).update({name: state_dict[name] for name in own})

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _start(self) -> None:
        self._step_count = 0
        self.step()

    def _go_to(self, epoch: int) -> None:
        self.last_epoch = epoch
        self._write()

    def _write(self) -> None:
        """Set the rates of the groups."""
        groups, rates = self.optimizer.param_groups, self.get_lr()
        if len(groups) != len(rates):
            raise ValueError(f"{self._name}: the optimiser has {len(groups)} groups, it had {len(rates)}; make a new schedule")
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = rates
