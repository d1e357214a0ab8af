"""Definitions of one step of a recurrent layer and of its unrolling over time, in stages.

A mistake is a dictionary of stages. Each function takes the stages that are its own and passes the others on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

State = tuple[Tensor, ...]
Values = list[Tensor]  # of each step, those of the rows that run there
Weights = list[Any]  # weight_ih, weight_hh, bias_ih, bias_hh and weight_hr, None where there is none
NextH = Callable[[Tensor], Tensor]  # from the contribution of h to the next h

CELLS: dict[str, Callable[..., State]] = {}  # each kind's next state of what x and h contribute; filled by rnn, lstm and gru


def product(h: Tensor, weight_hh: Tensor, bias_hh: Tensor | None, next_h: NextH) -> Tensor:
    """Compute the contribution of h to the gates."""
    return F.linear(h, weight_hh, bias_hh)


def step(
    kind: str,
    x: Tensor,
    state: State,
    weights: Weights,
    *,
    carried: Callable[[State], State] = lambda state: state,
    biases: Callable[[Any, Any], tuple[Any, Any]] = lambda bias_ih, bias_hh: (bias_ih, bias_hh),
    of_h: Callable[[Tensor, Tensor, Any, NextH], Tensor] = product,
    **stages: Any,
) -> State:
    """Compute one step from x (B, I) and the state to the next state."""
    weight_ih, weight_hh, bias_ih, bias_hh, _ = weights
    bias_ih, bias_hh = biases(bias_ih, bias_hh)
    state = carried(state)
    next_state = partial(CELLS[kind], F.linear(x, weight_ih, bias_ih), state=state, weights=weights, **stages)
    return next_state(of_h(state[0], weight_hh, bias_hh, lambda b: next_state(b)[0]))


def cell(kind: str, x: Tensor, hx: Any, *weights: Any, final: Callable[[State], State] = lambda state: state, **stages: Any) -> Any:
    """Compute what torch's kernel of one step returns."""
    state = final(step(kind, x, tuple(hx) if isinstance(hx, tuple | list) else (hx,), [*weights, None], **stages))
    return state if len(state) > 1 else state[0]


def over_time(
    kind: str,
    values: Values,
    state: State,
    weights: Weights,
    *,
    handed_on: Callable[[State], State] = lambda state: state,
    weights_at: Callable[[Weights, str], Weights] = lambda weights, place: weights,
    stepped: Callable[[State, State, str], State] = lambda before, new, place: new,
    waiting: Callable[[Tensor], Tensor] = lambda part: part,
    shown: Callable[[Tensor, Tensor, str], Tensor] = lambda before, h, place: h,
    outputs: Callable[[Values], Values] = lambda found: found,
    final: Callable[[State], State] = lambda state: state,
    **stages: Any,
) -> tuple[Values, State]:
    """Return the h of each step and the state after the last; rows that have ended or not begun keep their state."""
    found = []
    for t, x in enumerate(values):
        n, place = len(x), "first" if t == 0 else "last" if t == len(values) - 1 else ""
        before, given = tuple(part[:n] for part in state), handed_on(state) if t else state
        new = step(kind, x, tuple(part[:n] for part in given), weights_at(weights, place), **stages)
        new = stepped(before, new, place)
        state = tuple(torch.cat([part, waiting(old[n:])]) for part, old in zip(new, given, strict=True))
        found.append(shown(before[0], new[0], place))
    return outputs(found), final(state)
