"""Positions in images as sines and cosines."""

from scratch.module import Array, Backward, Module
from scratch.ops.sinusoidal_positions_2d import sinusoidal_positions_2d


class SinusoidalPositions2d(Module):
    """Feature maps x (B, C, H, W), present where (B, H, W) is true, to the sines and cosines of their places, (B, C, H, W)."""

    def __init__(self, normalize: bool = True, base: float = 10000.0):
        self.normalize, self.base = normalize, base

    def forward(self, x: Array, present: Array) -> tuple[Array, Backward]:
        return sinusoidal_positions_2d(x, present, self.normalize, self.base)
