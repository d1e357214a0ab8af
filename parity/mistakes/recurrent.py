"""Mistakes in recurrent layers: torch's kernels spelt out, layers over directions over time, with one change, or one in a cell."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes import dropout as dropouts
from parity.mistakes.cells import MISTAKES, Mistake, State, changes, ended, held, step
from parity.mistakes.graft import graft

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
Values = list[Tensor]  # of each step, those of the rows that run there


def kernel(kind: str, x: Tensor, *arguments: Any, dropout: Any = None, **mistake: Any) -> tuple[Tensor, ...]:
    """torch's kernel with one mistake, of whole sequences or of packed ones."""
    join: Callable[[Values], Tensor]
    if isinstance(arguments[2], bool):
        hx, weights, biases, layers, p, training, both, batch_first = arguments
        axis = 1 if batch_first else 0
        join, part = partial(torch.stack, dim=axis), partial(torch.unbind, dim=axis)
    else:
        sizes, hx, weights, biases, layers, p, training, both = arguments
        join, part = torch.cat, partial(torch.split, split_size_or_sections=sizes.tolist())
    if _idle(mistake.get("change", ""), dropout, layers, both, drops=training and p > 0):
        raise ValueError("this mistake changes nothing here")

    def between(values: Values) -> Values:
        return list(part((dropout or F.dropout)(join(values), p, training)))

    values, ends = stack(kind, list(part(x)), hx, weights, biases, layers, both, between, **mistake)
    return join(values), *ends


