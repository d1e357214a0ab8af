"""Pooling over sequences of unequal length; the padding has no effect."""

import numpy as np

from scratch.checks import lengths_within, one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward


@op
def masked_mean(x: Array, lengths: Array) -> tuple[Array, Backward]:
    """Compute the mean y (B, C) over the first lengths (B,) steps of x (B, T, C); dx = dy / length there, else 0."""
    present = _present("masked_mean", x, lengths)
    count = lengths.astype(x.dtype)[:, None]
    y = np.where(present, x, x.dtype.type(0)).sum(axis=1) / count
    return y, lambda dy: (np.where(present, (dy / count)[:, None], dy.dtype.type(0)), None)


@op
def masked_max(x: Array, lengths: Array) -> tuple[Array, Backward]:
    """Compute the maximum y (B, C) over the first lengths (B,) steps of x (B, T, C); dx = dy at the first maximum, else 0."""
    present, shape = _present("masked_max", x, lengths), x.shape
    winner = np.where(present, x, x.dtype.type(-np.inf)).argmax(axis=1)[:, None]

    def backward(dy: Array) -> tuple[Array, None]:
        dx = np.zeros(shape, dy.dtype)
        np.put_along_axis(dx, winner, dy[:, None], axis=1)
        return dx, None

    return np.take_along_axis(x, winner, axis=1)[:, 0], backward


def _present(op: str, x: Array, lengths: Array) -> Array:
    """Return a mask (B, T, 1) that is true at the steps that are not padding."""
    one_float_dtype(op, x=x)
    if x.ndim != 3 or x.shape[1] < 1:
        raise ValueError(f"{op}: expected x (B, T, C) of at least one step, got {x.shape}")
    B, T, _ = x.shape
    lengths_within(op, lengths, T, B)
    return (np.arange(T) < lengths[:, None])[:, :, None]
