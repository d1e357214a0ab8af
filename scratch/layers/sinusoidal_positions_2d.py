"""Positions in images as sines and cosines."""

from scratch.module import Array, Backward, Module
from scratch.ops.sinusoidal_positions_2d import sinusoidal_positions_2d


class SinusoidalPositions2d(Module):
    """The sines and cosines (B, C, H, W) of row and column in feature maps x (B, C, H, W).

    `present` (B, H, W) is false in the padding.
    """

    def __init__(self, normalize: bool = True, base: float = 10000.0):
        self.normalize, self.base = normalize, base

    def forward(self, x: Array, present: Array) -> tuple[Array, Backward]:
        return sinusoidal_positions_2d(x, present, self.normalize, self.base)
