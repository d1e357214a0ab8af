"""Mistakes in optimisers and clipping, as updates of NumPy arrays in float64.

An update takes the parameter, its gradient, what is kept for it from step to step (a dict, empty before the first) and
the options of the torch optimiser; it returns the new parameter. A clipping takes all gradients and returns them clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from scratch.module import Array

State = dict[str, Any]


def sgd(
    p: Array,
    g: Array,
    state: State,
    lr: float,
    momentum: float = 0,
    dampening: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
    maximize: bool = False,
    change: str = "",
) -> Array:
    """A step of SGD with one change."""
    dampening = {"running mean": momentum, "no dampening": 0.0}.get(change, dampening)
    g = -g if maximize and change != "no maximize" else g
    decay = {"no decay": 0.0, "decay's sign": -weight_decay}.get(change, weight_decay) * p
    g = g + decay
    if momentum:
        scale = lr if change == "lr inside" else 1.0
        if "buffer" not in state:
            state["buffer"] = scale * g * (1 - dampening if change == "first step dampened" else 1)
        else:
            kept = 1.0 if change == "buffer kept" else momentum
            state["buffer"] = kept * state["buffer"] + (1 - dampening) * scale * g
        if nesterov and change != "no nesterov":
            g = (state["buffer"] if change == "buffer twice" else scale * g) + momentum * state["buffer"]
        else:
            g = state["buffer"]
        lr = 1.0 if change == "lr inside" else lr
    g = g + decay if change == "decay twice" else g
    return p + lr * g if change == "climbs" else p - lr * g


def adam(
    p: Array,
    g: Array,
    state: State,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    amsgrad: bool = False,
    maximize: bool = False,
    decoupled_weight_decay: bool = False,
    change: str = "",
) -> Array:
    """A step of Adam with one change."""
    beta1, beta2 = betas[::-1] if change == "betas swapped" else betas
    first_lr = state.setdefault("first lr", lr)
    t = state["t"] = state.get("t", 0) + 1
    g = -g if maximize and change != "no maximize" else g
    weight_decay = 0.0 if change == "no decay" else weight_decay
    if {"decoupled": True, "coupled": False}.get(change, decoupled_weight_decay):
        p = p * (1 - {"decay without lr": 1.0, "decay by first lr": first_lr}.get(change, lr) * weight_decay)
    else:
        g = g + weight_decay * p
    square = np.abs(g) if change == "|g|" else g * g
    state["m"] = beta1 * state.get("m", 0.0) + (1.0 if change == "whole gradient" else 1 - beta1) * g
    v = state["v"] = beta2 * state.get("v", 0.0) + (1 - beta2) * square
    if amsgrad and change != "no amsgrad":
        pick = np.minimum if change == "amsgrad's minimum" else np.maximum
        v = state["highest"] = pick(state.get("highest", 0.0), v)
        state["v"] = v if change == "amsgrad kept" else state["v"]
    late = max(t - 1, 1) if change == "step behind" else t
    correction1 = 1.0 if change in ("uncorrected", "second corrected") else 1 - beta1**late
    correction2 = 1.0 if change in ("uncorrected", "first corrected") else 1 - beta2**late
    v = v / correction2
    root = v * np.sqrt(correction2) if change == "no root" else np.sqrt(v)
    eps = {"no eps": 0.0, "eps before correction": eps / np.sqrt(correction2)}.get(change, eps)
    divisor = np.sqrt(v + eps * eps) if change == "eps² inside" else np.sqrt(v + eps) if change == "eps inside" else root + eps
    return np.asarray(p - lr * (state["m"] / correction1) / divisor)


def clip_grad_norm_(gradients: list[Array], max_norm: float, norm_type: float = 2.0, change: str = "") -> list[Array]:
    """Clipping by norm with one change."""
    norm_type = 2.0 if change == "2-norm" else norm_type
    norms = [float(np.linalg.norm(g.ravel(), norm_type)) for g in gradients]
    total = float(np.linalg.norm(norms, norm_type))
    total = {"squared": total**2, "added": sum(norms), "largest": max(norms)}.get(change, total)
    small = 0.0 if change == "no 1e-6" else 1e-6
    totals = norms if change == "each" else [total] * len(norms)
    scales = [max_norm / (n + small) for n in totals]
    return [g * (scale if change == "up too" else min(scale, 1.0)) for g, scale in zip(gradients, scales, strict=True)]


def _with(function: Callable[..., Any], texts: dict[str, str]) -> list[tuple[str, Callable[..., Any]]]:
    return [(text, partial(function, change=change)) for change, text in texts.items()]


_of_adam = {
    "uncorrected": "does not correct the bias of the running means",
    "first corrected": "corrects the bias of the first mean only",
    "second corrected": "corrects the bias of the second mean only",
    "step behind": "corrects the bias by the step before: t starts at 1",
    "eps before correction": "adds eps before the bias correction; it belongs after",
    "eps inside": "adds eps under the root; it belongs outside",
    "eps² inside": "adds eps² under the root; eps belongs outside",
    "no eps": "leaves eps out",
    "no root": "divides by the second mean rather than its root",
    "betas swapped": "takes the second of betas for the first mean and the first for the second",
    "|g|": "averages |g| rather than g²",
    "whole gradient": "adds the whole gradient to the first mean; its share is 1 - beta1",
    "coupled": "adds the weight decay to the gradient; AdamW's shrinks the parameter",
    "decoupled": "shrinks the parameter by the weight decay; Adam's is added to the gradient",
    "decay without lr": "decays by weight_decay; AdamW's decay is lr x weight_decay",
    "decay by first lr": "decays by the first learning rate; AdamW's decay takes the current one",
    "no decay": "leaves weight_decay out",
    "no amsgrad": "ignores amsgrad",
    "amsgrad's minimum": "keeps the lowest second mean; amsgrad keeps the highest",
    "amsgrad kept": "goes on from the highest second mean; amsgrad's running mean goes on from its own",
    "no maximize": "ignores maximize",
}

TABLE: dict[str, list[tuple[str, Callable[..., Any]]]] = {
    "SGD": _with(
        sgd,
        {
            "running mean": "takes momentum for a running mean: adds 1 - momentum of the gradient; torch adds the whole",
            "first step dampened": "dampens the first step too; torch's buffer starts as the whole gradient",
            "no dampening": "ignores dampening",
            "lr inside": "multiplies by the learning rate before the momentum; torch does after it",
            "no nesterov": "ignores nesterov",
            "buffer twice": "looks ahead from the buffer; nesterov looks ahead from the gradient",
            "no decay": "leaves weight_decay out",
            "decay twice": "adds the weight decay before and after the momentum; torch adds it before",
            "decay's sign": "subtracts the weight decay from the gradient; it is to be added",
            "climbs": "climbs: the step has the wrong sign",
            "no maximize": "ignores maximize",
            "buffer kept": "does not decay the buffer by momentum",
        },
    ),
    "Adam": _with(adam, _of_adam),
    "AdamW": _with(partial(adam, decoupled_weight_decay=True), _of_adam),
    "clip_grad_value_": [
        ("keeps no upper bound", lambda gradients, clip_value: [np.maximum(g, -clip_value) for g in gradients]),
        ("keeps no lower bound", lambda gradients, clip_value: [np.minimum(g, clip_value) for g in gradients]),
    ],
    "clip_grad_norm_": _with(
        clip_grad_norm_,
        {
            "each": "clips each tensor by its own norm; torch's norm is that of all together",
            "no 1e-6": "leaves out the 1e-6 that torch adds to the norm",
            "up too": "scales small gradients up as well",
            "squared": "takes the squared norm",
            "added": "adds up the norms of the tensors; the norm is that of all numbers together",
            "largest": "takes the largest of the tensors' norms",
            "2-norm": "ignores norm_type",
        },
    ),
}
