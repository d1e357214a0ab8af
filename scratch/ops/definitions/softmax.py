"""Softmax and its logarithm along one axis."""

import numpy as np

from scratch.module import Array, Backward


def softmax(x: Array, dim: int = -1) -> tuple[Array, Backward]:
    """Compute y = exp(x) / Σ exp(x), dx = y (dy - Σ dy y)."""
    e = np.exp(x - x.max(axis=dim, keepdims=True))
    y = e / e.sum(axis=dim, keepdims=True)
    return y, lambda dy: y * (dy - (dy * y).sum(axis=dim, keepdims=True))


def log_softmax(x: Array, dim: int = -1) -> tuple[Array, Backward]:
    """Compute y = x - log Σ exp(x), dx = dy - exp(y) Σ dy."""
    z = x - x.max(axis=dim, keepdims=True)
    y = z - np.log(np.exp(z).sum(axis=dim, keepdims=True))
    return y, lambda dy: dy - np.exp(y) * dy.sum(axis=dim, keepdims=True)
