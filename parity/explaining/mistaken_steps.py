"""Known mistakes in optimisers, gradient clipping and schedules, run for the steps of a case.

A mistake has the parameters after each step, the clipped gradients or the learning rates that it leads to. It has no state of
an optimiser and no total norm: these may be kept in other ways.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from parity.mistakes import registered
from parity.running.generation_steps import TokenSteps
from parity.running.problem import Problem, Tensors
from parity.running.run_reference import run_reference
from parity.running.schedule_steps import FIRST_MOMENTUM, ScheduleSteps, by_group, momentum_of
from parity.running.training_steps import ClippingSteps, OptimiserSteps, TrainingSteps
from scratch.module import Array, Parameter

Wrong = Callable[..., Any]
BASES: dict[type[TrainingSteps], str] = {OptimiserSteps: "Optimizer", ScheduleSteps: "LRScheduler"}


def mistaken_steps(right: TrainingSteps, problem: Problem) -> Iterator[tuple[str, Callable[[bool], Tensors]]]:
    """Yield what each known mistake says of a reference's steps, with a run that has the results of the mistake."""
    name = str(right.target.__name__)
    for text, wrong in registered(name):
        yield text, partial(run_mistake, wrong, right, problem)
    for text, derive in registered(BASES.get(type(right), "")):
        yield text, partial(run_derived, derive, right, problem)


def run_mistake(wrong: Wrong, right: TrainingSteps, problem: Problem, backward: bool = True) -> Tensors:
    """Return the results of a mistake; {} where it cannot run on this case."""
    inputs = problem.inputs.values()
    with suppress(Exception), np.errstate(all="ignore"):
        if isinstance(right, OptimiserSteps):
            return OptimiserSteps(partial(_WrongOptimiser, wrong, right.target), right.options, right.find)(*inputs)
        if isinstance(right, ClippingSteps):
            return ClippingSteps(partial(_clip, wrong), right.options, right.find)(*inputs)
        if isinstance(right, TokenSteps):
            return TokenSteps(wrong, right.options, right.find)(*inputs)
        return _wrong_rates(wrong, right, **problem.inputs)
    return {}


def run_derived(derive: Callable[[Any], Any], right: TrainingSteps, problem: Problem, backward: bool = True) -> Tensors:
    """Return the results of a mistake in the base class of an optimiser or of schedules; {} where it cannot run."""

    def find(path: str) -> Any:
        found = right.find(path)
        return derive(found) if path.startswith("lr_scheduler.") and isinstance(right, ScheduleSteps) else found

    with suppress(Exception):
        wrong = replace(right, target=derive(right.target), find=find)
        return run_reference(lambda: wrong, problem, "float64").tensors
    return {}


class _WrongOptimiser:
    """An optimiser whose update has a mistake, with the options of the right one."""

    def __init__(self, update: Wrong, right: Any, params: Iterable[Any], **options: Any):
        listed: list[Any] = list(params)
        groups = listed if isinstance(listed[0], Mapping) else [{"params": listed}]
        twins = [{**group, "params": [torch.nn.Parameter(torch.zeros(1)) for _ in group["params"]]} for group in groups]
        filled = right(twins, **options).param_groups
        self.param_groups = [{**whole, "params": group["params"]} for whole, group in zip(filled, groups, strict=True)]
        self.update = update
        self.states: dict[int, dict[str, Any]] = {}

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            options = _taken(self.update, group)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.states.setdefault(id(parameter), {})
                    parameter.data = self.update(parameter.data, parameter.grad, state, **options)

    def zero_grad(self) -> None:
        """Delete the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return no state."""
        return {"state": {}}


def _clip(wrong: Wrong, parameters: Iterable[Parameter] | Parameter, limit: float, **options: Any) -> None:
    parameters = [parameters] if isinstance(parameters, Parameter) else parameters
    held = [parameter for parameter in parameters if parameter.grad is not None]
    for parameter, gradient in zip(held, wrong([p.grad for p in held], limit, **options), strict=True):
        parameter.grad = gradient


def _wrong_rates(wrong: Wrong, right: TrainingSteps, rates: Array, steps: int, optimiser: str = "") -> Tensors:
    """Return the learning rates of a mistaken schedule, and the momentum where the schedule is that of an optimiser."""
    options = _taken(wrong, _defaults(right.target) | dict(right.options))
    if "schedulers" in right.options:
        options["parts"] = [_part(right, name, of_part, rates, steps) for name, of_part in right.options["schedulers"]]
    rows = [[wrong(t, lr, **options) for lr in rates.tolist()] for t in range(steps)]
    if optimiser:
        momentum = momentum_of(FIRST_MOMENTUM[optimiser])
        return by_group(rates, [[each if isinstance(each, tuple) else (each, momentum) for each in row] for row in rows])
    return by_group(rates, [[(each,) for each in row] for row in rows])


def _part(right: TrainingSteps, name: str, options: Mapping[str, Any], rates: Array, steps: int) -> Callable[[int, float], float]:
    """Return one schedule of a sequence as a function of the step and the first learning rate."""
    part = ScheduleSteps(right.find(f"lr_scheduler.{name}"), options, right.find)
    results = part(torch.from_numpy(rates), steps + 1)
    rows: dict[float, Sequence[float]] = {
        lr: results[f"learning rate of group {i}"].tolist() for i, lr in enumerate(rates.tolist())
    }
    return lambda t, lr: rows[lr][t]


def _defaults(target: Any) -> dict[str, Any]:
    """Return the options that a class or function has by default."""
    parameters = inspect.signature(target).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not each.empty}


def _taken(wrong: Wrong, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a mistake takes."""
    parameters = inspect.signature(wrong).parameters
    return {name: value for name, value in options.items() if name in parameters}
