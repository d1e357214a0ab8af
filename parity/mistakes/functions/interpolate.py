"""Mistakes in making images larger or smaller by interpolation."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake

wrong_interpolate = partial(mistake, "interpolate")
Places = Callable[[int, int, float], Tensor]  # of the lengths before and after, and the step: where each new pixel lies


def nearest(before: int, after: int, step: float) -> Tensor:
    """Return i * step as torch computes it, in float32."""
    i = torch.arange(after, dtype=torch.float32)
    return (i * torch.tensor(0.5 if after == 2 * before else step).float()).double()


def edges_aligned(before: int, after: int, step: float) -> Tensor:
    """Return (i + 0.5) * step - 0.5, where the edges of both images are aligned."""
    return ((_counted(after) + 0.5) * step - 0.5).clamp(min=0)


def corners_aligned(before: int, after: int, step: float) -> Tensor:
    """Return where the centres of the corner pixels are aligned."""
    return _counted(after) * (before - 1) / max(after - 1, 1)


def _counted(length: int) -> Tensor:
    return torch.arange(length, dtype=torch.float64)


def neighbours(low: Tensor, high: Tensor, before: int) -> tuple[Tensor, Tensor]:
    """Return the pixels whose shares are 1 - share and share."""
    return low, high.clamp(max=before - 1)


def right_step(length: int, after: int, factor: float | None) -> float:
    """Return 1 / scale_factor where it is given and the length changes, or the ratio of the lengths."""
    return length / after if factor is None or length == after else 1 / factor


@definition("interpolate")
def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
    *,
    step: Callable[[int, int, float | None], float] = right_step,
    nearest: Places = nearest,
    edges: Places = edges_aligned,
    corners: Places = corners_aligned,
    neighbours: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]] = neighbours,
) -> Tensor:
    """Compute interpolation in stages."""
    places = nearest if mode == "nearest" else corners if align_corners else edges
    factors = scale_factor if isinstance(scale_factor, tuple | list) else (scale_factor, scale_factor)
    sizes = size if isinstance(size, tuple | list) else (size, size)
    y = input
    for axis, factor, length in zip((2, 3), factors, sizes, strict=True):
        before = input.shape[axis]
        after = length if factor is None else math.floor(before * factor)
        at = places(before, after, step(before, after, factor))
        shares = _nearest_shares(before, at) if mode == "nearest" else _linear_shares(before, at, neighbours)
        y = torch.einsum("oi,nci...->nco..." if axis == 2 else "oi,nc...i->nc...o", shares.to(y.dtype), y)
    return y


def _nearest_shares(before: int, at: Tensor) -> Tensor:
    """Return the matrix (after, before) of an axis."""
    return torch.eye(before, dtype=torch.float64)[at.long().clamp(max=before - 1)]


def _linear_shares(before: int, at: Tensor, neighbours: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]) -> Tensor:
    """Return the matrix (after, before) of an axis."""
    pixels, whole = torch.eye(before, dtype=torch.float64), at.trunc().clamp(max=before - 1)
    share = (at - whole).clamp(max=1)[:, None]
    low, high = neighbours(whole.long(), (whole + 1).long(), before)
    return pixels[low] * (1 - share) + pixels[high] * share


@wrong_interpolate("uses the ratio of the sizes as the step; where scale_factor is given, the step is 1 / scale_factor", "step")
def ratio_of_sizes(length: int, after: int, factor: float | None) -> float:
    return length / after


@wrong_interpolate("takes steps of 1 / scale_factor along an axis whose length does not change; torch copies that axis", "step")
def step_of_a_copy(length: int, after: int, factor: float | None) -> float:
    return length / after if factor is None else 1 / factor


@wrong_interpolate("computes i * step exactly; torch rounds it to float32", "nearest")
def not_rounded_to_float32(before: int, after: int, step: float) -> Tensor:
    return torch.arange(after, dtype=torch.float64) * before // after


@wrong_interpolate("rounds i * step to the nearest pixel; it is rounded down", "nearest")
def rounded(before: int, after: int, step: float) -> Tensor:
    return (_counted(after) * (0.5 if after == 2 * before else step)).round()


@wrong_interpolate("takes the pixel nearest to the centre: this is torch's mode nearest-exact", "nearest")
def nearest_exact(before: int, after: int, step: float) -> Tensor:
    return ((_counted(after) + 0.5) * (0.5 if after == 2 * before else step)).floor()


@wrong_interpolate("is misaligned: uses i * step; the centre of a pixel lies at (i + 0.5) * step - 0.5", "edges")
def no_half_pixel(before: int, after: int, step: float) -> Tensor:
    return (_counted(after) * step).clamp(min=0)


@wrong_interpolate("is misaligned by half a pixel: does not subtract the 0.5 of (i + 0.5) * step - 0.5", "edges")
def half_a_pixel_late(before: int, after: int, step: float) -> Tensor:
    return ((_counted(after) + 0.5) * step).clamp(min=0)


@wrong_interpolate("extrapolates beyond the centre of the first pixel; its value is repeated there", "edges")
def extrapolated(before: int, after: int, step: float) -> Tensor:
    return (_counted(after) + 0.5) * step - 0.5


@wrong_interpolate("divides by the output size OH; with align_corners there are OH - 1 intervals", "corners")
def one_interval_more(before: int, after: int, step: float) -> Tensor:
    return _counted(after) * (before - 1) / max(after, 1)


@wrong_interpolate("uses the first pixel as the neighbour of the last", "neighbours")
def round_the_edge(low: Tensor, high: Tensor, before: int) -> tuple[Tensor, Tensor]:
    return low, high % before


@wrong_interpolate("swaps the shares of two neighbouring pixels", "neighbours")
def shares_swapped(low: Tensor, high: Tensor, before: int) -> tuple[Tensor, Tensor]:
    return neighbours(low, high, before)[::-1]


@wrong_interpolate("takes the mean of the gradients of the pixels that show one pixel; they add up")
def gradient_averaged(input: Tensor, *options: Any, **rest: Any) -> Tensor:
    y = F.interpolate(input, *options, **rest)
    return with_gradient_of(y, y * (input.shape[-1] * input.shape[-2] / (y.shape[-1] * y.shape[-2])))
