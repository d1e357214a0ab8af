"""Sinusoidal position encoding of images."""

from torch import Tensor, nn

from reference.ops import sinusoidal_positions_2d


class SinusoidalPositions2d(nn.Module):
    """Layer from feature maps x (B, C, H, W) and a mask (B, H, W) of the real pixels to the encoding (B, C, H, W) of each pixel."""

    def __init__(self, normalize: bool = True, base: float = 10000.0):
        super().__init__()
        self.normalize, self.base = normalize, base

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        return sinusoidal_positions_2d(x, present, self.normalize, self.base)
