"""Images of another size, sampled from those that are there."""

import math
from functools import lru_cache

import numpy as np
from scipy import sparse

from scratch.module import Array, Backward
from scratch.ops.checks import one_float_dtype, one_of, pair
from scratch.ops.threads import in_parallel
from scratch.ops.window import Size

Scale = float | tuple[float, float]


def interpolate(
    x: Array, size: Size | None = None, scale_factor: Scale | None = None, mode: str = "nearest", align_corners: bool | None = None
) -> tuple[Array, Backward]:
    """Enlarge or shrink images x (N, C, H, W) to a size, or by a factor, as torch.nn.functional.interpolate.

    A factor f makes OH = floor(f * H) rows. With step = H / OH, or 1 / f where a factor is given, output row i shows

        nearest    row floor(i * step), where both step and product are rounded to float32, as in torch
        bilinear   the rows on either side of (i + 0.5) * step - 0.5, weighted by their nearness; beyond the image, its edge.
                   With align_corners, whatever the factor, of i * (H - 1) / (OH - 1): the corners keep their places

    and columns alike. The value and dx lie in memory as (N, H, W, C).
    """
    one_float_dtype("interpolate", x=x)
    one_of("interpolate", "mode", mode, ("nearest", "bilinear"))
    if x.ndim != 4:
        raise ValueError(f"interpolate: expected x (N, C, H, W), got {x.shape}")
    if mode == "nearest" and align_corners is not None:
        raise ValueError(f"interpolate: align_corners is {align_corners}, expected None where mode is 'nearest'")
    before = x.shape[2], x.shape[3]
    after, steps = _geometry(before, size, scale_factor)
    taps, backward_taps = _taps(before, after, steps, mode, bool(align_corners), x.dtype)
    return _sampled(x, taps, after), lambda dy: _sampled(dy, backward_taps, before)


def _geometry(
    before: tuple[int, int], size: Size | None, scale_factor: Scale | None
) -> tuple[tuple[int, int], tuple[float, float]]:
    """The output's size, and how many pixels of x one of its pixels goes along each axis."""
    if size is not None and scale_factor is None:
        H, W = pair("interpolate", "size", size, 1)
        return (H, W), (before[0] / H, before[1] / W)
    if size is not None or scale_factor is None:
        raise ValueError(f"interpolate: expected size or scale_factor, one of them, got {size} and {scale_factor}")
    factors = scale_factor if isinstance(scale_factor, tuple | list) else (scale_factor, scale_factor)
    after = tuple(math.floor(n * f) if 0 < f < math.inf else 0 for n, f in zip(before, factors, strict=True))
    if min(after) < 1:
        raise ValueError(f"interpolate: scale_factor {scale_factor} leaves nothing of images of {before}; expected a larger one")
    # torch copies an axis that keeps its length, whatever the factor
    steps = tuple(1.0 if n == m else 1 / f for n, m, f in zip(before, after, factors, strict=True))
    return after, steps


@lru_cache(maxsize=32)
def _taps(
    before: tuple[int, int], after: tuple[int, int], steps: tuple[float, float], mode: str, align_corners: bool, dtype: np.dtype
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """The share of each pixel in each pixel of the output (OH * OW, H * W), and the same transposed."""
    rows, columns = (
        _nearest(*axis) if mode == "nearest" else _bilinear(*axis, align_corners) for axis in zip(before, after, steps, strict=True)
    )
    taps = sparse.kron(rows, columns, format="csr").astype(dtype)
    return taps, taps.T.tocsr()


def _nearest(before: int, after: int, step: float) -> sparse.csr_array:
    """The matrix (after, before) that picks a pixel for each."""
    step = 0.5 if after == 2 * before else step  # a short cut of torch's
    at = np.arange(after, dtype=np.float32) * np.float32(step)
    return _matrix(np.minimum(at.astype(int), before - 1), np.ones(after), before)


def _bilinear(before: int, after: int, step: float, align_corners: bool) -> sparse.csr_array:
    """The matrix (after, before) that mixes two neighbours for each."""
    if align_corners:
        at = np.arange(after) * ((before - 1) / max(after - 1, 1))
    else:
        at = np.maximum((np.arange(after) + 0.5) * step - 0.5, 0)
    low = np.minimum(at.astype(int), before - 1)
    share = np.minimum(at - low, 1)
    return _matrix(low, 1 - share, before) + _matrix(np.minimum(low + 1, before - 1), share, before)


def _matrix(places: Array, shares: Array, width: int) -> sparse.csr_array:
    """One share in each row, at its place."""
    return sparse.csr_array((shares, places, np.arange(len(places) + 1)), shape=(len(places), width))


def _sampled(images: Array, taps: sparse.csr_array, size: tuple[int, int]) -> Array:
    """Images (N, C, H, W) as the mixtures of their pixels, of this size."""
    N, C = images.shape[:2]
    pixels = images.transpose(0, 2, 3, 1).reshape(N, -1, C)
    y = np.empty((N, *size, C), images.dtype)

    def sample(n: int) -> None:
        y[n] = (taps @ pixels[n]).reshape(*size, C)

    in_parallel(sample, range(N))
    return y.transpose(0, 3, 1, 2)
