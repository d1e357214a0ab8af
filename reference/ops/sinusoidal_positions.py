"""Sinusoidal position encoding (Vaswani et al. 2017, section 3.5)."""

import torch
from torch import Tensor
from torch.overrides import wrap_torch_function


@wrap_torch_function(lambda x, *others, **options: (x,))
def sinusoidal_positions(x: Tensor, positions: Tensor, base: float = 10000.0) -> Tensor:
    """Add to x (..., T, D) the encoding of its positions (T,) or (..., T): sines at even channels, cosines at odd ones."""
    width = x.shape[-1]
    rates = base ** (-torch.arange(0, width, 2, dtype=torch.float64, device=x.device) / width)
    angles = positions.detach()[..., None] * rates
    table = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)[..., :width]
    return x + table.to(x.dtype)
