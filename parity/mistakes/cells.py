"""Mistakes in recurrent cells: each cell spelt out with one change, by its name, or with other functions for its gates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes import activation
from parity.mistakes.graft import graft

Function = Callable[[Tensor], Tensor]
State = tuple[Tensor, ...]
Mistake = tuple[str, dict[str, Any]]  # what it says of the culprit, and what is changed

RNN_GATES: dict[str, Function] = {"h": torch.tanh}
LSTM_GATES: dict[str, Function] = {"i": torch.sigmoid, "f": torch.sigmoid, "g": torch.tanh, "o": torch.sigmoid, "c": torch.tanh}
GRU_GATES: dict[str, Function] = {"r": torch.sigmoid, "u": torch.sigmoid, "n": torch.tanh}
LSTM_ORDERS = ("i f o g", "i o f g", "i g f o", "f i g o", "f i o g", "o f i g")
GRU_ORDERS = ("u r n", "n r u", "n u r")


def held(x: Tensor) -> Tensor:
    """The same numbers with a gradient of 0."""
    return graft(x, 0 * x)


def rnn(a: Tensor, b: Tensor, state: State, weights: list[Any], gates: dict[str, Function], change: str) -> State:
    """The next state of an RNN, of what x and h give, (B, H) each."""
    return (gates["h"](a + b),)


def lstm(a: Tensor, b: Tensor, state: State, weights: list[Any], gates: dict[str, Function], change: str) -> State:
    """The next state of an LSTM, of what x and h give, (B, 4 H) each."""
    _, c = state
    order = change if change in LSTM_ORDERS else "i f g o"
    z = dict(zip(order.split(), (a + b).chunk(4, dim=-1), strict=True))
    z["f"] = z["f"] + 1 if change == "forget bias" else z["f"]
    i, f, g, o = (gates[gate](z[gate]) for gate in "ifgo")
    f = {"coupled": 1 - i, "nothing forgotten": torch.ones_like(f)}.get(change, f)
    kept = graft(f * c, f * c.detach() + c) if change == "dc not by f" else f * c
    new = kept + i * g
    if change == "df by the new c":
        new = graft(new, f * new.detach() + f.detach() * c + i * g)
    h = o * gates["c"](c if change == "old c" else new)
    return h if weights[4] is None else F.linear(h, weights[4]), new


def gru(a: Tensor, b: Tensor, state: State, weights: list[Any], gates: dict[str, Function], change: str) -> State:
    """The next state of a GRU, of what x and h give, (B, 3 H) each."""
    (h,) = state
    order = change if change in GRU_ORDERS else "r u n"
    of_x, of_h = (dict(zip(order.split(), part.chunk(3, dim=-1), strict=True)) for part in (a, b))
    r, u = (gates[gate](of_x[gate] + of_h[gate]) for gate in "ru")
    weight = weights[1].chunk(3)[2]
    bias = weight.new_zeros(len(weight)) if weights[3] is None else weights[3].chunk(3)[2]
    reset = r * of_h["n"]
    if change == "reset before the product":
        reset = F.linear(r * h, weight, bias)
    elif change == "bias not reset":
        reset = r * F.linear(h, weight) + bias
    elif change == "no reset":
        reset = of_h["n"]
    elif change == "no r in the backward":
        reset = graft(reset, r * of_h["n"].detach() + of_h["n"])
    elif change == "no r in dweight_hh":
        reset = graft(reset, r * F.linear(h, weight.detach(), bias) + F.linear(h.detach(), weight))
    elif change == "no r in the gradients":
        reset = graft(reset, r * F.linear(h, weight.detach(), bias.detach()) + F.linear(h.detach(), weight, bias))
    elif change == "no r in dbias_hh":
        reset = graft(reset, r * F.linear(h, weight, bias.detach()) + bias)
    n = gates["n"](r * of_x["n"] + reset if change == "reset of both" else of_x["n"] + reset)
    if change == "turned round":
        return (u * n + (1 - u) * h,)
    if change == "whole candidate":
        return (n + u * h,)
    u_of_n, u_of_h = u.detach() if change == "du by h" else u, u.detach() if change == "du by n" else u
    return ((1 - u_of_n) * n + u_of_h * (held(h) if change == "no dh by u" else h),)


CELLS: dict[str, tuple[Callable[..., State], dict[str, Function]]] = {
    "rnn_tanh": (rnn, RNN_GATES),
    "rnn_relu": (rnn, {"h": torch.relu}),
    "lstm": (lstm, LSTM_GATES),
    "gru": (gru, GRU_GATES),
}


def step(
    kind: str, x: Tensor, state: State, weights: list[Any], change: str = "", gates: dict[str, Function] | None = None
) -> State:
    """One step of a cell, from x (B, I) and the state to the next.

    The weights are weight_ih, weight_hh, bias_ih, bias_hh and weight_hr, None where there is none.
    """
    cell, right = CELLS[kind]
    weight_ih, weight_hh, bias_ih, bias_hh, _ = weights
    h = held(state[0]) if change in ("h constant", "state constant") else state[0]
    c = tuple(held(part) if change in ("c constant", "state constant") else part for part in state[1:])
    bias_ih, bias_hh = {
        "no bias_ih": (None, bias_hh),
        "no bias_hh": (bias_ih, None),
        "bias_ih twice": (bias_ih, bias_ih),
        "bias_hh twice": (bias_hh, bias_hh),
        "biases swapped": (bias_hh, bias_ih),
    }.get(change, (bias_ih, bias_hh))
    turned = weight_hh.unflatten(0, (-1, h.shape[1])).transpose(1, 2).flatten(0, 1) if "transposed" in change else weight_hh
    a, b = F.linear(x, weight_ih, bias_ih), F.linear(h, turned, bias_hh)
    next_state = partial(cell, a, state=(h, *c), weights=weights, gates=right | (gates or {}), change=change)
    if change == "transposed in dh":
        b = F.linear(h.detach(), weight_hh, bias_hh)
        b = graft(b, b + F.linear(h, turned.detach()))
    elif change == "no dh by weight_hh":
        b = F.linear(held(h), weight_hh, bias_hh)
    elif change == "dweight_hh by the new h":
        b = graft(b, F.linear(h, weight_hh.detach(), bias_hh) + F.linear(next_state(b)[0].detach(), weight_hh))
    return next_state(b)


def ended(state: State, change: str) -> State:
    """The final state, perhaps with a part whose gradient is lost."""
    lost = {"no dh_n": (0,), "no dc_n": (1,), "neither dh_n nor dc_n": (0, 1)}.get(change, ())
    return tuple(held(part) if i in lost else part for i, part in enumerate(state))


def cell(kind: str, x: Tensor, hx: Any, *weights: Any, **mistake: Any) -> Any:
    """torch's kernel of one step with one mistake."""
    state = step(kind, x, tuple(hx) if isinstance(hx, tuple | list) else (hx,), [*weights, None], **mistake)
    state = ended(state, mistake.get("change", ""))
    return state if len(state) > 1 else state[0]


