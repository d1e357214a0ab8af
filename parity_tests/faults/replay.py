"""Judgement of the optimisers: scratch.optim and torch.optim get the same gradients, and every step is compared.

A setting is an optimiser with its options, or gradient clipping alone. Half of the parameters are as small as the steps, and
the gradients' scales run from 1e-10 to 1e5, so that a misplaced eps always shows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import torch

import scratch.optim
from parity.inputs import EPS32
from parity.judging.tolerance import K
from parity.mistakes import registered
from parity.running.trace import to_numpy
from scratch.module import Array, Parameter

STEPS = 50
SCALES = (1e-10, 1e-8, 1e-3, 1.0, 1e5)
SHAPES = ((), (5, 3), (7,), (2, 3, 4), (3, 1, 2))
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd-decay": ("SGD", dict(lr=0.02, weight_decay=0.3)),
    "sgd-momentum": ("SGD", dict(lr=0.05, momentum=0.8, dampening=0.4, weight_decay=0.1)),
    "sgd-nesterov": ("SGD", dict(lr=0.05, momentum=0.8, nesterov=True, maximize=True)),
    "adam": ("Adam", dict(lr=0.02, betas=(0.7, 0.95), eps=1e-5, weight_decay=0.1)),
    "adam-amsgrad": ("Adam", dict(lr=0.02, betas=(0.8, 0.6), amsgrad=True, maximize=True)),
    "adamw": ("AdamW", dict(lr=0.02, betas=(0.7, 0.95), eps=1e-5, weight_decay=0.3)),
    "clip-norm": ("clip_grad_norm_", dict(max_norm=2.0)),
    "clip-tiny-norm": ("clip_grad_norm_", dict(max_norm=1e-6)),
    "clip-1-norm": ("clip_grad_norm_", dict(max_norm=3.0, norm_type=1.0)),
    "clip-value": ("clip_grad_value_", dict(clip_value=0.3)),
}


def largest_ratio(setting: str, seed: int) -> float:
    """Return the largest error over tolerance of scratch in a setting, over all parameters and steps."""
    reference = _reference(setting, seed)
    return _largest(_run(*_scratch(setting), setting, seed, "float64"), reference[0], reference)


def cause(setting: str, seed: int) -> str:
    """Return the known mistakes that make the same steps as scratch in a setting."""
    ours = _run(*_scratch(setting), setting, seed, "float64")
    reference = _reference(setting, seed)
    found = []
    for text, wrong in registered(SETTINGS[setting][0]):
        candidate = _run(*_counterfactual(wrong, setting), setting, seed, "float64")
        if _largest(ours, candidate, reference) <= 1 < _largest(candidate, reference[0], reference):
            found.append(text)
    return "; or, which is the same here: ".join(found)


def _largest(ours: list[Array], target: list[Array], reference: tuple[list[Array], list[Array]]) -> float:
    return max(_ratio(*arrays) for arrays in zip(ours, target, *reference, strict=True))


def _ratio(ours: Array, target: Array, ref64: Array, ref32: Array) -> float:
    """Return the largest error over tolerance of one parameter; the tolerance never falls from step to step."""
    noise, size, scale, distance = (
        np.abs(a).reshape(len(a), -1).max(axis=1) for a in (ref32 - ref64, ref64, target, ours - target)
    )
    unit = np.maximum.accumulate(np.maximum(EPS32 * np.maximum(size, scale), noise))
    tolerance = K * unit * np.finfo(np.float64).eps / EPS32 + np.finfo(np.float64).tiny
    return float(np.max(np.where(np.isfinite(distance), distance, np.inf) / tolerance))


@cache
def _reference(setting: str, seed: int) -> tuple[list[Array], list[Array]]:
    """Return the steps of torch in float64 and in float32."""
    return _run(*_torch(setting), setting, seed, "float64"), _run(*_torch(setting), setting, seed, "float32")


# A side is two functions: one makes a parameter of an array; one makes the step, a function of the learning rate.
Side = tuple[Callable[[Array], Any], Callable[[list[Any]], Callable[[float], None]]]


def _scratch(setting: str) -> Side:
    return Parameter, partial(_stepping, scratch.optim, scratch.optim, setting)


def _torch(setting: str) -> Side:
    return lambda array: torch.nn.Parameter(torch.from_numpy(array)), partial(_stepping, torch.optim, torch.nn.utils, setting)


def _stepping(optimisers: Any, clippings: Any, setting: str, parameters: list[Any]) -> Callable[[float], None]:
    name, options = SETTINGS[setting]
    if name.startswith("clip"):
        return lambda lr: getattr(clippings, name)(parameters, **options)
    optimizer = getattr(optimisers, name)(parameters, **options)

    def step(lr: float) -> None:
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()

    return step


def _counterfactual(wrong: Callable[..., Any], setting: str) -> Side:
    name, options = SETTINGS[setting]

    def stepping(parameters: list[Parameter]) -> Callable[[float], None]:
        states: list[dict[str, Any]] = [{} for _ in parameters]

        def step(lr: float) -> None:
            if name.startswith("clip"):
                for parameter, gradient in zip(parameters, wrong([p.grad for p in parameters], **options), strict=True):
                    parameter.grad = gradient
                return
            for parameter, state in zip(parameters, states, strict=True):
                parameter.data = wrong(parameter.data, parameter.grad, state, **{**options, "lr": lr})

        return step

    return Parameter, stepping


def _run(
    hold: Callable[[Array], Any], stepping: Callable[[list[Any]], Callable[[float], None]], setting: str, seed: int, dtype: str
) -> list[Array]:
    """Return each parameter after every step (steps, ...), with a falling learning rate; for clipping, each gradient."""
    name, options = SETTINGS[setting]
    clips = name.startswith("clip")
    lr = options.get("lr", 1.0)
    starts, gradients = _problem(lr, seed, spread=clips)
    parameters = [hold(np.array(start, dtype)) for start in starts]
    step = stepping(parameters)
    trajectory = []
    for i in range(STEPS):
        for parameter, replayed in zip(parameters, gradients, strict=True):
            parameter.grad = hold(np.array(replayed[i], dtype)).data
        step(lr * (1 - i / STEPS))
        trajectory.append([np.array(to_numpy(p.grad if clips else p.data), np.float64) for p in parameters])
    return [np.stack(of_parameter) for of_parameter in zip(*trajectory, strict=True)]


@cache
def _problem(lr: float, seed: int, spread: bool) -> tuple[list[Array], list[Array]]:
    """Return the initial parameters and the gradients of each; with `spread`, their scale varies from step to step."""
    rng = np.random.default_rng(seed)
    sizes = 10 ** rng.uniform(-11, 0.5, STEPS) if spread else np.ones(STEPS)
    starts, gradients = [], []
    for scale, shape in zip(SCALES, SHAPES, strict=True):
        for start in (lr * scale, 1.0):
            starts.append(np.float32(start * rng.standard_normal(shape)))
            replayed = scale * rng.standard_normal((STEPS, *shape)) * sizes.reshape(-1, *[1] * len(shape))
            gradients.append(replayed.astype(np.float32))
    return starts, gradients