def stack(
    kind: str,
    values: Values,
    hx: Any,
    flat: Any,
    biases: bool,
    layers: int,
    both: bool,
    between: Callable[[Values], Values],
    change: str = "",
    gates: Any = None,
) -> tuple[Values, list[Tensor]]:
    """The values of the last layer, and the final states (rows, B, H), a row for each layer and direction."""
    starts = list(zip(*hx, strict=True)) if isinstance(hx, tuple | list) else [(h,) for h in hx]
    rows, directions = len(starts), 2 if both else 1
    by_direction = [row % directions * layers + row // directions for row in range(rows)]
    if change in ("states by direction", "initial states by direction"):
        starts = [starts[row] for row in by_direction]
    ends: list[State] = []
    for layer in range(layers):
        values = between(values) if layer or change == "dropout before the first layer" else values
        found = []
        for direction in range(directions):
            row = layer * directions + direction
            start = tuple(part * (change not in ("begins at 0", f"{'hc'[i]} 0")) for i, part in enumerate(starts[row]))
            if change == "states of the first layer":
                start = starts[direction]
            elif change == "state handed on" and layer:
                start = ends[row - directions]
            weights = _weights(flat, row - direction if change == "weights of the forward direction" else row, rows, biases)
            y, end = one_way(kind, bool(direction), values, start, weights, change, gates)
            found.append(y)
            ends.append(end)
        found = found[::-1] if change == "directions swapped" else found
        values = [torch.cat(parts, dim=-1) for parts in zip(*found, strict=True)]
    if change == "dropout after the last layer":
        values = between(values)
    if change in ("states by direction", "final states by direction"):
        ends = [ends[by_direction.index(row)] for row in range(rows)]
    elif change == "states of the last layer":
        ends = ends[-directions:]
    elif change == "states of the directions swapped":
        ends = [ends[row ^ 1] for row in range(rows)]
    return values, [torch.stack(parts) for parts in zip(*ends, strict=True)]


def one_way(
    kind: str, reverse: bool, values: Values, start: State, weights: list[Any], change: str, gates: Any
) -> tuple[Values, State]:
    """One layer in one direction."""
    if change == ("dx of the forward direction lost" if not reverse else "dx of the reverse direction lost"):
        values = [held(x) for x in values]
    if not reverse or change == "not reversed":
        return over_time(kind, values, start, weights, change, gates)
    turned = values if change == "x not turned" else values[::-1]
    if change in ("dx not turned back", "neither dy nor dx turned"):
        turned = [graft(value, other) for value, other in zip(turned, values, strict=True)]
    found, end = over_time(kind, turned, start, weights, change, gates)
    y = found if change == "y not turned back" else found[::-1]
    if change in ("dy not turned", "neither dy nor dx turned"):
        y = [graft(value, other) for value, other in zip(y, found, strict=True)]
    return y, (y[-1], *end[1:]) if change == "state of the last step" else end


def over_time(kind: str, values: Values, state: State, weights: list[Any], change: str, gates: Any) -> tuple[Values, State]:
    """The h of each step, and the state after the last; a row that has ended, or has not begun, keeps its state."""
    found = []
    for t, x in enumerate(values):
        here = "first step" if t == 0 else "last step" if t == len(values) - 1 else f"step {t}"
        n, before = len(x), state
        if t and change in ("carried h constant", "dy alone"):
            state = (held(state[0]), *state[1:])
        if t and change == "carried c constant":
            state = (state[0], *map(held, state[1:]))
        new = step(kind, x, tuple(part[:n] for part in state), _weights_at(here, weights, change), change, gates)
        if change == f"{here} skipped":
            new = tuple(part[:n] for part in before)
        elif change == f"{here} skipped in the backward":
            new = tuple(graft(part, old[:n]) for part, old in zip(new, before, strict=True))
        waiting = 0.0 if change == "0 where it does not run" else 1.0
        state = tuple(torch.cat([part, waiting * old[n:]]) for part, old in zip(new, state, strict=True))
        y = before[0][:n] if change == "a step behind" else new[0]
        found.append(held(y) if change == f"{here} skipped in the backward" else y)
    if change == "last dy alone":
        going_on = [*map(len, values[1:]), 0]
        found = [torch.cat([held(y[:n]), y[n:]]) for y, n in zip(found, going_on, strict=True)]
    if change == "no dy":
        found = [held(y) for y in found]
    return found, ended(state, "no dh_n" if change == "dy alone" else change)


def _idle(change: str, dropout: Any, layers: int, both: bool, drops: bool) -> bool:
    """Whether a mistake changes nothing: one of layers, directions or dropout where there are none."""
    return (
        (change in OF_LAYERS and layers == 1)
        or (change in OF_DIRECTIONS and not both)
        or (change in OF_DROPOUT and not drops)
        or (dropout is not None and not (drops and layers > 1))
    )


def _weights(flat: list[Tensor], row: int, rows: int, biases: bool) -> list[Any]:
    """The weights of one row by their places in WEIGHTS, None where there is none."""
    each = len(flat) // rows
    weight_ih, weight_hh, *rest = flat[row * each : (row + 1) * each]
    bias_ih, bias_hh = rest[:2] if biases else (None, None)
    return [weight_ih, weight_hh, bias_ih, bias_hh, rest[-1] if len(rest) % 2 else None]


def _weights_at(here: str, weights: list[Any], change: str) -> list[Any]:
    """The weights, without a gradient at the steps whose gradient a change such as "weight_hh of the first step" loses."""
    lost, _, kept = change.partition(" of the ")
    if kept not in ("first step", "last step") or kept == here:
        return weights
    return [held(w) if w is not None and lost in (name, "weights") else w for name, w in zip(WEIGHTS, weights, strict=True)]


OF_TIME = {
    "first step skipped": "skips the first step",
    "last step skipped": "skips the last step",
    "first step skipped in the backward": "skips the first step in the backward",
    "last step skipped in the backward": "skips the last step in the backward",
    "a step behind": "gives out the h before each step; y holds the h after it",
    "begins at 0": "takes no notice of the initial state: begins at 0",
    "carried h constant": "carries no gradient of h from step to step: dh of the step before is lost",
    "dy alone": "takes dy alone in each step of the backward: what comes from the step after is lost",
    "last dy alone": "takes dy of the last step alone in the backward",
    "no dy": "takes no notice of dy, only of the gradient of the final state",
    **{f"{name} of the first step": f"overwrites the gradient of {name} at each step; they add up" for name in WEIGHTS[:4]},
    "weights of the first step": "overwrites the gradients of the weights at each step; they add up",
    "weights of the last step": "takes the last step's gradient alone for the weights; those of all steps add up",
    "0 where it does not run": "sets the state of a sequence that has ended to 0",
}
OF_LAYERS = {
    "states of the first layer": "begins every layer with the first layer's initial state",
    "state handed on": "begins each layer with the final state of the layer before",
    "states of the last layer": "gives out the final state of the last layer alone",
    "states by direction": "orders the states by direction, then layer; torch's order is by layer, then direction",
    "initial states by direction": "takes the initial states by direction, then layer; they come by layer, then direction",
    "final states by direction": "gives out the final states by direction, then layer; torch's order is by layer first",
}
OF_DIRECTIONS = {
    "not reversed": "runs the reverse direction forwards",
    "x not turned": "does not turn the reverse direction's x round",
    "y not turned back": "does not turn the reverse direction's y back",
    "dx not turned back": "does not turn the reverse direction's dx back",
    "dy not turned": "does not turn the reverse direction's dy round",
    "neither dy nor dx turned": "does not turn the reverse direction's gradients, neither dy nor dx",
    "dx of the forward direction lost": "takes dx of the reverse direction alone; it is the sum of both directions'",
    "dx of the reverse direction lost": "takes dx of the forward direction alone; it is the sum of both directions'",
    "directions swapped": "joins the reverse direction before the forward one",
    "states of the directions swapped": "swaps the final states of the two directions",
    "state of the last step": "takes y of the last step for the reverse direction's final state; that ends at the first",
    "weights of the forward direction": "runs the reverse direction with the forward direction's weights",
    "states by direction": "orders the states by direction, then layer; torch's order is by layer, then direction",
    "initial states by direction": "takes the initial states by direction, then layer; they come by layer, then direction",
    "final states by direction": "gives out the final states by direction, then layer; torch's order is by layer first",
}
OF_DROPOUT = {
    "dropout after the last layer": "has dropout after the last layer as well; torch's is between layers",
    "dropout before the first layer": "has dropout before the first layer as well; torch's is between layers",
}
OF_TWO_STATES = {
    "weight_hr of the first step": "overwrites the gradient of weight_hr at each step; they add up",
    "h 0": "takes no notice of h0: begins at 0",
    "c 0": "takes no notice of c0: begins at 0",
    "carried c constant": "carries no gradient of c from step to step: dc of the step before is lost",
}
DROPOUT: list[Mistake] = [(f"its dropout {text}", {"dropout": wrong}) for text, wrong in dropouts.TABLE["dropout"]]
TABLE: dict[str, list[tuple[str, Callable[..., Any]]]] = {
    kind: [
        (text, partial(kernel, kind, **mistake))
        for text, mistake in [
            *mistakes,
            *changes(OF_TIME | (OF_TWO_STATES if kind == "lstm" else {}) | OF_LAYERS | OF_DIRECTIONS | OF_DROPOUT),
            *DROPOUT,
        ]
    ]
    for kind, mistakes in MISTAKES.items()
}
