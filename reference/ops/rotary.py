"""Rotary position embedding (Su et al. 2021)."""

import torch
from torch import Tensor
from torch.overrides import wrap_torch_function


@wrap_torch_function(lambda x, *others, **options: (x,))
def rotary(x: Tensor, positions: Tensor, base: float = 10000.0, interleaved: bool = False) -> Tensor:
    """Rotate each pair of numbers of x (..., T, D) by an angle that is proportional to its position.

    A pair is one complex number, and the rotation a product with a complex number of absolute value 1. The real parts are
    the first half of x and the imaginary parts the second half, or they alternate if `interleaved`.
    """
    if not x.numel():  # torch has no complex view of an empty tensor
        return x.clone()
    width = x.shape[-1]
    rates = base ** (-torch.arange(0, width, 2, dtype=torch.float64, device=x.device) / width)
    angles = positions.detach()[..., None] * rates
    turns = torch.polar(torch.ones_like(angles), angles)
    real, imaginary = (x[..., 0::2], x[..., 1::2]) if interleaved else x.chunk(2, dim=-1)
    turned = torch.view_as_real(torch.complex(real, imaginary) * turns.to(torch.complex(real, imaginary).dtype))
    return (turned if interleaved else turned.transpose(-1, -2)).flatten(-2)
