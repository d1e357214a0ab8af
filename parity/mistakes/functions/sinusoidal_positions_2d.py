"""Mistakes in sinusoidal positions of images."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from parity.mistakes.functions.sinusoidal_positions import halves, side_by_side, swapped
from parity.mistakes.register import definition, mistake

wrong_positions = partial(mistake, "sinusoidal_positions_2d")
EPS = 1e-6


def counted(present: Tensor, axis: int) -> Tensor:
    """Count the rows (axis 1) or columns (axis 2) of each image from 1, without padding."""
    return present.cumsum(axis, dtype=torch.float64)


def image_size(places: Tensor, axis: int) -> Tensor:
    """Return the number of rows or columns of each image."""
    return places.amax(axis, keepdim=True)


def rows_then_columns(rows: Tensor, columns: Tensor) -> Tensor:
    """Join the sines and cosines of rows and columns (B, H, W, C / 2) to (B, C, H, W)."""
    return torch.cat((rows, columns), dim=-1).permute(0, 3, 1, 2)


@definition("sinusoidal_positions_2d")
def sinusoidal_positions_2d(
    x: Tensor,
    present: Tensor,
    normalize: bool = True,
    base: float = 10000.0,
    *,
    counted: Callable[[Tensor, int], Tensor] = counted,
    size: Callable[[Tensor, int], Tensor] = image_size,
    whole: float = 2 * math.pi,
    eps: float = EPS,
    exponents: Callable[[Tensor, int], Tensor] = lambda pair, width: pair / width,
    laid_out: Callable[[Tensor, Tensor], Tensor] = side_by_side,
    joined: Callable[[Tensor, Tensor], Tensor] = rows_then_columns,
) -> Tensor:
    """Compute sines and cosines of rows and columns, in stages."""
    width = x.shape[1] // 2
    scales = base ** -exponents(torch.arange(0, width, 2, dtype=torch.float64), width)
    tables = []
    for axis in (1, 2):
        places = counted(present, axis)
        places = whole * places / (size(places, axis) + eps) if normalize else places
        angles = places[..., None] * scales
        tables.append(laid_out(angles.sin(), angles.cos())[..., :width])
    return joined(*tables).to(x.dtype)


@wrong_positions("has the columns in the first half of the channels; the rows come first", "joined")
def columns_first(rows: Tensor, columns: Tensor) -> Tensor:
    return rows_then_columns(columns, rows)


@wrong_positions("lets rows and columns take turns; the rows are in the first half of the channels", "joined")
def taking_turns(rows: Tensor, columns: Tensor) -> Tensor:
    return side_by_side(rows, columns).permute(0, 3, 1, 2)


@wrong_positions("counts from 0; the first row and column have number 1", "counted")
def counted_from_0(present: Tensor, axis: int) -> Tensor:
    return counted(present, axis) - 1


@wrong_positions("counts the padding too", "counted")
def padding_counted(present: Tensor, axis: int) -> Tensor:
    return counted(torch.ones_like(present), axis)


@wrong_positions("divides by the size of the whole map; the divisor is the size of the image in it", "size")
def size_of_map(places: Tensor, axis: int) -> Tensor:
    return torch.full_like(image_size(places, axis), places.shape[axis])


wrong_positions("does not multiply by 2π", "whole")(1.0)
wrong_positions("multiplies by π; the factor is 2π", "whole")(math.pi)
wrong_positions("leaves the 1e-6 in the divisor out", "eps")(0.0)


@wrong_positions("normalises where it should not, or does not normalise where it should")
def other_normalize(x: Tensor, present: Tensor, normalize: bool = True, base: float = 10000.0) -> Tensor:
    return sinusoidal_positions_2d(x, present, not normalize, base)


@wrong_positions("uses i / C as the exponent of the base; it is 2i / (C / 2)", "exponents")
def exponents_of_all_channels(pair: Tensor, width: int) -> Tensor:
    return pair / width / 2


@wrong_positions("uses the default base, 10000")
def default_base(x: Tensor, present: Tensor, normalize: bool = True, base: float = 10000.0) -> Tensor:
    return sinusoidal_positions_2d(x, present, normalize)


wrong_positions("swaps sines and cosines: the sines belong at even indices", "laid_out")(swapped)
wrong_positions("has the sines in the first half and the cosines in the second half; they take turns", "laid_out")(halves)
