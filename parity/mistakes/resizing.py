"""Mistakes in making images larger or smaller: by interpolation, and by padding."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.graft import graft


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    *,
    change: str = "",
    **others: Any,
) -> Tensor:
    """Interpolation spelt out, with one change; where the change is none of its mode's, it is no candidate."""
    if change not in COMMON | (NEAREST if mode == "nearest" else CORNERS if align_corners else BILINEAR):
        raise ValueError(f"{change} is no mistake in this mode")
    factors = scale_factor if isinstance(scale_factor, tuple | list) else (scale_factor, scale_factor)
    sizes = size if isinstance(size, tuple | list) else (size, size)
    y = input
    for axis, factor, length in zip((2, 3), factors, sizes, strict=True):
        before = input.shape[axis]
        after = length if factor is None else math.floor(before * factor)
        by_sizes = factor is None or change == "step of the sizes" or (before == after and change != "step of a copy")
        step = before / after if by_sizes else 1 / factor
        y = _along(y, axis, _shares(before, after, step, mode, bool(align_corners), change).to(y.dtype))
    return y


def _along(x: Tensor, axis: int, shares: Tensor) -> Tensor:
    return torch.einsum("oi,nci...->nco...", shares, x) if axis == 2 else torch.einsum("oi,nc...i->nc...o", shares, x)


def _shares(before: int, after: int, step: float, mode: str, align_corners: bool, change: str) -> Tensor:
    """The matrix (after, before) of an axis."""
    i, last = torch.arange(after, dtype=torch.float64), before - 1
    pixels = torch.eye(before, dtype=torch.float64)
    if mode == "nearest":
        step = 0.5 if after == 2 * before else step
        at = (i.float() * torch.tensor(step).float()).double()
        at = {"exact": i * before // after, "rounded": (i * step).round(), "half a pixel": ((i + 0.5) * step).floor()}.get(
            change, at
        )
        return pixels[at.long().clamp(max=last)]
    if align_corners:
        at = i * last / max(after if change == "all intervals" else after - 1, 1)
    else:
        at = i * step if change == "no half pixel" else (i + 0.5) * step - (0 if change == "half a pixel late" else 0.5)
        at = at if change == "extrapolated" else at.clamp(min=0)
    low = at.trunc().clamp(max=last)
    share = (at - low).clamp(max=1)[:, None]
    low, high = low.long(), (low + 1).long()
    high = high % before if change == "round the edge" else high.clamp(max=last)
    low, high = (high, low) if change == "shares swapped" else (low, high)
    return pixels[low] * (1 - share) + pixels[high] * share


def shared(input: Tensor, *options: Any, **rest: Any) -> Tensor:
    """Interpolation whose gradient is divided by the number of pixels that one becomes."""
    y = F.interpolate(input, *options, **rest)
    return graft(y, y * (input.shape[-1] * input.shape[-2] / (y.shape[-1] * y.shape[-2])))


COMMON = {"", "step of the sizes", "step of a copy"}
NEAREST = {"exact", "rounded", "half a pixel"}
CORNERS = {"all intervals", "round the edge", "shares swapped"}
BILINEAR = {"no half pixel", "half a pixel late", "extrapolated", "round the edge", "shares swapped"}

TABLE: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "interpolate": [
        *(
            (text, partial(interpolate, change=change))
            for change, text in {
                "step of the sizes": "takes the ratio of the sizes for the step, which is 1 / scale_factor where that is given",
                "step of a copy": "takes steps of 1 / scale_factor along an axis that keeps its length; torch copies it",
                "exact": "takes i * step exactly; torch rounds it to float32",
                "rounded": "rounds i * step; it is cut off",
                "half a pixel": "takes the pixel nearest to the middle: that is torch's nearest-exact",
                "no half pixel": "is misaligned: pixels are half a pixel wide on either side, (i + 0.5) * step - 0.5",
                "half a pixel late": "is misaligned by half a pixel: lacks the - 0.5 of (i + 0.5) * step - 0.5",
                "extrapolated": "extrapolates before the first pixel, whose value is to stay",
                "all intervals": "divides by OH; with align_corners there are OH - 1 intervals",
                "round the edge": "takes the first pixel for the neighbour of the last",
                "shares swapped": "gives each of two neighbours the share of the other",
            }.items()
        ),
        ("divides the gradient among the pixels that show one; they add up", shared),
    ],
}
