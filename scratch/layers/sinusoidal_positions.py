"""Positions as sines and cosines."""

import numpy as np

from scratch.module import Array, Backward, Module
from scratch.ops.sinusoidal_positions import sinusoidal_positions


class SinusoidalPositions(Module):
    """x (..., T, D) plus the sines and cosines of its positions: 0 to T - 1, or those given, (T,) or (..., T)."""

    def __init__(self, base: float = 10000.0):
        self.base = base

    def forward(self, x: Array, positions: Array | None = None) -> tuple[Array, Backward]:
        if x.ndim < 2:
            raise ValueError(f"SinusoidalPositions: expected x (..., T, D), got {x.shape}")
        y, backward = sinusoidal_positions(x, np.arange(x.shape[-2]) if positions is None else positions, self.base)
        return y, backward if positions is not None else lambda dy: backward(dy)[0]