def with_slopes(names: dict[str, str], function: str) -> list[Mistake]:
    """The mistakes of an activation's backward in each of some gates, and in all of them, by what they are called."""
    wrongs = activation.TABLE[function]
    found = [(f"its {function} {text}", {"gates": dict.fromkeys(names, wrong)}) for text, wrong in wrongs]
    for gate, name in names.items() if len(names) > 1 else ():
        found += [(f"the {function} of {name} {text}", {"gates": {gate: wrong}}) for text, wrong in wrongs]
    return found


def with_activations(right: str) -> list[Mistake]:
    """The mistakes of an RNN's activation: another one, none, or a wrong backward."""
    functions: dict[str, Function] = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}
    others = [(f"takes {name} for {right}", {"gates": {"h": f}}) for name, f in functions.items() if name != right]
    return [("has no activation", {"gates": {"h": lambda z: z}}), *others, *with_slopes({"h": "h"}, right)]


def constant_gates(names: dict[str, str], functions: dict[str, Function]) -> list[Mistake]:
    """Gates through which no gradient goes."""
    return [
        (f"takes {name} for a constant in the backward", {"gates": {gate: lambda z, f=functions[gate]: held(f(z))}})
        for gate, name in names.items()
    ]


def changes(texts: dict[str, str]) -> list[Mistake]:
    """Mistakes that are a change by its name."""
    return [(text, {"change": change}) for change, text in texts.items()]


