"""Sinusoidal position encoding of images (Carion et al. 2020)."""

import math

import torch
from torch import Tensor
from torch.overrides import wrap_torch_function


@wrap_torch_function(lambda x, present, *others, **options: (x, present))
def sinusoidal_positions_2d(x: Tensor, present: Tensor, normalize: bool = True, base: float = 10000.0) -> Tensor:
    """Return the encoding of each pixel of x (B, C, H, W), in the shape of x.

    The first half of the channels encodes the row and the second half the column. Rows and columns are counted among the
    pixels that are `present` (B, H, W), that is, no padding.
    """
    width = x.shape[1] // 2
    rates = base ** (-torch.arange(0, width, 2, dtype=torch.float64, device=x.device) / width)
    rows, columns = (present.cumsum(axis, dtype=torch.float64) for axis in (1, 2))
    if normalize:
        rows, columns = (2 * math.pi * n / (n.amax(axis, keepdim=True) + 1e-6) for axis, n in ((1, rows), (2, columns)))
    angles = torch.stack((rows, columns), dim=1)[..., None] * rates  # (B, 2, H, W, width / 2)
    table = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)[..., :width]
    return table.movedim(-1, 2).flatten(1, 2).to(x.dtype)
