"""Mistakes in sinusoidal positions, and in the angles that rotary embeddings share with them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake

Angles = Callable[[Tensor, int, float], Tensor]
wrong_positions = partial(mistake, "sinusoidal_positions")


def angles(
    positions: Tensor,
    width: int,
    base: float,
    *,
    moved: Callable[[Tensor], Tensor] = lambda positions: positions,
    based: Callable[[float], float] = lambda base: base,
    exponents: Callable[[Tensor, int], Tensor] = lambda pair, width: pair / width,
    sign: int = -1,
) -> Tensor:
    """Compute the angle of each position and pair (..., width / 2), position * base^(-2i / D), in stages."""
    pair = torch.arange(0, width, 2, dtype=torch.float64)
    return moved(positions)[..., None] * based(base) ** (sign * exponents(pair, width))


def side_by_side(sines: Tensor, cosines: Tensor) -> Tensor:
    """Let sines and cosines take turns."""
    return torch.stack((sines, cosines), -1).flatten(-2)


@definition("sinusoidal_positions")
def sinusoidal_positions(
    x: Tensor,
    positions: Tensor,
    base: float = 10000.0,
    *,
    angles: Angles = angles,
    laid_out: Callable[[Tensor, Tensor], Tensor] = side_by_side,
    added: Callable[[Tensor, Tensor], Tensor] = torch.add,
) -> Tensor:
    """Add sines and cosines of positions to x, in stages."""
    turns = angles(positions, x.shape[-1], base)
    return added(x, laid_out(turns.sin(), turns.cos())[..., : x.shape[-1]].to(x.dtype))


@wrong_positions("swaps sines and cosines: the sines belong at even indices", "laid_out")
def swapped(sines: Tensor, cosines: Tensor) -> Tensor:
    return side_by_side(cosines, sines)


@wrong_positions("has the sines in the first half and the cosines in the second half; they take turns", "laid_out")
def halves(sines: Tensor, cosines: Tensor) -> Tensor:
    return torch.cat((sines, cosines), -1)


@wrong_positions("has a sine in place of each cosine", "laid_out")
def only_sines(sines: Tensor, cosines: Tensor) -> Tensor:
    return side_by_side(sines, sines)


@wrong_positions("returns the table; the table is added to x", "added")
def not_added(x: Tensor, table: Tensor) -> Tensor:
    return with_gradient_of(table.expand_as(x), x)


@wrong_positions("multiplies x by √D first; this is the task of the embedding", "added")
def scaled(x: Tensor, table: Tensor) -> Tensor:
    return x * math.sqrt(x.shape[-1]) + table


WRONG_ANGLES: dict[str, Angles] = {
    "uses the next position for each position: positions are off by one": partial(angles, moved=lambda positions: positions + 1),
    "uses the previous position for each position: positions are off by one": partial(
        angles, moved=lambda positions: positions - 1
    ),
    "uses position 0 for every position": partial(angles, moved=lambda positions: 0 * positions),
    "uses base = 1000": partial(angles, based=lambda base: 1000.0),
    "uses the default base, 10000": partial(angles, based=lambda base: 10000.0),
    "uses base = 500000": partial(angles, based=lambda base: 500000.0),
    "uses i / D as the exponent of the base; it is 2i / D": partial(angles, exponents=lambda pair, width: pair / 2 / width),
    "uses 4i / D as the exponent of the base; it is 2i / D": partial(angles, exponents=lambda pair, width: 2 * pair / width),
    "uses 2i / (D - 2) as the exponent of the base; it is 2i / D": partial(
        angles, exponents=lambda pair, width: pair / max(width - 2, 1)
    ),
    "counts the pairs from 1; the first pair has the exponent 0": partial(angles, exponents=lambda pair, width: (pair + 2) / width),
    "multiplies by the power of the base; it divides by that power": partial(angles, sign=1),
}
for message, wrong in WRONG_ANGLES.items():
    wrong_positions(message, "angles")(wrong)
