"""Choice of numbers by a mask or by weights; numbers that are left out have no effect even if they are infinite or NaN."""

import numpy as np

from scratch.module import Array


def zero_where(y: Array, x: Array, mask: Array) -> Array:
    """Write 0 into y where the boolean mask is true, and the numbers of x elsewhere.

    The bits are masked, because a product with 0 would turn infinity into NaN and np.where takes ten times as long.
    """
    bits = np.dtype(f"i{x.itemsize}")
    kept = np.subtract(mask.view(np.int8), 1, dtype=bits)  # -1 has every bit set
    np.bitwise_and(x.view(bits), kept, out=y.view(bits))
    return y


def weighted(x: Array, weights: Array) -> Array:
    """Return x @ weights.T for x (..., n) and weights (m, n), without the terms whose weight is 0."""
    return np.stack([x[..., used] @ row[used] for row, used in zip(weights, weights != 0, strict=True)], axis=-1)
