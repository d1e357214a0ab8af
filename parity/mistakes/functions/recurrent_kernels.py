"""Definitions of torch's recurrent kernels: directions and layers, in stages.

A mistake is a dictionary of stages. Each function takes the stages that are its own and passes the others on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.functions.recurrent_unrolling import State, Values, Weights, over_time


def turned(values: Values) -> Values:
    """Reverse the order of the steps."""
    return values[::-1]


def one_way(
    kind: str,
    reverse: bool,
    values: Values,
    start: State,
    weights: Weights,
    *,
    read: Callable[[Values, bool], Values] = lambda values, reverse: values,
    turns: bool = True,
    turned_x: Callable[[Values], Values] = turned,
    turned_y: Callable[[Values], Values] = turned,
    reverse_end: Callable[[Values, State], State] = lambda y, end: end,
    **stages: Any,
) -> tuple[Values, State]:
    """Run one layer in one direction."""
    values = read(values, reverse)
    if not reverse or not turns:
        return over_time(kind, values, start, weights, **stages)
    found, end = over_time(kind, turned_x(values), start, weights, **stages)
    y = turned_y(found)
    return y, reverse_end(y, end)


def layered(
    kind: str,
    values: Values,
    starts: list[State],
    weights: list[Weights],
    layers: int,
    between: Callable[[Values], Values],
    *,
    begun: Callable[[list[State], int], list[State]] = lambda starts, layers: starts,
    start_of: Callable[[list[State], list[State], int, int], State] = lambda starts, ends, row, directions: starts[row],
    weights_row: Callable[[int, int], int] = lambda row, directions: row,
    joined: Callable[[list[Values]], list[Values]] = lambda found: found,
    drops: Callable[[int, int], bool] = lambda layer, layers: 0 < layer < layers,
    ended: Callable[[list[State], int], list[State]] = lambda ends, layers: ends,
    **stages: Any,
) -> tuple[Values, list[Tensor]]:
    """Return the values of the last layer and the final states (rows, B, H), with a row for each layer and direction."""
    directions, starts = len(starts) // layers, begun(starts, layers)
    ends: list[State] = []
    for layer in range(layers):
        values = between(values) if drops(layer, layers) else values
        found = []
        for direction in range(directions):
            row = layer * directions + direction
            start, of_row = start_of(starts, ends, row, directions), weights[weights_row(row, directions)]
            y, end = one_way(kind, bool(direction), values, start, of_row, **stages)
            found.append(y)
            ends.append(end)
        values = [torch.cat(parts, dim=-1) for parts in zip(*joined(found), strict=True)]
    values = between(values) if drops(layers, layers) else values
    return values, [torch.stack(parts) for parts in zip(*ended(ends, layers), strict=True)]


def dropped(x: Tensor, p: float, training: bool) -> Tensor:
    """Apply torch's dropout, under the masks that a run may have set."""
    return F.dropout(x, p, training)


def kernel(
    kind: str,
    x: Tensor,
    *arguments: Any,
    dropout: Callable[..., Tensor] = dropped,
    matters: Callable[[int, bool, bool], bool] = lambda layers, both, drops: True,
    **stages: Any,
) -> tuple[Tensor, ...]:
    """Compute what torch's kernel of whole sequences, or of packed ones, returns.

    `matters` says whether the mistake can change anything with so many layers, with both directions, with dropout.
    """
    join: Callable[[Values], Tensor]
    if isinstance(arguments[2], bool):
        hx, flat, biases, layers, p, training, both, batch_first = arguments
        axis = 1 if batch_first else 0
        join, part = partial(torch.stack, dim=axis), partial(torch.unbind, dim=axis)
    else:
        sizes, hx, flat, biases, layers, p, training, both = arguments
        join, part = torch.cat, partial(torch.split, split_size_or_sections=sizes.tolist())
    if not matters(layers, both, training and p > 0):
        raise ValueError("this mistake changes nothing here")

    def between(values: Values) -> Values:
        return list(part(dropout(join(values), p, training)))

    starts: list[State] = list(zip(*hx, strict=True)) if isinstance(hx, tuple | list) else [(h,) for h in hx]
    weights = [_weights(flat, row, len(starts), biases) for row in range(len(starts))]
    values, ends = layered(kind, list(part(x)), starts, weights, layers, between, **stages)
    return join(values), *ends


def _weights(flat: list[Tensor], row: int, rows: int, biases: bool) -> Weights:
    """Return the weights of one row."""
    each = len(flat) // rows
    weight_ih, weight_hh, *rest = flat[row * each : (row + 1) * each]
    bias_ih, bias_hh = rest[:2] if biases else (None, None)
    return [weight_ih, weight_hh, bias_ih, bias_hh, rest[-1] if len(rest) % 2 else None]
