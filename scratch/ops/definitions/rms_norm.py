"""Normalisation by the root mean square (Zhang & Sennrich 2019, equation 4)."""

import numpy as np

from scratch.module import Array, Backward


def rms_norm(
    x: Array, weight: Array | None = None, *, normalized_shape: tuple[int, ...], eps: float | None = None
) -> tuple[Array, Backward]:
    """Compute y = weight x̂ for x̂ = x / rms, rms = √(mean(x²) + eps); dx = (dx̂ - x̂ mean(dx̂ x̂)) / rms, dx̂ = dy weight."""
    ndim = x.ndim - len(normalized_shape)
    axes = tuple(range(ndim, x.ndim))
    rms = np.sqrt((x * x).mean(axis=axes, keepdims=True) + (float(np.finfo(x.dtype).eps) if eps is None else eps))
    x_hat, gamma = x / rms, np.asarray(1 if weight is None else weight, x.dtype)

    def backward(dy: Array) -> tuple[Array | None, ...]:
        dx_hat = dy * gamma
        dx = (dx_hat - x_hat * (dx_hat * x_hat).mean(axis=axes, keepdims=True)) / rms
        return dx, None if weight is None else (dy * x_hat).sum(axis=tuple(range(ndim)))

    return gamma * x_hat, backward
