"""Mistakes in recurrent layers: between layers, between directions, and in dropout."""

from __future__ import annotations

from collections.abc import Callable

from parity.mistakes.functions import dropout  # noqa: F401  its mistakes come first
from parity.mistakes.functions.recurrence import Stage, in_sequences
from parity.mistakes.functions.recurrent_kernels import turned
from parity.mistakes.functions.recurrent_step import KINDS
from parity.mistakes.functions.recurrent_unrolling import State, Values
from parity.mistakes.passes import constant, with_gradient_of
from parity.mistakes.register import registered

Matters = Callable[[int, bool, bool], bool]  # with so many layers, with both directions, with dropout


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
    return list(map(with_gradient_of, turned(values), values))


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
