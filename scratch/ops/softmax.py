"""Softmax and its logarithm along one axis."""

import numpy as np

from scratch.module import Array, Backward
from scratch.ops.checks import one_float_dtype


def softmax(x: Array, dim: int = -1) -> tuple[Array, Backward]:
    """exp(x) / sum(exp(x)) along `dim`, shifted by the maximum so that nothing overflows."""
    one_float_dtype("softmax", x=x)
    y = np.exp(x - x.max(axis=dim, keepdims=True))
    y /= y.sum(axis=dim, keepdims=True)
    return y, lambda dy: y * (dy - (dy * y).sum(axis=dim, keepdims=True))


def log_softmax(x: Array, dim: int = -1) -> tuple[Array, Backward]:
    """x - log(sum(exp(x))) along `dim`, shifted by the maximum so that nothing overflows."""
    one_float_dtype("log_softmax", x=x)
    y = x - x.max(axis=dim, keepdims=True)
    y -= np.log(np.exp(y).sum(axis=dim, keepdims=True))
    return y, lambda dy: dy - np.exp(y) * dy.sum(axis=dim, keepdims=True)
