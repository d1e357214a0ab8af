"""Mistakes in how a module or function reads its inputs and options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from parity.running import nested
from parity.running.problem import Build, Problem, other_numbers
from scratch.module import Array

Reference = tuple[Build, Problem]


def other_mode(subject: Any, build: Build, problem: Problem) -> Iterator[tuple[str, Reference]]:
    """Yield a module that behaves as in the other mode."""
    if isinstance(subject, torch.nn.Module):
        message = "behaves as in eval mode in training" if subject.training else "behaves as in training in eval mode"
        yield message, (lambda: build().train(not subject.training), problem)


def left_out(subject: Any, build: Build, problem: Problem) -> Iterator[tuple[str, Reference]]:
    """Yield the name of each optional input of a module, or array among the options of a function, and a reference without it."""
    if isinstance(subject, torch.nn.Module):
        for name, parameter in zip(problem.inputs, inspect.signature(subject.forward).parameters.values(), strict=False):
            if parameter.default is None and problem.inputs[name] is not None:
                yield name, (build, replace(problem, inputs={**problem.inputs, name: None}))
    elif isinstance(subject, partial):
        for name, value in subject.keywords.items():
            if isinstance(value, torch.Tensor):
                yield name, (partial(partial, subject, **{name: None}), problem)


def read_wrongly(build: Build, problem: Problem) -> Iterator[tuple[str, Reference]]:
    """Yield references that read integers wrongly: lengths off by one, sequences off by one step or backwards."""
    for name, value in problem.inputs.items():
        for message, other in _other_integers(name, value):
            yield message, (build, replace(problem, inputs={**problem.inputs, name: other}))


def _other_integers(name: str, value: Any) -> Iterator[tuple[str, Array]]:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu":
        return
    if value.ndim == 1:
        yield f"uses {name} + 1", np.minimum(value + 1, value.max())
        yield f"uses {name} - 1", np.maximum(value - 1, value.min())
    elif value.ndim == 2:
        yield f"reads {name} one step late", np.roll(value, 1, axis=1)
        yield f"reads {name} one step early", np.roll(value, -1, axis=1)
        yield f"reads {name} backwards", value[:, ::-1]


def of_a_later_call(build: Build, problem: Problem) -> Iterator[tuple[str, Reference]]:
    """Yield a reference with the inputs of another call."""
    message = "belongs to a later call: the backward uses values that the next call has overwritten"
    yield message, (build, replace(problem, inputs=nested.map_leaves(other_numbers, dict(problem.inputs))))


def other_switches(subject: Any, build: Build, problem: Problem) -> Iterator[tuple[str, Reference]]:
    """Yield modules of ours with one boolean attribute inverted."""
    if not isinstance(subject, torch.nn.Module) or type(subject).__module__.startswith("torch."):
        return
    for name, value in vars(subject).items():
        if isinstance(value, bool) and name != "training" and not name.startswith("_"):
            yield f"uses {name} = {not value} instead of {value}", (partial(_inverted, build, name), problem)


def _inverted(build: Callable[[], Any], name: str) -> Any:
    module = build()
    setattr(module, name, not getattr(module, name))
    return module
