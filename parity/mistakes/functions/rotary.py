"""Mistakes in rotary embeddings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from parity.mistakes.functions.sinusoidal_positions import WRONG_ANGLES, Angles, angles
from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake

Turn = Callable[[Tensor, Tensor, Tensor, bool], Tensor]
wrong_rotary = partial(mistake, "rotary")


def turned(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    """Turn each pair of numbers by its angle; `interleaved` pairs neighbours, otherwise the halves are paired."""
    first, second = _pairs(x, interleaved)
    return _unpaired(first * cos - second * sin, first * sin + second * cos, interleaved)


def _pairs(x: Tensor, interleaved: bool) -> tuple[Tensor, Tensor]:
    first, second = (x[..., 0::2], x[..., 1::2]) if interleaved else x.chunk(2, -1)
    return first, second


def _unpaired(first: Tensor, second: Tensor, interleaved: bool) -> Tensor:
    return torch.stack((first, second), -1).flatten(-2) if interleaved else torch.cat((first, second), -1)


@definition("rotary")
def rotary(
    x: Tensor, positions: Tensor, base: float = 10000.0, interleaved: bool = False, *, angles: Angles = angles, turn: Turn = turned
) -> Tensor:
    """Turn the pairs of numbers in x, in stages."""
    turns = angles(positions, x.shape[-1], base)
    return turn(x, turns.cos().to(x.dtype), turns.sin().to(x.dtype), interleaved)


@wrong_rotary("pairs the numbers as the other form does: see the option interleaved", "turn")
def other_form(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    return turned(x, cos, sin, not interleaved)


@wrong_rotary("pairs the numbers in one form and orders the angles in the other", "turn")
def angles_of_other_form(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    first, second = _pairs(x, interleaved)
    whole_cos, whole_sin = (torch.cat((t, t), -1) if interleaved else t.repeat_interleave(2, -1) for t in (cos, sin))
    return x * whole_cos + _unpaired(-second, first, interleaved) * whole_sin


@wrong_rotary("turns in the opposite direction: the sine has the wrong sign", "turn")
def opposite_direction(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    return turned(x, cos, -sin, interleaved)


@wrong_rotary("swaps sines and cosines", "turn")
def swapped(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    return turned(x, sin, cos, interleaved)


@wrong_rotary("turns the gradient forward; it must be turned back by the same angle", "turn")
def gradient_forward(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    return with_gradient_of(turned(x, cos, sin, interleaved), turned(x, cos, -sin, interleaved))


@wrong_rotary("leaves the sine out of the backward pass", "turn")
def gradient_without_sine(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    return with_gradient_of(turned(x, cos, sin, interleaved), turned(x, cos, 0 * sin, interleaved))


for message, wrong in WRONG_ANGLES.items():
    wrong_rotary(message, "angles")(wrong)
