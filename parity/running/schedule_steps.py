"""Learning-rate schedules and warm-up factors as subjects: what they set for each group before every step."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch

from parity.running.training_steps import Results, TrainingSteps, numbers_like
from scratch.module import Parameter

FIRST_MOMENTUM: dict[str, dict[str, Any]] = {"SGD": {"momentum": 0.3}, "AdamW": {"betas": (0.9, 0.999)}}
RATES_OF_RESUMED = 0.7  # of a new optimiser, before it loads those of the old one


class ScheduleSteps(TrainingSteps):
    """A schedule: the learning rate and the momentum of each group before every step."""

    def __call__(
        self,
        rates: Any,
        steps: int,
        optimiser: str = "SGD",
        saved: Sequence[int] = (),
        restarted: Sequence[int] = (),
        epochs: Sequence[float | None] = (),
        resumed_with: Mapping[str, Any] | None = None,
    ) -> Results:
        """Return the results for an optimiser whose groups begin with these learning rates.

        saved         the steps after which a new schedule of a new optimiser loads the states of the old ones
        restarted     the steps that a new schedule makes, from last_epoch and the optimiser's state alone
        epochs        the argument of each step of the schedule, where it takes one
        resumed_with  other options of the new schedules, which the states replace
        """
        optimizer = self._optimiser(optimiser, rates, rates.tolist())
        seen = []
        with warnings.catch_warnings(), _cosines_in_dtype(rates):
            warnings.simplefilter("ignore", UserWarning)  # some of torch's schedules warn of what others of them do
            scheduler = self.schedule(optimizer)
            for step in range(1, steps + 1):
                rows = zip(optimizer.param_groups, scheduler.get_last_lr(), strict=True)
                seen.append([_set_by_schedule(group, last) for group, last in rows])
                optimizer.step()
                if step in restarted:
                    optimizer = self._loaded(optimiser, rates, optimizer)
                    scheduler = self.schedule(optimizer, last_epoch=scheduler.last_epoch)
                else:
                    scheduler.step(*epochs[step - 1 : step])
                if step in saved:
                    old, optimizer = optimizer, self._optimiser(optimiser, rates, [RATES_OF_RESUMED] * len(rates))
                    state, scheduler = deepcopy(scheduler.state_dict()), self.schedule(optimizer, **(resumed_with or {}))
                    scheduler.load_state_dict(state)
                    optimizer.load_state_dict(deepcopy(old.state_dict()))
        return by_group(rates, seen)

    def schedule(self, optimizer: Any, **more: Any) -> Any:
        """Return the schedule of this optimiser; "schedulers" among the options are pairs of a name and options."""
        options = {**self.options, **more}
        if "schedulers" in options:
            parts = [(self.find(f"lr_scheduler.{name}"), of_part) for name, of_part in options["schedulers"]]
            options["schedulers"] = [part(optimizer, **of_part) for part, of_part in parts]
        return self.target(optimizer, **options)

    def _optimiser(self, name: str, rates: Any, first_rates: Sequence[float]) -> Any:
        """Return an optimiser with a group for each learning rate."""
        return self.find(name)([{"params": [_parameter(rates)], "lr": lr} for lr in first_rates], **FIRST_MOMENTUM[name])

    def _loaded(self, name: str, rates: Any, old: Any) -> Any:
        """Return a new optimiser that has loaded the state of another."""
        optimizer = self._optimiser(name, rates, [RATES_OF_RESUMED] * len(rates))
        optimizer.load_state_dict(deepcopy(old.state_dict()))
        return optimizer


class FactorSteps(TrainingSteps):
    """A factor for LambdaLR: the learning rate of each group before every step."""

    def __call__(self, rates: Any, steps: int) -> Results:
        """Return the results for groups that begin with these learning rates."""
        factor = self.target(**self.options)
        return by_group(rates, [[(lr * factor(step),) for lr in rates.tolist()] for step in range(steps)])


@contextmanager
def _cosines_in_dtype(rates: Any) -> Iterator[None]:
    """Let PyTorch's schedules compute their cosines in the dtype of the learning rates, if these are a tensor.

    The schedules compute in Python's floats, whatever the dtype is. CosineAnnealingLR divides by numbers near 0, which multiplies
    the rounding of the angles. Only a run with float32 cosines shows by how much.
    """
    if not isinstance(rates, torch.Tensor):
        yield
        return
    in_dtype = SimpleNamespace(**vars(math) | {"cos": lambda angle: float(rates.new_tensor(angle).cos())})
    with patch.object(torch.optim.lr_scheduler, "math", in_dtype):
        yield


def _parameter(rates: Any) -> Any:
    """Return a parameter of the backend of the learning rates."""
    return torch.nn.Parameter(rates.clone()) if isinstance(rates, torch.Tensor) else Parameter(rates.copy())


def momentum_of(group: Mapping[str, Any]) -> float:
    """Return the momentum of a group of SGD, or the first of Adam's betas."""
    return float(group["momentum"] if "momentum" in group else group["betas"][0])


def _set_by_schedule(group: Mapping[str, Any], last_rate: float) -> tuple[float, ...]:
    """Return all numbers of a group that a schedule sets or must leave alone."""
    return group["lr"], momentum_of(group), last_rate, *group.get("betas", ())[1:]


def by_group(rates: Any, seen: Sequence[Sequence[Sequence[float]]]) -> Results:
    """Return the numbers of each group over all steps, in the dtype of the rates, from those of each step."""
    names = ("learning rate", "momentum", "last learning rate", "second beta")
    return {
        f"{name} of group {i}": numbers_like(rates, [of_step[i][place] for of_step in seen])
        for i in range(len(rates))
        for place, name in enumerate(names[: len(seen[0][0])])
    }
