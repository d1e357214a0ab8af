"""Mistakes in one step of a recurrent layer: those of every cell, and those of the activations of gates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.functions import activation  # noqa: F401  its mistakes come first
from parity.mistakes.functions.recurrent_kernels import kernel
from parity.mistakes.functions.recurrent_unrolling import NextH, State, cell, product
from parity.mistakes.passes import constant, with_gradient_of
from parity.mistakes.register import definition, mistake, registered

KINDS = ("rnn_tanh", "rnn_relu", "lstm", "gru")
Stage = Callable[..., Any]

for kind in KINDS:
    definition(f"{kind}_cell")(partial(cell, kind))
    definition(kind)(partial(kernel, kind))


def in_step(message: str, *kinds: str, **stages: Any) -> None:
    """Register a mistake in a step, for the kernels of one step and of whole sequences."""
    for kind in kinds:
        mistake(f"{kind}_cell", message)(partial(cell, kind, **stages))
        mistake(kind, message)(partial(kernel, kind, **stages))


def wrong_stage(message: str, stage: str, *kinds: str) -> Callable[[Stage], Stage]:
    """Register a function for a stage of a step."""

    def register(wrong: Stage) -> Stage:
        in_step(message, *kinds, **{stage: wrong})
        return wrong

    return register


def wrong_slopes(kind: str, function: str, gates: dict[str, str]) -> None:
    """Register the mistakes of an activation for all gates that have it together, and for each of them."""
    for message, wrong in registered(function):
        in_step(f"its {function} {message}", kind, **dict.fromkeys(gates, wrong))
    for gate, name in gates.items() if len(gates) > 1 else ():
        for message, wrong in registered(function):
            in_step(f"the {function} of {name} {message}", kind, **{gate: wrong})


def constant_gates(kind: str, functions: dict[str, Callable[[Tensor], Tensor]], gates: dict[str, str]) -> None:
    """Register gates through which no gradient flows."""
    for gate, name in gates.items():
        in_step(f"treats {name} as a constant in the backward pass", kind, **{gate: lambda z, f=functions[gate]: constant(f(z))})


@wrong_stage("leaves bias_ih out", "biases", *KINDS)
def no_bias_ih(bias_ih: Any, bias_hh: Any) -> tuple[Any, Any]:
    return None, bias_hh


@wrong_stage("leaves bias_hh out", "biases", *KINDS)
def no_bias_hh(bias_ih: Any, bias_hh: Any) -> tuple[Any, Any]:
    return bias_ih, None


@wrong_stage("adds bias_ih in place of bias_hh", "biases", *KINDS)
def bias_ih_twice(bias_ih: Any, bias_hh: Any) -> tuple[Any, Any]:
    return bias_ih, bias_ih


@wrong_stage("adds bias_hh in place of bias_ih", "biases", *KINDS)
def bias_hh_twice(bias_ih: Any, bias_hh: Any) -> tuple[Any, Any]:
    return bias_hh, bias_hh


def _transposed(weight_hh: Tensor) -> Tensor:
    """Transpose the square weight of each gate."""
    return weight_hh.unflatten(0, (-1, weight_hh.shape[1])).transpose(1, 2).flatten(0, 1)


@wrong_stage("multiplies h by weight_hh; it is multiplied by the transpose of weight_hh", "of_h", *KINDS)
def transposed(h: Tensor, weight_hh: Tensor, bias_hh: Any, next_h: NextH) -> Tensor:
    return F.linear(h, _transposed(weight_hh), bias_hh)


@wrong_stage("multiplies by the transpose of weight_hh in dh; the factor is weight_hh itself", "of_h", *KINDS)
def transposed_in_dh(h: Tensor, weight_hh: Tensor, bias_hh: Any, next_h: NextH) -> Tensor:
    b = F.linear(h.detach(), weight_hh, bias_hh)
    return with_gradient_of(b, b + F.linear(h, _transposed(weight_hh).detach()))


@wrong_stage("treats the previous h as a constant in the backward pass: no gradient flows through it", "carried", *KINDS)
def h_constant(state: State) -> State:
    return constant(state[0]), *state[1:]


@wrong_stage("ignores the gradient of the final h", "final", *KINDS)
def no_dh_n(state: State) -> State:
    return constant(state[0]), *state[1:]


@wrong_stage("multiplies the gradient of weight_hh by the step's own h; the factor is the previous h", "of_h", *KINDS)
def gradient_by_new_h(h: Tensor, weight_hh: Tensor, bias_hh: Any, next_h: NextH) -> Tensor:
    b = product(h, weight_hh, bias_hh, next_h)
    return with_gradient_of(b, F.linear(h, weight_hh.detach(), bias_hh) + F.linear(next_h(b).detach(), weight_hh))
