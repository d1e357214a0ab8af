"""Mistakes in Adam and AdamW; a step takes the same arguments as one of SGD."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from parity.mistakes.functions.sgd import State, always_minimised, decayed, direction
from parity.mistakes.register import definition, mistake
from scratch.module import Array

Betas = tuple[float, float]
Stage = Callable[..., Any]


def shrunk(p: Array, lr: float, first_lr: float, weight_decay: float) -> Array:
    """Shrink the parameter by AdamW's weight decay."""
    return p * (1 - lr * weight_decay)


def first_mean(m: Any, g: Array, beta1: float) -> Array:
    """Return the next running mean of the gradient."""
    return beta1 * m + (1 - beta1) * g


def corrections(beta1: float, beta2: float, t: int) -> Betas:
    """Return the divisors that correct the bias of both running means."""
    return 1 - beta1**t, 1 - beta2**t


def divisor(v: Array, eps: float, correction2: float) -> Array:
    """Return the divisor of a step from the corrected second mean."""
    return np.sqrt(v) + eps


@definition("Adam")
def adam(
    p: Array,
    g: Array,
    state: State,
    lr: float,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    amsgrad: bool = False,
    maximize: bool = False,
    decoupled_weight_decay: bool = False,
    *,
    ordered: Callable[[Betas], Betas] = lambda betas: betas,
    taken: Callable[[float], float] = lambda weight_decay: weight_decay,
    direction: Callable[[Array, bool], Array] = direction,
    decouples: Callable[[bool], bool] = lambda decoupled: decoupled,
    shrunk: Callable[[Array, float, float, float], Array] = shrunk,
    decayed: Callable[[Array, Array, float], Array] = decayed,
    squared: Callable[[Array], Array] = np.square,
    first_mean: Callable[[Any, Array, float], Array] = first_mean,
    highest: Callable[[Any, Array], Array] = np.maximum,
    kept: Callable[[Array, Array], Array] = lambda v, highest: v,
    corrections: Callable[[float, float, int], Betas] = corrections,
    divisor: Callable[[Array, float, float], Array] = divisor,
) -> Array:
    """Compute a step of Adam, in stages."""
    beta1, beta2 = ordered(betas)
    weight_decay = taken(weight_decay)
    first_lr, t = state.setdefault("first lr", lr), state.get("t", 0) + 1
    g = direction(g, maximize)
    if decouples(decoupled_weight_decay):
        p = shrunk(p, lr, first_lr, weight_decay)
    else:
        g = decayed(g, p, weight_decay)
    state["t"], state["m"] = t, first_mean(state.get("m", 0.0), g, beta1)
    v = state["v"] = beta2 * state.get("v", 0.0) + (1 - beta2) * squared(g)
    if amsgrad:
        v = state["highest"] = highest(state.get("highest", 0.0), v)
        state["v"] = kept(state["v"], v)
    correction1, correction2 = corrections(beta1, beta2, t)
    return np.asarray(p - lr * (state["m"] / correction1) / divisor(v / correction2, eps, correction2))


definition("AdamW")(partial(adam, decoupled_weight_decay=True))


def in_both(message: str, stage: str) -> Callable[[Stage], Stage]:
    """Register a wrong stage for Adam and for AdamW."""

    def register(wrong: Stage) -> Stage:
        for function in ("Adam", "AdamW"):
            mistake(function, message, stage)(wrong)
        return wrong

    return register


@in_both("adds eps before the bias correction; it is added after it", "divisor")
def eps_before_correction(v: Array, eps: float, correction2: float) -> Array:
    return np.sqrt(v) + eps / np.sqrt(correction2)


@in_both("adds eps under the root; it belongs outside", "divisor")
def eps_inside(v: Array, eps: float, correction2: float) -> Array:
    return np.sqrt(v + eps)


@in_both("adds eps² under the root; eps belongs outside", "divisor")
def eps_squared_inside(v: Array, eps: float, correction2: float) -> Array:
    return np.sqrt(v + eps * eps)


@in_both("leaves eps out", "divisor")
def no_eps(v: Array, eps: float, correction2: float) -> Array:
    return np.sqrt(v)


@in_both("divides by the second mean rather than its root", "divisor")
def no_root(v: Array, eps: float, correction2: float) -> Array:
    return v * np.sqrt(correction2) + eps


@in_both("adds the weight decay to the gradient; AdamW shrinks the parameter", "decouples")
def coupled(decoupled: bool) -> bool:
    return False


@in_both("shrinks the parameter by the weight decay; Adam adds it to the gradient", "decouples")
def decoupled(decoupled: bool) -> bool:
    return True


@in_both("decays by weight_decay; AdamW's decay is lr x weight_decay", "shrunk")
def decay_without_rate(p: Array, lr: float, first_lr: float, weight_decay: float) -> Array:
    return p * (1 - weight_decay)


@in_both("decays by the first learning rate; AdamW's decay uses the current one", "shrunk")
def decay_by_first_rate(p: Array, lr: float, first_lr: float, weight_decay: float) -> Array:
    return p * (1 - first_lr * weight_decay)


@in_both("leaves weight_decay out", "taken")
def no_weight_decay(weight_decay: float) -> float:
    return 0.0


in_both("ignores maximize", "direction")(always_minimised)
