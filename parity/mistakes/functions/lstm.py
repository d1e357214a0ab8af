"""Mistakes in the cell of an LSTM."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.functions.recurrent_step import constant_gates, in_step, wrong_slopes, wrong_stage
from parity.mistakes.functions.recurrent_unrolling import CELLS, State, Weights
from parity.mistakes.passes import constant, with_gradient_of

Function = Callable[[Tensor], Tensor]
OTHER_ORDERS = ("i f o g", "i o f g", "i g f o", "f i g o", "f i o g", "o f i g")
GATES: dict[str, Function] = {"i": torch.sigmoid, "f": torch.sigmoid, "g": torch.tanh, "o": torch.sigmoid}
NAMES = {"i": "the input gate", "f": "the forget gate", "o": "the output gate"}


def new_c(i: Tensor, f: Tensor, g: Tensor, c: Tensor) -> Tensor:
    """Compute the next c from the gates and the previous c."""
    return f * c + i * g


def lstm(
    a: Tensor,
    b: Tensor,
    state: State,
    weights: Weights,
    *,
    order: str = "i f g o",
    i: Function = torch.sigmoid,
    f: Function = torch.sigmoid,
    g: Function = torch.tanh,
    o: Function = torch.sigmoid,
    c: Function = torch.tanh,
    next_c: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = new_c,
    shown_c: Callable[[Tensor, Tensor], Tensor] = lambda old, new: new,
) -> State:
    """Compute the next state of an LSTM from what x and h contribute, (B, 4 H) each."""
    z = dict(zip(order.split(), (a + b).chunk(4, dim=-1), strict=True))
    new = next_c(i(z["i"]), f(z["f"]), g(z["g"]), state[1])
    h = o(z["o"]) * c(shown_c(state[1], new))
    return h if weights[4] is None else F.linear(h, weights[4]), new


CELLS["lstm"] = lstm
for order in OTHER_ORDERS:
    in_step(f"has its gates in the order {order}; torch's order is i f g o", "lstm", order=order)


@wrong_stage("adds 1 to the forget gate; torch leaves this to the biases", "f", "lstm")
def forget_bias(z: Tensor) -> Tensor:
    return torch.sigmoid(z + 1)


@wrong_stage("uses 1 - i as the forget gate; the forget gate has its own weights", "next_c", "lstm")
def coupled(i: Tensor, f: Tensor, g: Tensor, c: Tensor) -> Tensor:
    return (1 - i) * c + i * g


@wrong_stage("has no forget gate", "next_c", "lstm")
def nothing_forgotten(i: Tensor, f: Tensor, g: Tensor, c: Tensor) -> Tensor:
    return c + i * g


@wrong_stage("computes h from the previous c; h is o tanh(c) of the new c", "shown_c", "lstm")
def old_c(old: Tensor, new: Tensor) -> Tensor:
    return old


@wrong_stage("treats the previous c as a constant in the backward pass: no gradient flows through it", "carried", "lstm")
def c_constant(state: State) -> State:
    return state[0], constant(state[1])


@wrong_stage("treats the previous h and c as constants in the backward pass: no gradient flows through them", "carried", "lstm")
def state_constant(state: State) -> State:
    return constant(state[0]), constant(state[1])


@wrong_stage("ignores the gradient of the final c", "final", "lstm")
def no_dc_n(state: State) -> State:
    return state[0], constant(state[1])


@wrong_stage("ignores the gradients of the final h and c", "final", "lstm")
def neither_dh_n_nor_dc_n(state: State) -> State:
    return constant(state[0]), constant(state[1])


@wrong_stage("passes dc to the previous step without the factor f", "next_c", "lstm")
def dc_without_f(i: Tensor, f: Tensor, g: Tensor, c: Tensor) -> Tensor:
    return with_gradient_of(f * c, f * c.detach() + c) + i * g


@wrong_stage("multiplies the gradient of the forget gate by the new c; the factor is the previous c", "next_c", "lstm")
def df_by_new_c(i: Tensor, f: Tensor, g: Tensor, c: Tensor) -> Tensor:
    new = new_c(i, f, g, c)
    return with_gradient_of(new, f * new.detach() + f.detach() * c + i * g)


in_step("leaves out the tanh of c", "lstm", c=lambda z: z)
in_step("uses sigmoid instead of the tanh of c", "lstm", c=torch.sigmoid)
in_step("uses sigmoid instead of the tanh of the candidate g", "lstm", g=torch.sigmoid)
in_step("leaves out the tanh of the candidate g", "lstm", g=lambda z: z)
wrong_slopes("lstm", "sigmoid", NAMES)
wrong_slopes("lstm", "tanh", {"g": "the candidate g", "c": "c"})
constant_gates("lstm", GATES, NAMES | {"g": "the candidate"})


@wrong_stage("leaves the gradient from h to c out of the backward pass: o (1 - tanh² c)", "c", "lstm")
def h_to_c_lost(c: Tensor) -> Tensor:
    return constant(torch.tanh(c))
