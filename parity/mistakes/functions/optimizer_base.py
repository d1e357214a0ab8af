"""Mistakes in what all optimisers and schedules share: states that are loaded, gradients of 0 or None, options that change.

A mistake takes a class of torch.optim and returns a class derived from it.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import torch

from parity.mistakes.register import mistake

wrong_optimizer = partial(mistake, "Optimizer")
wrong_schedule = partial(mistake, "LRScheduler")
Kind = type[Any]


def loading(wrong: Callable[[Any, Any], None]) -> Callable[[Kind], Kind]:
    """Return a mistake in load_state_dict; `wrong` changes a state before an optimiser or a schedule loads it."""

    def derive(kind: Kind) -> Kind:
        def load_state_dict(self: Any, state_dict: Any) -> None:
            state_dict = deepcopy(state_dict)
            wrong(self, state_dict)
            kind.load_state_dict(self, state_dict)

        return type(kind.__name__, (kind,), {"load_state_dict": load_state_dict})

    return derive


def stepping(before: Callable[[Any], None], after: Callable[[Any], None] = lambda optimizer: None) -> Callable[[Kind], Kind]:
    """Return a mistake in step(): `before` changes gradients or options, and `after` restores them."""

    def derive(kind: Kind) -> Kind:
        def step(self: Any) -> None:
            before(self)
            kind.step(self)
            after(self)

        return type(kind.__name__, (kind,), {"step": step})

    return derive


def all_parameters(optimizer: Any) -> list[Any]:
    """Return the parameters of all groups."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def without_array(name: str, optimizer: Any, state_dict: Any) -> None:
    """Set an array of each parameter's state to 0, or leave a momentum out, which then begins anew."""
    for state in state_dict["state"].values():
        if name == "momentum_buffer":
            state.pop(name, None)
        elif name in state:
            state[name].zero_()


for name in ("step", "momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
    wrong_optimizer(f"loses {name} when it loads a state")(loading(partial(without_array, name)))


def own_options(names: tuple[str, ...], optimizer: Any, state_dict: Any) -> None:
    """Keep the options of the optimiser that loads a state."""
    for group, saved in zip(optimizer.param_groups, state_dict["param_groups"], strict=True):
        saved.update({name: group[name] for name in names or saved if name in group and name != "params"})


wrong_optimizer("keeps its own options when it loads a state; it takes those of the state")(loading(partial(own_options, ())))
for name in ("lr", "betas", "momentum"):
    wrong_optimizer(f"keeps its own {name} when it loads a state; it takes that of the state")(
        loading(partial(own_options, (name,)))
    )


@wrong_optimizer("loads the state of the first group's parameters only")
@loading
def only_first_group(optimizer: Any, state_dict: Any) -> None:
    first = state_dict["param_groups"][0]["params"]
    state_dict["state"] = {i: state for i, state in state_dict["state"].items() if i in first}


@wrong_optimizer("sets the gradients to 0 in zero_grad(); it sets them to None")
def zeros(kind: Kind) -> Kind:
    def zero_grad(self: Any) -> None:
        for parameter in all_parameters(self):
            parameter.grad = None if parameter.grad is None else torch.zeros_like(parameter.grad)

    return type(kind.__name__, (kind,), {"zero_grad": zero_grad})


@wrong_optimizer("deletes the gradients of the first group only in zero_grad()")
def zero_grad_of_first(kind: Kind) -> Kind:
    def zero_grad(self: Any) -> None:
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None

    return type(kind.__name__, (kind,), {"zero_grad": zero_grad})


@wrong_optimizer("skips a parameter whose gradient is 0; its momentum and its weight decay go on")
@stepping
def zero_skipped(optimizer: Any) -> None:
    for parameter in all_parameters(optimizer):
        if parameter.grad is not None and not parameter.grad.any():
            parameter.grad = None


@wrong_optimizer("takes a missing gradient for 0; it skips that parameter")
@stepping
def none_as_zero(optimizer: Any) -> None:
    for parameter in all_parameters(optimizer):
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


def cached(name: str) -> Callable[[Kind], Kind]:
    """Return the mistake of a step with an option as it was at the first step."""

    def before(optimizer: Any) -> None:
        now = [group.get(name) for group in optimizer.param_groups]
        first = optimizer.__dict__.setdefault(f"first_{name}", now)
        optimizer.now = now
        for group, value in zip(optimizer.param_groups, first, strict=True):
            group.update({name: value} if name in group else {})

    def after(optimizer: Any) -> None:
        for group, value in zip(optimizer.param_groups, optimizer.now, strict=True):
            group.update({name: value} if name in group else {})

    return stepping(before, after)


for name in ("lr", "momentum", "weight_decay", "betas", "eps"):
    wrong_optimizer(f"keeps the {name} of its first step; the option may change")(cached(name))


def kept(name: str, scheduler: Any, state_dict: Any) -> None:
    """Keep an attribute of the schedule that loads a state."""
    if name in state_dict:
        state_dict[name] = deepcopy(getattr(scheduler, name))


for name in ("last_epoch", "base_lrs", "T_i", "T_cur", "max_lrs", "base_momentums", "max_momentums", "_schedule_phases"):
    wrong_schedule(f"keeps its own {name} when it loads a state")(loading(partial(kept, name)))


@wrong_schedule("returns the rates of its first step from get_last_lr()")
def stale(kind: Kind) -> Kind:
    def get_last_lr(self: Any) -> list[float]:
        return list(self.__dict__.setdefault("rates_of_first_step", self._last_lr))

    return type(kind.__name__, (kind,), {"get_last_lr": get_last_lr})


@wrong_schedule("returns the rate of the first group for all groups from get_last_lr()")
def of_first_group(kind: Kind) -> Kind:
    def get_last_lr(self: Any) -> list[float]:
        return [self._last_lr[0]] * len(self._last_lr)

    return type(kind.__name__, (kind,), {"get_last_lr": get_last_lr})
