"""Positions in images as sines and cosines."""

from torch import Tensor, nn

from reference.ops import sinusoidal_positions_2d


class SinusoidalPositions2d(nn.Module):
    """Feature maps x (B, C, H, W), present where (B, H, W) is true, to the sines and cosines of their places, (B, C, H, W)."""

    def __init__(self, normalize: bool = True, base: float = 10000.0):
        super().__init__()
        self.normalize, self.base = normalize, base

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        return sinusoidal_positions_2d(x, present, self.normalize, self.base)
