"""Sinusoidal position encoding."""

import torch
from torch import Tensor, nn

from reference.ops import sinusoidal_positions


class SinusoidalPositions(nn.Module):
    """Layer that adds the sinusoidal encoding of each position to x (..., T, D).

    The positions are 0 to T - 1 unless they are given, as (T,) or (..., T).
    """

    def __init__(self, base: float = 10000.0):
        super().__init__()
        self.base = base

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        positions = torch.arange(x.shape[-2], device=x.device) if positions is None else positions
        return sinusoidal_positions(x, positions, self.base)
