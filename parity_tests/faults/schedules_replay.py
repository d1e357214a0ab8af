"""Judgement of the schedules: every step of scratch.optim.lr_scheduler is compared with torch's.

A setting is a schedule with its options, or a warm-up for LambdaLR. It drives SGD with momentum and three parameter groups.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import torch

import reference.lr_scheduler
import scratch.optim
from parity.mistakes import registered
from parity.mistakes.functions.schedule_factors import linear
from parity.mistakes.functions.schedule_waves import cosine
from scratch.module import Array, Parameter

STEPS = 60
MOMENTUM = 0.3
PARTS: list[tuple[str, dict[str, Any]]] = [
    ("LinearLR", dict(start_factor=0.2, total_iters=9)),
    ("CosineAnnealingLR", dict(T_max=13)),
    ("ExponentialLR", dict(gamma=0.9)),
]
RIGHT_PARTS = [
    partial(linear, end_factor=1.0, **PARTS[0][1]),
    partial(cosine, **PARTS[1][1]),
    lambda t, lr: lr * PARTS[2][1]["gamma"] ** t,
]
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "step-lr": ("StepLR", dict(step_size=7, gamma=0.6)),
    "multi-step-lr": ("MultiStepLR", dict(milestones=[30, 5, 5, 19], gamma=0.7)),
    "constant-lr": ("ConstantLR", dict(factor=0.3, total_iters=11)),
    "linear-lr": ("LinearLR", dict(start_factor=0.2, end_factor=0.9, total_iters=23)),
    "exponential-lr": ("ExponentialLR", dict(gamma=0.93)),
    "polynomial-lr": ("PolynomialLR", dict(total_iters=31, power=1.7)),
    "cosine-lr": ("CosineAnnealingLR", dict(T_max=19, eta_min=1e-3)),
    "restarts-lr": ("CosineAnnealingWarmRestarts", dict(T_0=5, T_mult=3, eta_min=1e-3)),
    "cyclic-lr": ("CyclicLR", dict(base_lr=0.01, max_lr=0.3, step_size_up=7, step_size_down=11, mode="triangular2")),
    "cyclic-range-lr": ("CyclicLR", dict(base_lr=0.01, max_lr=0.3, step_size_up=8, mode="exp_range", gamma=0.95)),
    "one-cycle-lr": ("OneCycleLR", dict(max_lr=0.3, total_steps=STEPS, pct_start=0.4, final_div_factor=8.0)),
    "one-cycle-linear-lr": ("OneCycleLR", dict(max_lr=0.3, total_steps=STEPS, three_phase=True, anneal_strategy="linear")),
    "sequential-lr": ("SequentialLR", dict(milestones=[9, 31])),
    "linear-warm-up": ("linear_warm_up", dict(warm_up_steps=13)),
    "warm-up-cosine": ("warm_up_cosine", dict(warm_up_steps=13, total_steps=51, lowest=0.1)),
    "noam": ("noam", dict(d_model=96, warm_up_steps=17)),
}


def largest_ratio(setting: str, seed: int) -> float:
    """Return the largest error over tolerance of scratch in a setting, over all groups, rates, momentums and steps."""
    return ratio(walk(setting, seed, scratch.optim), truth_of(setting, seed))


def cause(setting: str, seed: int) -> str:
    """Return the known mistakes that make the same steps as scratch in a setting."""
    ours, truth = walk(setting, seed, scratch.optim), truth_of(setting, seed)
    wrongs = ((text, mistaken(wrong, setting, seed)) for text, wrong in registered(SETTINGS[setting][0]))
    return "; or, which is the same here: ".join(text for text, wrong in wrongs if ratio(ours, wrong) <= 1 < ratio(wrong, truth))


def ratio(ours: Array, target: Array) -> float:
    """Return the largest error over tolerance, which allows for the roundings of closed forms and of chains of products."""
    tolerance = 1e-11 * np.abs(target) + 1e-15 * np.abs(target).max(axis=0)
    distance = np.abs(ours - target)
    return float(np.max(np.where(np.isfinite(distance), distance, np.inf) / tolerance))


@cache
def truth_of(setting: str, seed: int) -> Array:
    """Return the steps of torch's schedule."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # some of torch's schedules warn of what others do
        return walk(setting, seed, torch.optim)


def walk(setting: str, seed: int, library: Any) -> Array:
    """Return the learning rate and the momentum of each group at every step (STEPS, groups, 2)."""
    theirs = library is torch.optim
    name, options = SETTINGS[setting]
    groups = [
        {"params": [torch.nn.Parameter(torch.zeros(1)) if theirs else Parameter(np.zeros(1))], "lr": lr} for lr in begins(seed)
    ]
    optimizer, schedules = library.SGD(groups, momentum=MOMENTUM), library.lr_scheduler
    if name == "SequentialLR":
        parts = [getattr(schedules, part)(optimizer, **of_part) for part, of_part in PARTS]
        scheduler = schedules.SequentialLR(optimizer, parts, **options)
    elif name[0].islower():
        factors = reference.lr_scheduler if theirs else schedules
        scheduler = schedules.LambdaLR(optimizer, getattr(factors, name)(**options))
    else:
        scheduler = getattr(schedules, name)(optimizer, **options)
    seen = []
    for _ in range(STEPS):
        seen.append([(group["lr"], group["momentum"]) for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return np.array(seen, float)


def mistaken(wrong: Callable[..., Any], setting: str, seed: int) -> Array:
    """Return the steps of a mistake, as `walk` returns those of a library."""
    name, options = SETTINGS[setting]
    options = options | {"parts": RIGHT_PARTS} if name == "SequentialLR" else options
    steps = [[wrong(t, lr, **options) for lr in begins(seed)] for t in range(STEPS)]
    return np.array([[both if isinstance(both, tuple) else (both, MOMENTUM) for both in step] for step in steps], float)


def begins(seed: int) -> list[float]:
    """Return the initial learning rates of three groups."""
    return list(10 ** np.random.default_rng(seed).uniform(-4, 0, 3))
