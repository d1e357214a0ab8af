"""Neighbouring axes joined into one."""

import math

from scratch.checks import axis_of
from scratch.contract import op
from scratch.module import Array, Backward


@op
def flatten(x: Array, start_dim: int = 1, end_dim: int = -1) -> tuple[Array, Backward]:
    """Join the axes start_dim to end_dim, inclusive, in row-major order; dx is dy in the shape of x."""
    start, end = (axis_of("flatten", *named, x.ndim) for named in (("start_dim", start_dim), ("end_dim", end_dim)))
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim} in shape {x.shape}, expected it before")
    y = x.reshape(*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :])
    return y, lambda dy: dy.reshape(x.shape)
