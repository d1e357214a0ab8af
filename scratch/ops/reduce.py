"""Sums over everything but the channels, as matrix products with ones, which are several times quicker than .sum."""

import math

import numpy as np

from scratch.module import Array

ROWS = 256  # summed in one go; their sums are summed likewise, so that rounding errors do not pile up in a long column


def column_sums(rows: Array) -> Array:
    """The sum over the first axis of a matrix (M, C), accurate however large M is."""
    M, C = rows.shape
    whole = M - M % ROWS
    rest = np.ones(M - whole, rows.dtype) @ rows[whole:]
    if not whole:
        return rest
    return column_sums(np.ones(ROWS, rows.dtype) @ rows[:whole].reshape(-1, ROWS, C)) + rest


def channel_sums(x: Array) -> Array:
    """The sum of each channel of x (N, C, ...) over all other axes."""
    N, C, *image = x.shape
    if x.strides[1] == x.itemsize:  # the channels lie side by side
        return column_sums(np.moveaxis(x, 1, -1).reshape(-1, C))
    return column_sums(x.reshape(N, C, math.prod(image)).sum(axis=2))


def unbroadcast(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of an array of this shape that was broadcast to the shape of `gradient`."""
    leading = gradient.ndim - len(shape)
    repeated = (*range(leading), *(leading + axis for axis, n in enumerate(shape) if n == 1))
    return gradient.sum(axis=repeated).reshape(shape)
