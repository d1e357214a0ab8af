"""Positions in images as sines and cosines."""

import math

import numpy as np

from scratch.checks import has_shape, is_bool, one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward
from scratch.ops.sinusoidal_positions import sinusoidal_table

EPS = 1e-6


@op
def sinusoidal_positions_2d(x: Array, present: Array, normalize: bool = True, base: float = 10000.0) -> tuple[Array, Backward]:
    """Return the sines and cosines of row and column of each place in feature maps x (B, C, H, W), in the shape of x.

    The first half of the channels stands for the row, the second for the column. They count from 1 over the places where
    `present` (B, H, W) is true, that is, outside the padding. With normalize, they are divided by their last value and
    multiplied by 2π (Carion et al. 2020, appendix A.4; Parmar et al. 2018). The result depends only on the shape of x, so there
    is no gradient.
    """
    op = "sinusoidal_positions_2d"
    one_float_dtype(op, x=x)
    if x.ndim != 4 or x.shape[1] % 2 or min(x.shape[1:]) < 1:
        raise ValueError(f"{op}: expected x (B, C, H, W) with an even number of channels, got {x.shape}; C, H and W are at least 1")
    B, C, H, W = x.shape
    has_shape(op, "present", present, (B, H, W))
    is_bool(op, "present", present, "not padding")
    halves = []
    for axis in (1, 2):
        places = present.cumsum(axis=axis)
        if normalize:
            places = 2 * math.pi * places / (places.take([-1], axis=axis) + EPS)
        halves.append(sinusoidal_table(places, C // 2, base))  # (B, H, W, C / 2)
    return np.concatenate(halves, axis=-1).transpose(0, 3, 1, 2).astype(x.dtype), lambda dy: (None, None)
