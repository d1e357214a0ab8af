"""Mistakes in SGD.

A step takes the parameter, its gradient, a state (a dict, empty before the first step) and the options of torch's optimiser. It
returns the new parameter. Parameters are NumPy arrays in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from parity.mistakes.register import definition, mistake
from scratch.module import Array

State = dict[str, Any]
wrong_sgd = partial(mistake, "SGD")


def direction(g: Array, maximize: bool) -> Array:
    """Return the gradient, or its opposite to maximise."""
    return -g if maximize else g


def decayed(g: Array, p: Array, weight_decay: float) -> Array:
    """Add the weight decay to the gradient."""
    return g + weight_decay * p


def moved(buffer: Array, g: Array, momentum: float, dampening: float) -> Array:
    """Return the next momentum buffer."""
    return momentum * buffer + (1 - dampening) * g


def ahead(g: Array, buffer: Array, momentum: float) -> Array:
    """Look ahead along the buffer, as Nesterov's momentum does."""
    return g + momentum * buffer


@definition("SGD")
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
    *,
    direction: Callable[[Array, bool], Array] = direction,
    decayed: Callable[[Array, Array, float], Array] = decayed,
    begun: Callable[[Array, float], Array] = lambda g, dampening: g,
    moved: Callable[[Array, Array, float, float], Array] = moved,
    ahead: Callable[[Array, Array, float], Array] = ahead,
    final: Callable[[Array, Array, float], Array] = lambda g, p, weight_decay: g,
    stepped: Callable[[Array, Array, float], Array] = lambda p, g, lr: p - lr * g,
) -> Array:
    """Compute a step of SGD, in stages."""
    g = decayed(direction(g, maximize), p, weight_decay)
    if momentum:
        first = "buffer" not in state
        state["buffer"] = begun(g, dampening) if first else moved(state["buffer"], g, momentum, dampening)
        g = ahead(g, state["buffer"], momentum) if nesterov else state["buffer"]
    return stepped(p, final(g, p, weight_decay), lr)


@wrong_sgd("uses momentum as in a running mean: adds 1 - momentum of the gradient; torch adds the whole gradient", "moved")
def running_mean(buffer: Array, g: Array, momentum: float, dampening: float) -> Array:
    return momentum * buffer + (1 - momentum) * g


@wrong_sgd("dampens the first step too; torch's buffer starts as the whole gradient", "begun")
def first_step_dampened(g: Array, dampening: float) -> Array:
    return g * (1 - dampening)


@wrong_sgd("ignores dampening", "moved")
def not_dampened(buffer: Array, g: Array, momentum: float, dampening: float) -> Array:
    return momentum * buffer + g


@wrong_sgd("multiplies by the learning rate before the momentum; torch multiplies after it")
def rate_before_momentum(
    p: Array,
    g: Array,
    state: State,
    lr: float,
    momentum: float = 0,
    dampening: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
    maximize: bool = False,
) -> Array:
    return sgd(p, lr * g, state, 1.0, momentum, dampening, lr * weight_decay, nesterov, maximize)


@wrong_sgd("ignores nesterov", "ahead")
def not_ahead(g: Array, buffer: Array, momentum: float) -> Array:
    return buffer


@wrong_sgd("looks ahead from the buffer; Nesterov's momentum looks ahead from the gradient", "ahead")
def ahead_from_buffer(g: Array, buffer: Array, momentum: float) -> Array:
    return buffer + momentum * buffer


@wrong_sgd("leaves weight_decay out", "decayed")
def not_decayed(g: Array, p: Array, weight_decay: float) -> Array:
    return g


wrong_sgd("adds the weight decay before and after the momentum; torch adds it before", "final")(decayed)


@wrong_sgd("subtracts the weight decay from the gradient; it is added", "decayed")
def decay_subtracted(g: Array, p: Array, weight_decay: float) -> Array:
    return g - weight_decay * p


@wrong_sgd("climbs: the step has the wrong sign", "stepped")
def climbs(p: Array, g: Array, lr: float) -> Array:
    return p + lr * g


@wrong_sgd("ignores maximize", "direction")
def always_minimised(g: Array, maximize: bool) -> Array:
    return g


@wrong_sgd("does not decay the buffer by momentum", "moved")
def buffer_not_decayed(buffer: Array, g: Array, momentum: float, dampening: float) -> Array:
    return buffer + (1 - dampening) * g
