"""Images resized to another size."""

import math
from typing import Any

import numpy as np
from scipy import sparse

from scratch.checks import Size, one_float_dtype, one_of, pair
from scratch.contract import op
from scratch.fast.threads import in_parallel
from scratch.module import Array, Backward

Scale = float | tuple[float, float]


@op
def interpolate(
    x: Array, size: Size | None = None, scale_factor: Scale | None = None, mode: str = "nearest", align_corners: bool | None = None
) -> tuple[Array, Backward]:
    """Resize images x (N, C, H, W) to a size, or by a factor, as torch.nn.functional.interpolate.

    A factor f gives OH = floor(f H) rows. With step = H / OH, or 1 / f where a factor is given, output row i shows

        nearest    row floor(i step), where step and product are rounded to float32, as in torch
        bilinear   the two rows around (i + 0.5) step - 0.5, weighted by their distance; beyond the image, its edge row.
                   With align_corners, the two rows around i (H - 1) / (OH - 1): the corner pixels keep their places

    and likewise for columns. So y = S x for a matrix S (OH OW, H W) of weights, and dx = Sᵀ dy. y and dx lie in memory as
    (N, H, W, C).
    """
    one_float_dtype("interpolate", x=x)
    one_of("interpolate", "mode", mode, ("nearest", "bilinear"))
    if x.ndim != 4 or min(x.shape[1:]) < 1:
        raise ValueError(f"interpolate: expected x (N, C, H, W) of at least one pixel, got {x.shape}")
    if mode == "nearest" and align_corners is not None:
        raise ValueError(f"interpolate: align_corners is {align_corners}, expected None where mode is 'nearest'")
    before = x.shape[2:]
    after, steps = _geometry(before, size, scale_factor)
    rows, columns = (
        _nearest(*axis) if mode == "nearest" else _bilinear(*axis, bool(align_corners))
        for axis in zip(before, after, steps, strict=True)
    )
    shares = _shares(rows, columns, before, x.dtype)
    return _mixed(x, shares, after), lambda dy: _mixed(dy, shares.T, before)


def _geometry(before: tuple[int, ...], size: Size | None, scale_factor: Scale | None) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the output's size, and the distance in pixels of x between two output pixels, along each axis."""
    if size is not None and scale_factor is None:
        after: tuple[int, ...] = pair("interpolate", "size", size, 1)
        return after, tuple(n / m for n, m in zip(before, after, strict=True))
    if size is not None or scale_factor is None:
        raise ValueError(f"interpolate: expected size or scale_factor, one of them, got {size} and {scale_factor}")
    factors = tuple(scale_factor) if isinstance(scale_factor, tuple | list) else (scale_factor, scale_factor)
    if len(factors) != 2 or not all(0 < f < 2**31 for f in factors):
        raise ValueError(f"interpolate: scale_factor is {scale_factor}, expected a number or a pair of numbers, each above 0")
    after = tuple(math.floor(n * f) for n, f in zip(before, factors, strict=True))
    if min(after) < 1:
        raise ValueError(f"interpolate: scale_factor {scale_factor} leaves nothing of images of {before}; expected a larger one")
    # torch copies an axis that keeps its length, whatever the factor
    steps = tuple(1.0 if n == m else 1 / f for n, m, f in zip(before, after, factors, strict=True))
    return after, steps


def _nearest(before: int, after: int, step: float) -> tuple[Array, Array]:
    """Return the pixel that each output pixel shows (after, 1), and its weight, 1."""
    step = 0.5 if after == 2 * before else step  # torch takes this short cut
    at = np.arange(after, dtype=np.float32) * np.float32(step)
    return np.minimum(at.astype(int), before - 1)[:, None], np.ones((after, 1))


def _bilinear(before: int, after: int, step: float, align_corners: bool) -> tuple[Array, Array]:
    """Return the two pixels around each output pixel (after, 2), and their weights."""
    if align_corners:
        at = np.arange(after) * ((before - 1) / max(after - 1, 1))
    else:
        at = np.maximum((np.arange(after) + 0.5) * step - 0.5, 0)
    low = np.minimum(at.astype(int), before - 1)
    share = np.minimum(at - low, 1)
    unmixed = (share == 0) & (before == after)  # here torch does not read the next pixel, which may be infinite
    high = np.where(unmixed, low, np.minimum(low + 1, before - 1))
    return np.stack((low, high), axis=1), np.stack((1 - share, share), axis=1)


def _shares(rows: tuple[Array, Array], columns: tuple[Array, Array], before: tuple[int, ...], dtype: Any) -> sparse.csr_array:
    """Return the weight of each pixel of x in each output pixel (OH * OW, H * W).

    A pixel at the edge may have two weights, one of them 0, as in torch: they are not added up, so infinity becomes NaN there.
    """
    (row, row_share), (column, column_share) = rows, columns
    pixel = row[:, None, :, None] * before[1] + column[None, :, None, :]  # (OH, OW, 1, 1) or (OH, OW, 2, 2)
    share = row_share[:, None, :, None] * column_share[None, :, None, :]
    ends = np.arange(0, pixel.size + 1, pixel[0, 0].size)
    return sparse.csr_array((share.ravel().astype(dtype), pixel.ravel(), ends), shape=(len(ends) - 1, math.prod(before)))


def _mixed(images: Array, shares: sparse.sparray, size: tuple[int, ...]) -> Array:
    """Return images of this size whose pixels are weighted sums of the pixels of images (N, C, H, W)."""
    N, C = images.shape[:2]
    pixels = images.transpose(0, 2, 3, 1).reshape(N, math.prod(images.shape[2:]), C)
    y = np.empty((N, *size, C), images.dtype)

    def mix(n: int) -> None:
        y[n] = (shares @ pixels[n]).reshape(*size, C)

    in_parallel(mix, range(N))
    return y.transpose(0, 3, 1, 2)
