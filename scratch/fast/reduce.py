"""Sums, those of columns as matrix products with ones, which are several times quicker than .sum."""

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
    return column_sums(np.ones(ROWS, rows.dtype) @ rows[:whole].reshape(whole // ROWS, ROWS, C)) + rest


def sum_to_shape(x: Array, shape: tuple[int, ...]) -> Array:
    """The sum of x over the axes along which an array of this shape was broadcast to it."""
    broadcast = tuple(i for i, n in enumerate(shape, x.ndim - len(shape)) if n == 1)
    return x.sum(axis=(*range(x.ndim - len(shape)), *broadcast)).reshape(shape)
