"""Schedules that multiply each group's initial rate by a factor."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any

from scratch.optim.lr_scheduler.checks import whole, within
from scratch.optim.lr_scheduler.scheduler import LRScheduler
from scratch.optim.optimizer import Optimizer


class LambdaLR(LRScheduler):
    """A schedule whose factor is a function of the number of the step, from 0; one function, or one for each group."""

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]], last_epoch: int = -1
    ):
        functions = list(lr_lambda) if isinstance(lr_lambda, Sequence) else [lr_lambda] * len(optimizer.param_groups)
        if len(functions) != len(optimizer.param_groups) or not all(map(callable, functions)):
            raise ValueError(
                f"LambdaLR: expected a function as lr_lambda, or one for each of {len(optimizer.param_groups)} groups, "
                f"got {lr_lambda!r}"
            )
        self.lr_lambdas = functions
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [base_lr * factor(self.last_epoch) for base_lr, factor in zip(self.base_lrs, self.lr_lambdas, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Return the state; of lr_lambdas it has None for a function and the attributes for a callable object."""
        saved = [None if isinstance(f, FunctionType) else dict(vars(f)) for f in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": saved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        functions = self.lr_lambdas
        super().load_state_dict(state_dict)
        self.lr_lambdas = functions
        for function, attributes in zip(functions, state_dict["lr_lambdas"], strict=True):
            if attributes is not None:
                vars(function).update(attributes)


class _FactorLR(LRScheduler):
    """A schedule with one factor for all groups."""

    def multiplier(self) -> float:
        """Return the factor of base_lrs at last_epoch."""
        raise NotImplementedError(f"{self._name} has no multiplier")

    def get_lr(self) -> list[float]:
        multiplier = self.multiplier()
        return [base_lr * multiplier for base_lr in self.base_lrs]


class StepLR(_FactorLR):
    """A schedule that multiplies the rate by gamma every step_size steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1):
        whole("StepLR", 1, step_size=step_size)
        within("StepLR", 0, math.inf, gamma=gamma)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def multiplier(self) -> float:
        return self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(_FactorLR):
    """A schedule that multiplies the rate by gamma at each milestone, and twice at one that is given twice."""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1):
        self.milestones = Counter(milestones)
        for milestone in self.milestones:
            whole("MultiStepLR", 0, milestone=milestone)
        within("MultiStepLR", 0, math.inf, gamma=gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def multiplier(self) -> float:
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), self.last_epoch)


class ConstantLR(_FactorLR):
    """A schedule that multiplies the rate by `factor` in the first total_iters steps."""

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1):
        within("ConstantLR", 0, 1, factor=factor)
        whole("ConstantLR", 1, total_iters=total_iters)
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def multiplier(self) -> float:
        return self.factor if self.last_epoch < self.total_iters else 1.0


class LinearLR(_FactorLR):
    """A schedule whose factor goes from start_factor to end_factor in total_iters equal steps, and stays there."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        within("LinearLR", 0, 1, start_factor=start_factor, end_factor=end_factor)
        whole("LinearLR", 1, total_iters=total_iters)
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def multiplier(self) -> float:
        share = min(self.last_epoch / self.total_iters, 1.0)
        return self.start_factor + (self.end_factor - self.start_factor) * share


class ExponentialLR(_FactorLR):
    """A schedule that multiplies the rate by gamma at every step."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        within("ExponentialLR", 0, math.inf, gamma=gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def multiplier(self) -> float:
        return self.gamma**self.last_epoch


class PolynomialLR(_FactorLR):
    """A schedule with the factor (1 - step / total_iters) ** power, down to 0."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1):
        whole("PolynomialLR", 1, total_iters=total_iters)
        within("PolynomialLR", 0, math.inf, power=power)
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def multiplier(self) -> float:
        return (1 - min(self.last_epoch / self.total_iters, 1.0)) ** self.power
