"""Positions as sines and cosines."""

import numpy as np

from scratch.checks import has_positions, one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward


@op
def sinusoidal_positions(x: Array, positions: Array, base: float = 10000.0) -> tuple[Array, Backward]:
    """Add the sines and cosines of positions (T,) or (..., T) to x (..., T, D) (Vaswani et al. 2017, section 3.5); dx = dy."""
    one_float_dtype("sinusoidal_positions", x=x)
    has_positions("sinusoidal_positions", x, positions)
    table = sinusoidal_table(positions, x.shape[-1], base).astype(x.dtype)
    return x + table, lambda dy: (dy, None)


def sinusoidal_table(positions: Array, width: int, base: float = 10000.0) -> Array:
    """Return sin(position / base^(2i / width)) at 2i and the cosine at 2i + 1, (..., width) for positions (...), in float64."""
    angles = positions[..., None] * base ** (-np.arange(0, width, 2) / width)
    table = np.empty((*positions.shape, width))
    table[..., 0::2] = np.sin(angles)
    table[..., 1::2] = np.cos(angles[..., : width // 2])
    return table
