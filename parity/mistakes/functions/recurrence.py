"""Mistakes in recurrent layers: over time, between layers, between directions, and in dropout."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from parity.mistakes.functions import dropout, gru, lstm, rnn  # noqa: F401  their mistakes come first
from parity.mistakes.functions.recurrent_kernels import State, Values, Weights, kernel, turned
from parity.mistakes.functions.recurrent_step import KINDS, no_dh_n
from parity.mistakes.graft import constant, graft
from parity.mistakes.register import mistake, registered

Stage = Callable[..., Any]
Matters = Callable[[int, bool, bool], bool]  # with so many layers, with both directions, with dropout
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


def in_sequences(message: str, *kinds: str, **stages: Any) -> None:
    """Register a mistake for the kernels of whole sequences."""
    for kind in kinds:
        mistake(kind, message)(partial(kernel, kind, **stages))


def over_time(message: str, stage: str, *kinds: str) -> Callable[[Stage], Stage]:
    """Register a wrong stage of the walk over time."""

    def register(wrong: Stage) -> Stage:
        in_sequences(message, *kinds or KINDS, **{stage: wrong})
        return wrong

    return register


def skipped(at: str, before: State, new: State, place: str) -> State:
    """Keep the state at the step of this place."""
    return before if place == at else new


def skipped_in_the_backward(at: str, before: State, new: State, place: str) -> State:
    """Pass the gradient of the state by the step of this place."""
    return tuple(map(graft, new, before)) if place == at else new


def hidden_in_the_backward(at: str, before: Tensor, h: Tensor, place: str) -> Tensor:
    """Return h, without a gradient at this place."""
    return constant(h) if place == at else h


for place in ("first", "last"):
    in_sequences(f"skips the {place} step", *KINDS, stepped=partial(skipped, place))
for place in ("first", "last"):
    in_sequences(
        f"skips the {place} step in the backward pass",
        *KINDS,
        stepped=partial(skipped_in_the_backward, place),
        shown=partial(hidden_in_the_backward, place),
    )


@over_time("returns in y the h before each step; y holds the h after it", "shown")
def a_step_behind(before: Tensor, h: Tensor, place: str) -> Tensor:
    return before


@over_time("ignores the initial state: begins with 0", "begun")
def begun_at_0(starts: list[State], layers: int) -> list[State]:
    return [tuple(0 * part for part in start) for start in starts]


@over_time("passes no gradient of h from step to step: the previous step's dh is lost", "handed_on")
def carried_h_constant(state: State) -> State:
    return constant(state[0]), *state[1:]


in_sequences(
    "uses only dy in each step of the backward pass: the gradient from the next step is lost",
    *KINDS,
    handed_on=carried_h_constant,
    final=no_dh_n,
)


@over_time("uses only the dy of the last step in the backward pass", "outputs")
def only_last_dy(found: Values) -> Values:
    going_on = [*map(len, found[1:]), 0]
    return [torch.cat([constant(y[:n]), y[n:]]) for y, n in zip(found, going_on, strict=True)]


@over_time("ignores dy and uses only the gradient of the final state", "outputs")
def no_dy(found: Values) -> Values:
    return list(map(constant, found))


def gradient_of_one_step(at: str, lost: tuple[str, ...], weights: Weights, place: str) -> Weights:
    """Return the weights, some of which have a gradient at only one place."""
    return [constant(w) if w is not None and name in lost and place != at else w for name, w in zip(NAMES, weights, strict=True)]


for name in NAMES[:4]:
    in_sequences(
        f"overwrites the gradient of {name} at each step; the gradients of all steps add up",
        *KINDS,
        weights_at=partial(gradient_of_one_step, "first", (name,)),
    )
in_sequences(
    "overwrites the gradients of the weights at each step; the gradients of all steps add up",
    *KINDS,
    weights_at=partial(gradient_of_one_step, "first", NAMES),
)
in_sequences(
    "uses only the last step's gradient of the weights; the gradients of all steps add up",
    *KINDS,
    weights_at=partial(gradient_of_one_step, "last", NAMES),
)
in_sequences("sets the state of a sequence that has ended to 0", *KINDS, waiting=lambda part: 0 * part)

in_sequences(
    "overwrites the gradient of weight_hr at each step; the gradients of all steps add up",
    "lstm",
    weights_at=partial(gradient_of_one_step, "first", ("weight_hr",)),
)


@over_time("ignores h0: begins with 0", "begun", "lstm")
def h0_ignored(starts: list[State], layers: int) -> list[State]:
    return [(0 * h, c) for h, c in starts]


@over_time("ignores c0: begins with 0", "begun", "lstm")
def c0_ignored(starts: list[State], layers: int) -> list[State]:
    return [(h, 0 * c) for h, c in starts]


@over_time("passes no gradient of c from step to step: the previous step's dc is lost", "handed_on", "lstm")
def carried_c_constant(state: State) -> State:
    return state[0], constant(state[1])


def several_layers(layers: int, both: bool, drops: bool) -> bool:
    """Return whether a mistake between layers matters."""
    return layers > 1


def both_directions(layers: int, both: bool, drops: bool) -> bool:
    """Return whether a mistake between directions matters."""
    return both


def layers_and_directions(layers: int, both: bool, drops: bool) -> bool:
    """Return whether a mistake in the order of layers and directions matters."""
    return layers > 1 and both


def between(message: str, stage: str, matters: Matters) -> Callable[[Stage], Stage]:
    """Register a wrong stage that matters only with several layers or directions."""

    def register(wrong: Stage) -> Stage:
        in_sequences(message, *KINDS, matters=matters, **{stage: wrong})
        return wrong

    return register


@between("begins every layer with the initial state of the first layer", "start_of", several_layers)
def states_of_first_layer(starts: list[State], ends: list[State], row: int, directions: int) -> State:
    return starts[row % directions]


@between("begins each layer with the final state of the previous layer", "start_of", several_layers)
def state_handed_on(starts: list[State], ends: list[State], row: int, directions: int) -> State:
    return starts[row] if row < directions else ends[row - directions]


@between("returns only the final state of the last layer", "ended", several_layers)
def states_of_last_layer(ends: list[State], layers: int) -> list[State]:
    return ends[-(len(ends) // layers) :]


def read_by_direction(starts: list[State], layers: int) -> list[State]:
    """Read the states as if they came by direction, then layer."""
    directions = len(starts) // layers
    return [starts[row % directions * layers + row // directions] for row in range(len(starts))]


def listed_by_direction(ends: list[State], layers: int) -> list[State]:
    """List the states by direction, then layer."""
    return [ends[row] for direction in range(len(ends) // layers) for row in range(direction, len(ends), len(ends) // layers)]


in_sequences(
    "orders the states by direction, then layer; torch's order is by layer, then direction",
    *KINDS,
    matters=layers_and_directions,
    begun=read_by_direction,
    ended=listed_by_direction,
)
in_sequences(
    "reads the initial states by direction, then layer; torch's order is by layer, then direction",
    *KINDS,
    matters=layers_and_directions,
    begun=read_by_direction,
)
in_sequences(
    "returns the final states by direction, then layer; torch's order is by layer, then direction",
    *KINDS,
    matters=layers_and_directions,
    ended=listed_by_direction,
)
in_sequences("runs the reverse direction forward", *KINDS, matters=both_directions, turns=False)
in_sequences("does not reverse the x of the reverse direction", *KINDS, matters=both_directions, turned_x=list)
in_sequences("does not reverse the y of the reverse direction", *KINDS, matters=both_directions, turned_y=list)


def gradient_not_turned(values: Values) -> Values:
    """Reverse the order of the steps, but not of their gradients."""
    return list(map(graft, turned(values), values))


in_sequences("does not reverse the dx of the reverse direction", *KINDS, matters=both_directions, turned_x=gradient_not_turned)
in_sequences("does not reverse the dy of the reverse direction", *KINDS, matters=both_directions, turned_y=gradient_not_turned)
in_sequences(
    "reverses neither dy nor dx of the reverse direction",
    *KINDS,
    matters=both_directions,
    turned_x=gradient_not_turned,
    turned_y=gradient_not_turned,
)


@between("returns only the dx of the reverse direction; the dx of both directions add up", "read", both_directions)
def forward_dx_lost(values: Values, reverse: bool) -> Values:
    return values if reverse else list(map(constant, values))


@between("returns only the dx of the forward direction; the dx of both directions add up", "read", both_directions)
def reverse_dx_lost(values: Values, reverse: bool) -> Values:
    return list(map(constant, values)) if reverse else values


@between("joins the reverse direction before the forward one", "joined", both_directions)
def directions_swapped(found: list[Values]) -> list[Values]:
    return found[::-1]


@between("swaps the final states of the two directions", "ended", both_directions)
def states_swapped(ends: list[State], layers: int) -> list[State]:
    return [ends[row ^ 1] for row in range(len(ends))]


@between(
    "uses the last step's y as the reverse direction's final state; that direction ends at the first step",
    "reverse_end",
    both_directions,
)
def state_of_last_step(y: Values, end: State) -> State:
    return y[-1], *end[1:]


@between("runs the reverse direction with the weights of the forward direction", "weights_row", both_directions)
def weights_of_forward(row: int, directions: int) -> int:
    return row - row % directions


in_sequences(
    "applies dropout after the last layer too; torch applies it only between layers",
    *KINDS,
    matters=lambda layers, both, drops: drops,
    drops=lambda layer, layers: layer > 0,
)
in_sequences(
    "applies dropout before the first layer too; torch applies it only between layers",
    *KINDS,
    matters=lambda layers, both, drops: drops,
    drops=lambda layer, layers: layer < layers,
)
for message, wrong in registered("dropout"):
    in_sequences(f"its dropout {message}", *KINDS, matters=lambda layers, both, drops: drops and layers > 1, dropout=wrong)
