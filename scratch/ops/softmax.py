"""Softmax and its logarithm along one axis."""

import math

import numpy as np

from scratch.checks import axis_of, one_float_dtype
from scratch.contract import op
from scratch.fast.threads import Part, in_blocks
from scratch.module import Array, Backward


@op
def softmax(x: Array, dim: int = -1) -> tuple[Array, Backward]:
    """Compute y = exp(x) / Σ exp(x), with sums along `dim` (Bridle 1990); the maximum is subtracted from x against overflow.

    dx = y (dy - Σ dy y).
    """
    one_float_dtype("softmax", x=x)
    dim = axis_of("softmax", "dim", dim, x.ndim)
    rows = _rows(x, dim)
    y = np.empty(rows.shape, x.dtype)

    def forward(part: Part) -> None:
        block = np.subtract(rows[part], rows[part].max(axis=1, keepdims=True, initial=-np.inf), out=y[part])
        np.exp(block, out=block)
        block /= np.einsum("mn->m", block)[:, None]

    def backward(dy: Array) -> Array:
        dy_rows, dx = _rows(dy, dim), np.empty_like(y)

        def spread(part: Part) -> None:
            through_sum = np.einsum("mn,mn->m", dy_rows[part], y[part])[:, None]
            block = np.subtract(dy_rows[part], through_sum, out=dx[part])
            block *= y[part]

        in_blocks(spread, dx)
        return _unrows(dx, x, dim)

    in_blocks(forward, y)
    return _unrows(y, x, dim), backward


@op
def log_softmax(x: Array, dim: int = -1) -> tuple[Array, Backward]:
    """Compute y = x - log Σ exp(x), with sums along `dim`; the maximum is subtracted from x against overflow.

    dx = dy - exp(y) Σ dy.
    """
    one_float_dtype("log_softmax", x=x)
    dim = axis_of("log_softmax", "dim", dim, x.ndim)
    rows = _rows(x, dim)
    y = np.empty(rows.shape, x.dtype)

    def forward(part: Part) -> None:
        block = np.subtract(rows[part], rows[part].max(axis=1, keepdims=True, initial=-np.inf), out=y[part])
        block -= np.log(np.einsum("mn->m", np.exp(block)))[:, None]

    def backward(dy: Array) -> Array:
        dy_rows, dx = _rows(dy, dim), np.empty_like(y)

        def spread(part: Part) -> None:
            block = np.exp(y[part], out=dx[part])
            block *= np.einsum("mn->m", dy_rows[part])[:, None]
            np.subtract(dy_rows[part], block, out=block)

        in_blocks(spread, dx)
        return _unrows(dx, x, dim)

    in_blocks(forward, y)
    return _unrows(y, x, dim), backward


def _rows(x: Array, dim: int) -> Array:
    """Return x as a matrix (M, n) whose rows run along `dim`."""
    last = np.moveaxis(np.atleast_1d(x), dim, -1)
    return last.reshape(math.prod(last.shape[:-1]), last.shape[-1])


def _unrows(rows: Array, x: Array, dim: int) -> Array:
    """Return rows that run along `dim` in the shape of x."""
    whole = np.atleast_1d(x)
    return np.moveaxis(rows.reshape(np.moveaxis(whole, dim, -1).shape), -1, dim).reshape(x.shape)
