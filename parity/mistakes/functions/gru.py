"""Mistakes in the cell of a GRU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.functions.recurrent_step import constant_gates, in_step, wrong_slopes, wrong_stage
from parity.mistakes.functions.recurrent_unrolling import CELLS, NextH, State, Weights
from parity.mistakes.passes import constant, with_gradient_of

Function = Callable[[Tensor], Tensor]
Reset = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]  # of r, h, h's product, the candidate's weight and bias
OTHER_ORDERS = ("u r n", "n r u", "n u r")
GATES: dict[str, Function] = {"r": torch.sigmoid, "u": torch.sigmoid, "n": torch.tanh}


def reset_product(r: Tensor, h: Tensor, product: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Reset the contribution of h to the candidate."""
    return r * product


def mix(u: Tensor, n: Tensor, h: Tensor) -> Tensor:
    """Mix the candidate and the previous h."""
    return (1 - u) * n + u * h


def gru(
    a: Tensor,
    b: Tensor,
    state: State,
    weights: Weights,
    *,
    order: str = "r u n",
    r: Function = torch.sigmoid,
    u: Function = torch.sigmoid,
    n: Function = torch.tanh,
    reset: Reset = reset_product,
    candidate_of_x: Callable[[Tensor, Tensor], Tensor] = lambda r, product: product,
    mixed: Callable[[Tensor, Tensor, Tensor], Tensor] = mix,
) -> State:
    """Compute the next state of a GRU from what x and h contribute, (B, 3 H) each."""
    (h,) = state
    of_x, of_h = (dict(zip(order.split(), part.chunk(3, dim=-1), strict=True)) for part in (a, b))
    reset_gate, update_gate = r(of_x["r"] + of_h["r"]), u(of_x["u"] + of_h["u"])
    weight = weights[1].chunk(3)[2]
    bias = weight.new_zeros(len(weight)) if weights[3] is None else weights[3].chunk(3)[2]
    candidate = n(candidate_of_x(reset_gate, of_x["n"]) + reset(reset_gate, h, of_h["n"], weight, bias))
    return (mixed(update_gate, candidate, h),)


CELLS["gru"] = gru
for order in OTHER_ORDERS:
    in_step(f"has its gates in the order {order}; torch's order is r u n", "gru", order=order)


@wrong_stage("swaps bias_ih and bias_hh", "biases", "gru")
def biases_swapped(bias_ih: Any, bias_hh: Any) -> tuple[Any, Any]:
    return bias_hh, bias_ih


@wrong_stage("resets h before its product with weight_hh; torch resets the product", "reset", "gru")
def reset_before_product(r: Tensor, h: Tensor, product: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(r * h, weight, bias)


@wrong_stage("adds bias_hh after the reset; torch resets it too", "reset", "gru")
def bias_not_reset(r: Tensor, h: Tensor, product: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return r * F.linear(h, weight) + bias


@wrong_stage("has no reset gate", "reset", "gru")
def no_reset(r: Tensor, h: Tensor, product: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return product


@wrong_stage("resets the contribution of x too; torch resets only that of h", "candidate_of_x", "gru")
def reset_of_both(r: Tensor, product: Tensor) -> Tensor:
    return r * product


@wrong_stage("uses 1 - u as the share of the old h; it is u", "mixed", "gru")
def turned_round(u: Tensor, n: Tensor, h: Tensor) -> Tensor:
    return u * n + (1 - u) * h


@wrong_stage("adds the whole candidate n; its share is 1 - u", "mixed", "gru")
def whole_candidate(u: Tensor, n: Tensor, h: Tensor) -> Tensor:
    return n + u * h


@wrong_stage("leaves the factor r out of the backward pass", "reset", "gru")
def gradient_without_r(r: Tensor, h: Tensor, product: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return with_gradient_of(r * product, r * product.detach() + product)


@wrong_stage("leaves the factor r out of the gradients of weight_hh and bias_hh", "reset", "gru")
def weight_and_bias_without_r(r: Tensor, h: Tensor, product: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return with_gradient_of(r * product, r * F.linear(h, weight.detach(), bias.detach()) + F.linear(h.detach(), weight, bias))


@wrong_stage("leaves the factor r out of the gradient of weight_hh", "reset", "gru")
def weight_without_r(r: Tensor, h: Tensor, product: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return with_gradient_of(r * product, r * F.linear(h, weight.detach(), bias) + F.linear(h.detach(), weight))


@wrong_stage("leaves the factor r out of the gradient of bias_hh, which differs from that of bias_ih", "reset", "gru")
def bias_without_r(r: Tensor, h: Tensor, product: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return with_gradient_of(r * product, r * F.linear(h, weight, bias.detach()) + bias)


@wrong_stage("leaves the gradient through u h out of the backward pass", "mixed", "gru")
def no_dh_through_u(u: Tensor, n: Tensor, h: Tensor) -> Tensor:
    return mix(u, n, constant(h))


@wrong_stage("leaves the gradient through weight_hh out of the backward pass", "of_h", "gru")
def no_dh_through_weight(h: Tensor, weight_hh: Tensor, bias_hh: Any, next_h: NextH) -> Tensor:
    return F.linear(constant(h), weight_hh, bias_hh)


@wrong_stage("leaves - n out of the gradient of the update gate, dh (h - n)", "mixed", "gru")
def du_by_h(u: Tensor, n: Tensor, h: Tensor) -> Tensor:
    return (1 - u.detach()) * n + u * h


@wrong_stage("leaves h out of the gradient of the update gate, dh (h - n)", "mixed", "gru")
def du_by_n(u: Tensor, n: Tensor, h: Tensor) -> Tensor:
    return (1 - u) * n + u.detach() * h


in_step("uses sigmoid instead of the tanh of the candidate n", "gru", n=torch.sigmoid)
in_step("leaves out the tanh of the candidate n", "gru", n=lambda z: z)
wrong_slopes("gru", "sigmoid", {"r": "the reset gate", "u": "the update gate"})
wrong_slopes("gru", "tanh", {"n": "the candidate n"})
constant_gates("gru", GATES, {"r": "the reset gate", "u": "the update gate", "n": "the candidate"})
