"""Mistakes in the cell of an RNN."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from parity.mistakes.functions.recurrent_step import in_step, wrong_slopes
from parity.mistakes.functions.recurrent_unrolling import CELLS, State, Weights

Function = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Function] = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}


def rnn(right: Function, a: Tensor, b: Tensor, state: State, weights: Weights, *, h: Function | None = None) -> State:
    """Compute the next state of an RNN from what x and h contribute, (B, H) each."""
    return ((h or right)(a + b),)


for name in ("tanh", "relu"):
    kind = f"rnn_{name}"
    CELLS[kind] = partial(rnn, ACTIVATIONS[name])
    in_step("has no activation", kind, h=lambda z: z)
    for other, function in ACTIVATIONS.items():
        if other != name:
            in_step(f"uses {other} instead of {name}", kind, h=function)
    wrong_slopes(kind, name, {"h": "h"})
