"""Images of another size, as products with one matrix for the rows and one for the columns."""

import numpy as np

from scratch.checks import Size
from scratch.module import Array, Backward
from scratch.ops.definitions.conv import both

Scale = float | tuple[float, float]


def interpolate(
    x: Array, size: Size | None = None, scale_factor: Scale | None = None, mode: str = "nearest", align_corners: bool | None = None
) -> tuple[Array, Backward]:
    """Compute y = R x Cᵀ for each channel, dx = Rᵀ dy C; R (OH, H) and C (OW, W) hold each old pixel's share in each new one."""
    factors = scale_factor if isinstance(scale_factor, tuple) else (scale_factor, scale_factor)
    sizes = both(size) if size is not None else [int(np.floor(n * f)) for n, f in zip(x.shape[2:], factors, strict=True)]
    R, C = (_shares(*axis, mode, align_corners).astype(x.dtype) for axis in zip(x.shape[2:], sizes, factors, strict=True))
    return R @ x @ C.T, lambda dy: R.T @ dy @ C


def _shares(before: int, after: int, factor: float | None, mode: str, align_corners: bool | None) -> Array:
    """Return the share of each of `before` pixels in each of `after` (after, before)."""
    step = before / after if factor is None or before == after else 1 / factor
    if mode == "nearest":
        at = np.minimum(np.floor(np.arange(after, dtype=np.float32) * np.float32(step)), before - 1)
    elif align_corners:
        at = np.arange(after) * (before - 1) / max(after - 1, 1)
    else:
        at = np.clip((np.arange(after) + 0.5) * step - 0.5, 0, before - 1)
    return np.maximum(1 - np.abs(at[:, None] - np.arange(before)), 0)
