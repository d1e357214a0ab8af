"""Parts of a training step as subjects: optimisers, gradient clipping, learning-rate schedules and warm-up factors.

Each runs for several steps on the inputs of its case, NumPy arrays or tensors. It returns every result by name, such as
`parameter 2 after step 7`. It has no backward.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from scratch.module import Parameter

Results = dict[str, Any]  # arrays, or tensors, by name


@dataclass(frozen=True)
class TrainingSteps:
    """An optimiser, clipping function, schedule or warm-up with its options, as a function of arrays or tensors.

    target     the class or function
    options    its options, the same for both backends
    find       returns another object of its package by a path inside `optim`: "SGD", "lr_scheduler.StepLR"
    """

    target: Callable[..., Any]
    options: Mapping[str, Any]
    find: Callable[[str], Any]

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """Return the target, which `inspect.unwrap` then finds."""
        return self.target

    def __call__(self, *inputs: Any, **options: Any) -> Results:
        """Return the results of all steps by name."""
        raise NotImplementedError(f"{type(self).__name__} runs no steps")


class OptimiserSteps(TrainingSteps):
    """An optimiser: each parameter after every step, and its state after the last."""

    def __call__(
        self,
        parameters: Sequence[Any],
        gradients: Sequence[Sequence[Any]],
        factors: Any = None,
        groups: Sequence[Mapping[str, Any]] | None = None,
    ) -> Results:
        """Return the results of one step for each list of gradients; a gradient may be None.

        factors     what the learning rates of all groups are multiplied by, at each step
        groups      the options of each group, with the indices of its parameters as "params"; None for one group
        """
        held = [_parameter(value) for value in parameters]
        optimizer = self.optimiser(held, groups)
        first_rates = [group["lr"] for group in optimizer.param_groups]
        results: Results = {}
        for step, of_step in enumerate(gradients):
            for parameter, gradient in zip(held, of_step, strict=True):
                parameter.grad = gradient
            for group, lr in zip(optimizer.param_groups, first_rates, strict=True):
                group["lr"] = lr if factors is None else lr * float(factors[step])
            optimizer.step()
            results |= {f"parameter {i} after step {step + 1}": _value(p.data) for i, p in enumerate(held)}
        return results | _state(optimizer, len(gradients))

    def optimiser(self, parameters: Sequence[Any], groups: Sequence[Mapping[str, Any]] | None) -> Any:
        """Return the optimiser over these parameters."""
        if groups is None:
            return self.target(parameters, **self.options)
        members = [{**group, "params": [parameters[i] for i in group["params"]]} for group in groups]
        return self.target(members, **self.options)


class ClippingSteps(TrainingSteps):
    """Gradient clipping: the total norm, where the function returns one, and each gradient after it."""

    def __call__(self, gradients: Sequence[Sequence[Any]], limits: Any) -> Results:
        """Return the results of one call for each list of gradients and its limit; a gradient may be None."""
        results: Results = {}
        for step, (of_step, limit) in enumerate(zip(gradients, limits, strict=True), start=1):
            held = [_parameter(limits if gradient is None else gradient) for gradient in of_step]
            for parameter, gradient in zip(held, of_step, strict=True):
                parameter.grad = _value(gradient)
            total = self.target(iter(held), float(limit), **self.options)
            if total is not None:
                results[f"total norm of step {step}"] = _numbers_like(limits, float(total))
            results |= {f"clipped {i} of step {step}": p.grad for i, p in enumerate(held) if p.grad is not None}
        return results


class ScheduleSteps(TrainingSteps):
    """A schedule: the learning rate and the momentum of each group before every step."""

    def __call__(self, rates: Any, steps: int, optimiser: str = "SGD") -> Results:
        """Return the results for an optimiser whose groups begin with these learning rates."""
        groups = [{"params": [_parameter(rates)], "lr": lr} for lr in rates.tolist()]
        optimizer = self.find(optimiser)(groups, **FIRST_MOMENTUM[optimiser])
        seen = []
        with warnings.catch_warnings(), _cosines_in_dtype(rates):
            warnings.simplefilter("ignore", UserWarning)  # some of torch's schedules warn of what others of them do
            scheduler = self.schedule(optimizer)
            for _ in range(steps):
                seen.append([(group["lr"], momentum_of(group)) for group in optimizer.param_groups])
                optimizer.step()
                scheduler.step()
        return by_group(rates, seen)

    def schedule(self, optimizer: Any) -> Any:
        """Return the schedule of this optimiser; "schedulers" among the options are pairs of a name and options."""
        options = dict(self.options)
        if "schedulers" in options:
            parts = [(self.find(f"lr_scheduler.{name}"), of_part) for name, of_part in options["schedulers"]]
            options["schedulers"] = [part(optimizer, **of_part) for part, of_part in parts]
        return self.target(optimizer, **options)


class FactorSteps(TrainingSteps):
    """A factor for LambdaLR: the learning rate of each group before every step."""

    def __call__(self, rates: Any, steps: int) -> Results:
        """Return the results for groups that begin with these learning rates."""
        factor = self.target(**self.options)
        return by_group(rates, [[(lr * factor(step),) for lr in rates.tolist()] for step in range(steps)])


FIRST_MOMENTUM: dict[str, dict[str, Any]] = {"SGD": {"momentum": 0.3}, "AdamW": {"betas": (0.9, 0.999)}}


def steps_of(reference: Any) -> type[TrainingSteps] | None:
    """Return the kind of training steps that a reference has; None for ops, layers and models."""
    if isinstance(reference, type):
        kinds: dict[type, type[TrainingSteps]] = {
            torch.optim.Optimizer: OptimiserSteps,
            torch.optim.lr_scheduler.LRScheduler: ScheduleSteps,
        }
        return next((kind for base, kind in kinds.items() if issubclass(reference, base)), None)
    module = getattr(reference, "__module__", "") or ""
    if module.startswith("torch.nn.utils.clip_grad"):
        return ClippingSteps
    return FactorSteps if module == "reference.lr_scheduler" else None


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


def _parameter(value: Any) -> Any:
    """Return a parameter of the value's backend that holds a copy of the value."""
    return torch.nn.Parameter(value.clone()) if isinstance(value, torch.Tensor) else Parameter(value.copy())


def _value(value: Any) -> Any:
    """Return a copy of an array or tensor; None as it is."""
    if value is None:
        return None
    return value.detach().clone() if isinstance(value, torch.Tensor) else np.array(value)


def _numbers_like(value: Any, numbers: Any) -> Any:
    """Return numbers in the backend and dtype of an array or tensor."""
    return value.new_tensor(numbers) if isinstance(value, torch.Tensor) else np.array(numbers, value.dtype)


def _state(optimizer: Any, steps: int) -> Results:
    """Return the optimiser's state by name: that of each parameter that has one; the number of steps as an integer."""
    results: Results = {}
    for i, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if value is not None:
                value = np.array(int(value)) if name == "step" else _value(value)
                results[f"{name} of parameter {i} after step {steps}"] = value
    return results


def momentum_of(group: Mapping[str, Any]) -> float:
    """Return the momentum of a group of SGD, or the first of Adam's betas."""
    return float(group["momentum"] if "momentum" in group else group["betas"][0])


def by_group(rates: Any, seen: Sequence[Sequence[Sequence[float]]]) -> Results:
    """Return the numbers of each group over all steps, in the dtype of the rates, from those of each step."""
    names = ("learning rate", "momentum")
    return {
        f"{name} of group {i}": _numbers_like(rates, [of_step[i][place] for of_step in seen])
        for i in range(len(rates))
        for place, name in enumerate(names[: len(seen[0][0])])
    }
