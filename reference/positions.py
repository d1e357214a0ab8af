"""Positions in transformers: functions that torch lacks.

They are open to torch's overrides as its own functions are, so that another one may stand in for them.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import wrap_torch_function


@wrap_torch_function(lambda x, *others, **options: (x,))
def sinusoidal_positions(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    """x (..., T, D) plus the sines, at even places, and cosines, at odd ones, of its positions (T,) or (..., T)."""
    width = x.shape[-1]
    rates = base ** (-torch.arange(0, width, 2, dtype=torch.float64, device=x.device) / width)
    angles = positions.detach()[..., None] * rates
    table = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)[..., :width]
    return x + table.to(x.dtype)


@wrap_torch_function(lambda x, present, *others, **options: (x, present))
def sinusoidal_positions_2d(x: Tensor, present: Tensor, normalize: bool = True, base: float = 10000.0) -> Tensor:
    """Sines and cosines of the rows, in the first half of x's channels, and of the columns of what is `present`, in its shape."""
    width = x.shape[1] // 2
    rates = base ** (-torch.arange(0, width, 2, dtype=torch.float64, device=x.device) / width)
    rows, columns = (present.cumsum(axis, dtype=torch.float64) for axis in (1, 2))
    if normalize:
        rows, columns = (2 * math.pi * n / (n.amax(axis, keepdim=True) + 1e-6) for axis, n in ((1, rows), (2, columns)))
    angles = torch.stack((rows, columns), dim=1)[..., None] * rates  # (B, 2, H, W, width / 2)
    table = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)[..., :width]
    return table.movedim(-1, 2).flatten(1, 2).to(x.dtype)


@wrap_torch_function(lambda x, *others, **options: (x,))
def rotary(x: Tensor, positions: Tensor, base: float = 10000.0, interleaved: bool = False) -> Tensor:
    """The pairs of x (..., T, D) as complex numbers, times those of absolute value 1 at the angles of their positions.

    The real parts are the first half of x and the imaginary ones the second, or they are `interleaved`.
    """
    if not x.numel():  # which torch has no complex view of
        return x.clone()
    width = x.shape[-1]
    rates = base ** (-torch.arange(0, width, 2, dtype=torch.float64, device=x.device) / width)
    angles = positions.detach()[..., None] * rates
    turns = torch.polar(torch.ones_like(angles), angles)
    real, imaginary = (x[..., 0::2], x[..., 1::2]) if interleaved else x.chunk(2, dim=-1)
    turned = torch.view_as_real(torch.complex(real, imaginary) * turns.to(torch.complex(real, imaginary).dtype))
    return (turned if interleaved else turned.transpose(-1, -2)).flatten(-2)


@wrap_torch_function(lambda relative_position, *others, **options: (relative_position,))
def relative_position_bucket(
    relative_position: Tensor, bidirectional: bool = True, num_buckets: int = 32, max_distance: int = 128
) -> Tensor:
    """The bucket of each relative position, key minus query, as T5 has them."""
    buckets = torch.zeros_like(relative_position)
    if bidirectional:
        num_buckets //= 2
        buckets += (relative_position > 0) * num_buckets
        distance = relative_position.abs()
    else:
        distance = (-relative_position).clamp(min=0)
    exact = num_buckets // 2
    share = torch.log(distance.clamp(min=1).double() / exact) / math.log(max_distance / exact)  # of the way to max_distance
    far = exact + (share * (num_buckets - exact)).long()
    return buckets + torch.where(distance < exact, distance, far.clamp(max=num_buckets - 1))


@wrap_torch_function(lambda positions, *others, **options: (positions,))
def interpolate_positions(positions: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """A table (1, P + h w, D) for a grid (h, w) of patches to one (1, P + H W, D) for a grid (H, W), but for its first P."""
    if tuple(grid) == tuple(size):
        return positions
    h, w = grid
    first, table = positions.tensor_split([positions.shape[1] - h * w], dim=1)
    image = table.unflatten(1, (h, w)).permute(0, 3, 1, 2)
    resized = F.interpolate(image, tuple(size), mode="bicubic", align_corners=False)
    return torch.cat((first, resized.flatten(2).transpose(1, 2)), dim=1)