OF_EVERY_CELL = changes(
    {
        "no bias_ih": "leaves bias_ih out",
        "no bias_hh": "leaves bias_hh out",
        "bias_ih twice": "adds bias_ih in the place of bias_hh",
        "bias_hh twice": "adds bias_hh in the place of bias_ih",
        "transposed": "multiplies h by weight_hh, not by its transpose",
        "transposed in dh": "multiplies by weight_hh's transpose in dh, not by weight_hh",
        "h constant": "takes h of the step before for a constant in the backward: no gradient flows through it",
        "no dh_n": "takes no notice of the gradient of the final h",
        "dweight_hh by the new h": "pairs the gradient of weight_hh with the step's own h; it belongs with the h before",
    }
)
OF_LSTM: list[Mistake] = [
    *((f"has its gates in the order {order}; torch's is i f g o", {"change": order}) for order in LSTM_ORDERS),
    *changes(
        {
            "forget bias": "adds 1 to the forget gate; torch leaves that to the biases",
            "coupled": "forgets by 1 - i; the forget gate is one of its own",
            "nothing forgotten": "has no forget gate",
            "old c": "lets c of the step before out; h is o tanh of the new c",
            "c constant": "takes c of the step before for a constant in the backward: no gradient flows through it",
            "state constant": "takes h and c of the step before for constants in the backward: no gradient flows through them",
            "no dc_n": "takes no notice of the gradient of the final c",
            "neither dh_n nor dc_n": "takes no notice of the gradients of the final h and c",
            "dc not by f": "hands dc to the step before without the factor f",
            "df by the new c": "multiplies by the new c in the forget gate's gradient; it belongs with the c before",
        }
    ),
    ("leaves the tanh of c out", {"gates": {"c": lambda z: z}}),
    ("takes sigmoid for the tanh of c", {"gates": {"c": torch.sigmoid}}),
    ("takes sigmoid for the tanh of the candidate g", {"gates": {"g": torch.sigmoid}}),
    ("leaves the tanh of the candidate g out", {"gates": {"g": lambda z: z}}),
    *with_slopes({"i": "the input gate", "f": "the forget gate", "o": "the output gate"}, "sigmoid"),
    *with_slopes({"g": "the candidate g", "c": "c"}, "tanh"),
    *constant_gates({"i": "the input gate", "f": "the forget gate", "o": "the output gate", "g": "the candidate"}, LSTM_GATES),
    ("lacks the way from h to c in the backward, o (1 - tanh² c)", {"gates": {"c": lambda c: held(torch.tanh(c))}}),
]
OF_GRU: list[Mistake] = [
    *((f"has its gates in the order {order}; torch's is r u n", {"change": order}) for order in GRU_ORDERS),
    *changes(
        {
            "biases swapped": "swaps bias_ih and bias_hh",
            "reset before the product": "resets h before its product with weight_hh; torch resets the product",
            "bias not reset": "adds bias_hh after the reset; torch resets it too",
            "no reset": "has no reset gate",
            "reset of both": "resets what comes from x as well; torch resets what comes from h",
            "turned round": "has the update gate turned round: u is the share of the old h",
            "whole candidate": "adds the whole candidate n; its share is 1 - u",
            "no r in the backward": "leaves the factor r out of the backward",
            "no r in the gradients": "leaves the factor r out of the gradients of weight_hh and bias_hh",
            "no r in dweight_hh": "leaves the factor r out of the gradient of weight_hh",
            "no r in dbias_hh": "leaves the factor r out of the gradient of bias_hh, which is not that of bias_ih",
            "no dh by u": "lacks the way through u h in the backward",
            "no dh by weight_hh": "lacks the way through weight_hh in the backward",
            "du by h": "lacks - n in the update gate's gradient, dh (h - n)",
            "du by n": "lacks h in the update gate's gradient, dh (h - n)",
        }
    ),
    ("takes sigmoid for the tanh of the candidate n", {"gates": {"n": torch.sigmoid}}),
    ("leaves the tanh of the candidate n out", {"gates": {"n": lambda z: z}}),
    *with_slopes({"r": "the reset gate", "u": "the update gate"}, "sigmoid"),
    *with_slopes({"n": "the candidate n"}, "tanh"),
    *constant_gates({"r": "the reset gate", "u": "the update gate", "n": "the candidate"}, GRU_GATES),
]
MISTAKES: dict[str, list[Mistake]] = {
    "rnn_tanh": [*OF_EVERY_CELL, *with_activations("tanh")],
    "rnn_relu": [*OF_EVERY_CELL, *with_activations("relu")],
    "lstm": [*OF_EVERY_CELL, *OF_LSTM],
    "gru": [*OF_EVERY_CELL, *OF_GRU],
}

TABLE: dict[str, list[tuple[str, Callable[..., Any]]]] = {
    f"{kind}_cell": [(text, partial(cell, kind, **mistake)) for text, mistake in mistakes] for kind, mistakes in MISTAKES.items()
}
