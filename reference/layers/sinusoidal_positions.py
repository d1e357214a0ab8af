"""Positions as sines and cosines."""

import torch
from torch import Tensor, nn

from reference.ops import sinusoidal_positions


class SinusoidalPositions(nn.Module):
    """x (..., T, D) plus the sines and cosines of its positions: 0 to T - 1, or those given, (T,) or (..., T)."""

    def __init__(self, base: float = 10000.0):
        super().__init__()
        self.base = base

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        positions = torch.arange(x.shape[-2], device=x.device) if positions is None else positions
        return sinusoidal_positions(x, positions, self.base)
