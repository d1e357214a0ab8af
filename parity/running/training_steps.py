"""Parts of a training step as subjects: the base of all kinds, optimisers and gradient clipping.

Each runs for several steps on the inputs of its case, NumPy arrays or tensors. It returns every result by name, such as
`parameter 2 after step 7`. It has no backward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from parity.running.layout import in_layout
from parity.running.tensor_name import after_step
from scratch.module import Parameter

Results = dict[str, Any]  # arrays, or tensors, by name
NamedOptions = tuple[str, Mapping[str, Any]]  # a name inside `optim.lr_scheduler`, and options


@dataclass(frozen=True)
class TrainingSteps:
    """A part of training with its options, as a function of arrays or tensors.

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
    """An optimiser: each parameter after every step, and the groups and the state after the last."""

    def __call__(
        self,
        parameters: Sequence[Any],
        gradients: Sequence[Sequence[Any]],
        factors: Any = None,
        groups: Sequence[Mapping[str, Any]] | None = None,
        schedule: NamedOptions | None = None,
        changed: Mapping[int, Mapping[str, Any]] | None = None,
        resumed: Mapping[int, int] | None = None,
        zero_grad: bool = False,
    ) -> Results:
        """Return the results of one step for each list of gradients; a gradient may be None.

        factors     what the learning rates of all groups are multiplied by, at each step
        groups      the options of each group, with the indices of its parameters as "params"; None for one group
        schedule    a learning-rate schedule that makes a step after each step of the optimiser
        changed     options that all groups take after some steps
        resumed     the steps after which a new optimiser loads the state, each with an addition to its count of steps
        zero_grad   whether zero_grad() deletes the gradients; otherwise, they are deleted here
        """
        held = [_parameter(value, i) for i, value in enumerate(parameters)]
        optimizer = self.optimiser(held, groups, **self.options)
        scheduler = self._schedule(optimizer, schedule)
        first_rates = [group["lr"] for group in optimizer.param_groups]
        results: Results = {}
        saved: dict[int, Any] = {}
        for step, of_step in enumerate(gradients, start=1):
            if zero_grad:
                optimizer.zero_grad()
            for parameter, gradient in zip(held, of_step, strict=True):
                if gradient is not None or not zero_grad:
                    parameter.grad = gradient
            if factors is not None:
                for group, lr in zip(optimizer.param_groups, first_rates, strict=True):
                    group["lr"] = lr * float(factors[step - 1])
            optimizer.step()
            if scheduler:
                scheduler.step()
            for group in optimizer.param_groups:
                group.update((changed or {}).get(step, {}))
            results |= {after_step(f"parameter {i}", step): copied_value(p.data) for i, p in enumerate(held)}
            if step in (resumed or {}):
                saved[step] = _older(optimizer.state_dict(), (resumed or {})[step])
                held = [_parameter(p.data, i) for i, p in enumerate(held)]
                optimizer, scheduler = self._resumed(saved[step], held, groups, schedule, scheduler)
        for step, state in saved.items():  # which training must leave as they were
            results |= {f"saved {name}": value for name, value in _state(state, step).items()}
        if groups is not None:
            results[after_step("number of groups", len(gradients))] = np.array(len(optimizer.param_groups))
        return results | _state(optimizer.state_dict(), len(gradients))

    def optimiser(self, parameters: Sequence[Any], groups: Sequence[Mapping[str, Any]] | None, **options: Any) -> Any:
        """Return the optimiser over these parameters."""
        if groups is None:
            return self.target(parameters, **options)
        return self.target([{**group, "params": [parameters[i] for i in group["params"]]} for group in groups], **options)

    def _resumed(self, saved: Any, held: Sequence[Any], groups: Any, schedule: NamedOptions | None, old: Any) -> tuple[Any, Any]:
        """Return a new optimiser and schedule that load a state; all of its options come from there."""
        optimizer = self.optimiser(held, groups and [{"params": group["params"]} for group in groups])
        scheduler = self._schedule(optimizer, schedule)
        if scheduler:
            scheduler.load_state_dict(deepcopy(old.state_dict()))
        of_torch = isinstance(optimizer, torch.optim.Optimizer)  # which goes on in the arrays that it loads
        optimizer.load_state_dict(deepcopy(saved) if of_torch else saved)
        return optimizer, scheduler

    def _schedule(self, optimizer: Any, schedule: NamedOptions | None) -> Any:
        """Return a new schedule of an optimiser, or None."""
        return self.find(f"lr_scheduler.{schedule[0]}")(optimizer, **schedule[1]) if schedule else None


class ClippingSteps(TrainingSteps):
    """Gradient clipping: the total norm, where the function returns one, and each gradient after it."""

    def __call__(self, gradients: Sequence[Sequence[Any]], limits: Any, alone: bool = False) -> Results:
        """Return the results of one call for each list of gradients and its limit; a gradient may be None.

        alone    whether the function is given its only parameter itself, not an iterator
        """
        results: Results = {}
        for step, (of_step, limit) in enumerate(zip(gradients, limits, strict=True), start=1):
            held = [_parameter(limits if gradient is None else gradient, i) for i, gradient in enumerate(of_step)]
            for i, (parameter, gradient) in enumerate(zip(held, of_step, strict=True)):
                parameter.grad = _in_other_memory(gradient, i)
            with np.errstate(invalid="ignore"):  # infinity times 0
                total = self.target(held[0] if alone else iter(held), float(limit), **self.options)
            if total is not None:
                results[f"total norm of step {step}"] = numbers_like(limits, float(total))
            results |= {f"clipped {i} of step {step}": p.grad for i, p in enumerate(held) if p.grad is not None}
        return results


def _parameter(value: Any, i: int) -> Any:
    """Return a parameter of the value's backend that holds a copy of the value; every second array is in Fortran order."""
    return torch.nn.Parameter(value.clone()) if isinstance(value, torch.Tensor) else Parameter(_in_other_memory(value, i))


def _in_other_memory(value: Any, i: int) -> Any:
    """Return a copy of an array or tensor, every second array in Fortran order; None as it is."""
    if isinstance(value, np.ndarray) and i % 2:
        return in_layout(value, tuple(reversed(range(value.ndim))))
    return copied_value(value)


def copied_value(value: Any) -> Any:
    """Return a copy of an array or tensor; None as it is."""
    if value is None:
        return None
    return value.detach().clone() if isinstance(value, torch.Tensor) else np.array(value)


def numbers_like(value: Any, numbers: Any) -> Any:
    """Return numbers in the backend and dtype of an array or tensor."""
    return value.new_tensor(numbers) if isinstance(value, torch.Tensor) else np.array(numbers, value.dtype)


def _older(state_dict: Any, steps: int) -> Any:
    """Return a copy of an optimiser's state in which each parameter has made more steps."""
    state_dict = deepcopy(state_dict)
    for state in state_dict["state"].values():
        if "step" in state:
            state["step"] += steps
    return state_dict


def _state(state_dict: Any, steps: int) -> Results:
    """Return an optimiser's state by name: that of each parameter that has one; the number of steps as an integer."""
    return {
        after_step(f"{name} of parameter {i}", steps): np.array(int(value)) if name == "step" else copied_value(value)
        for i, state in state_dict["state"].items()
        for name, value in state.items()
        if value is not None
    }
