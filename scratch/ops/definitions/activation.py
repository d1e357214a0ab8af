"""Elementwise activations."""

import numpy as np

from scratch.module import Array, Backward


def relu(x: Array) -> tuple[Array, Backward]:
    """Compute y = max(x, 0), dx = dy where x > 0, else 0."""
    return np.maximum(x, 0), lambda dy: np.where(x <= 0, 0, dy)


def leaky_relu(x: Array, negative_slope: float = 0.01) -> tuple[Array, Backward]:
    """Compute y = x where x > 0, else negative_slope x; dx = dy and negative_slope dy in the same places."""
    return np.where(x > 0, x, negative_slope * x), lambda dy: np.where(x > 0, dy, negative_slope * dy)


def sigmoid(x: Array) -> tuple[Array, Backward]:
    """Compute y = 1 / (1 + exp(-x)), dx = dy y (1 - y)."""
    y = 1 / (1 + np.exp(-x))
    return y, lambda dy: dy * y * (1 - y)


def tanh(x: Array) -> tuple[Array, Backward]:
    """Compute the hyperbolic tangent y of x, dx = dy (1 - y²)."""
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - y * y)


def silu(x: Array) -> tuple[Array, Backward]:
    """Compute y = x s for s = sigmoid(x), dx = dy s (1 + x (1 - s))."""
    s, _ = sigmoid(x)
    return x * s, lambda dy: dy * s * (1 + x * (1 - s))
