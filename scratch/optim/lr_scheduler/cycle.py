"""Schedules in which the rate rises and falls while the momentum falls and rises."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any

from scratch.checks import one_of
from scratch.optim.lr_scheduler.checks import for_each_group, whole, within
from scratch.optim.lr_scheduler.scheduler import LRScheduler
from scratch.optim.optimizer import Optimizer


class CycleLR(LRScheduler):
    """A schedule of the rate and, with cycle_momentum, of the momentum: that of SGD, or the first of Adam's betas."""

    cycle_momentum: bool

    def get_momentum(self) -> list[float]:
        """Return the momentum of each group at last_epoch."""
        raise NotImplementedError(f"{self._name} has no get_momentum")

    def _write(self) -> None:
        super()._write()
        if self.cycle_momentum:
            for group, momentum in zip(self.optimizer.param_groups, self.get_momentum(), strict=True):
                group.update({"betas": (momentum, *group["betas"][1:])} if self.use_beta1 else {"momentum": momentum})

    def _take_momentums(self, optimizer: Optimizer, *limits: float | Sequence[float]) -> Iterator[list[float]]:
        """Yield the lowest momentum of each group, then the highest; raise ValueError where the optimiser has none."""
        if not {"momentum", "betas"} & optimizer.defaults.keys():
            raise ValueError(f"{self._name}: {type(optimizer).__name__} has no momentum; set cycle_momentum=False")
        self.use_beta1 = "betas" in optimizer.defaults
        for name, limit in zip(("base_momentum", "max_momentum"), limits, strict=True):
            values = for_each_group(self._name, optimizer, name, limit)
            for value in values:
                within(self._name, 0, 1, **{name: value})
            yield values


class CyclicLR(CycleLR):
    """Cycles from base_lr to max_lr in step_size_up steps and back in step_size_down steps (Smith 2017, section 3.2).

    mode is "triangular"; "triangular2", where each cycle is half as high as the one before; or "exp_range", where the height is
    multiplied by gamma at every step. If scale_fn is given, the height is multiplied by scale_fn(number of the cycle, from 1), or
    with scale_mode="iterations" by scale_fn(number of the step). The momentum goes from max_momentum to base_momentum and back.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ):
        step_size_down = step_size_up if step_size_down is None else step_size_down
        whole("CyclicLR", 1, step_size_up=step_size_up, step_size_down=step_size_down)
        one_of("CyclicLR", "mode", mode, ("triangular", "triangular2", "exp_range"))
        one_of("CyclicLR", "scale_mode", scale_mode, ("cycle", "iterations"))
        base_lrs = for_each_group("CyclicLR", optimizer, "base_lr", base_lr)
        self.max_lrs = for_each_group("CyclicLR", optimizer, "max_lr", max_lr)
        self.total_size = float(step_size_up + step_size_down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self._scale_fn_custom = mode, gamma, scale_fn
        self.scale_mode = scale_mode if scale_fn else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._take_momentums(optimizer, base_momentum, max_momentum)
        if last_epoch == -1:
            for i, group in enumerate(optimizer.param_groups):
                group["lr"] = group["initial_lr"] = base_lrs[i]
                if cycle_momentum:
                    group["max_momentum"], group["base_momentum"] = self.max_momentums[i], self.base_momentums[i]
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        height = self._height()
        return [base + (highest - base) * height for base, highest in zip(self.base_lrs, self.max_lrs, strict=True)]

    def get_momentum(self) -> list[float]:
        height = self._height()
        return [highest - (highest - base) * height for base, highest in zip(self.base_momentums, self.max_momentums, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Return the state; of scale_fn it has None for a function and the attributes for a callable object."""
        function = self._scale_fn_custom
        saved = None if function is None or isinstance(function, FunctionType) else dict(vars(function))
        return {**super().state_dict(), "_scale_fn_custom": saved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        function = self._scale_fn_custom
        super().load_state_dict(state_dict)
        if state_dict["_scale_fn_custom"] is not None:
            vars(function).update(state_dict["_scale_fn_custom"])
        self._scale_fn_custom = function

    def _height(self) -> float:
        """Return the height in the cycle: 0 at base_lr, 1 at max_lr, multiplied by the scale of the cycle or step."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1 + self.last_epoch / self.total_size - cycle  # the place in the cycle, from 0 to 1
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        n = cycle if self.scale_mode == "cycle" else self.last_epoch
        if self._scale_fn_custom is not None:
            return height * self._scale_fn_custom(n)
        return height * {"triangular": 1.0, "triangular2": 0.5 ** (n - 1), "exp_range": self.gamma**n}[self.mode]
