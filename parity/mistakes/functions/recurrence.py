"""Mistakes in recurrent layers over time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from parity.mistakes.functions import gru, lstm, rnn  # noqa: F401  their mistakes come first
from parity.mistakes.functions.recurrent_kernels import kernel
from parity.mistakes.functions.recurrent_step import KINDS, no_dh_n
from parity.mistakes.functions.recurrent_unrolling import State, Values, Weights
from parity.mistakes.passes import constant, with_gradient_of
from parity.mistakes.register import mistake

Stage = Callable[..., Any]
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
    return tuple(map(with_gradient_of, new, before)) if place == at else new


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
