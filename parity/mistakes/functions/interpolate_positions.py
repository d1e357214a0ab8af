"""Mistakes in interpolating a table of positions to another grid."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.register import definition, mistake

Grid = tuple[int, int]
wrong_positions = partial(mistake, "interpolate_positions")


def bicubic(image: Tensor, size: Grid, mode: str = "bicubic", **options: Any) -> Tensor:
    """Resize an image by cubic convolution, or with other options."""
    return F.interpolate(image, size, mode=mode, **options)


@definition("interpolate_positions")
def interpolate_positions(
    positions: Tensor,
    grid: Grid,
    size: Grid,
    *,
    shape: Callable[[int, int], Grid] = lambda h, w: (h, w),
    resized: Callable[[Tensor, Grid], Tensor] = bicubic,
) -> Tensor:
    """Resize the positions of a grid, in stages; those before the grid stay."""
    h, w = grid
    first, table = positions.tensor_split([positions.shape[1] - h * w], dim=1)
    image = table.unflatten(1, shape(h, w)).permute(0, 3, 1, 2)
    return torch.cat((first, resized(image, size).flatten(2).transpose(1, 2)), dim=1)


@wrong_positions("does not interpolate: uses the first positions of the table, as many as there are patches")
def cut(positions: Tensor, grid: Grid, size: Grid) -> Tensor:
    (h, w), (H, W) = grid, size
    first, table = positions.tensor_split([positions.shape[1] - h * w], dim=1)
    return torch.cat((first, table.repeat(1, -(-H * W // (h * w)), 1)[:, : H * W]), dim=1)


@wrong_positions("swaps the width and the height of the grid", "shape")
def columns_first(h: int, w: int) -> Grid:
    return w, h


OTHER_OPTIONS: dict[str, dict[str, Any]] = {
    "interpolates linearly; the interpolation is bicubic": {"mode": "bilinear"},
    "uses the nearest position; the interpolation is bicubic": {"mode": "nearest"},
    "aligns the corners of both grids; their edges are aligned": {"align_corners": True},
    "interpolates linearly and aligns the corners; the interpolation is bicubic and the edges are aligned": {
        "mode": "bilinear",
        "align_corners": True,
    },
    "smooths a grid that becomes smaller (antialias)": {"antialias": True},
}
for message, options in OTHER_OPTIONS.items():
    wrong_positions(message, "resized")(partial(bicubic, **options))
