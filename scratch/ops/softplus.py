"""Softplus, a smooth relu; x and y have any shape."""

import math

import numpy as np

from scratch.checks import one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward


@op
def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> tuple[Array, Backward]:
    """Compute y = log(1 + exp(beta x)) / beta, and y = x where beta x > threshold (Dugas et al. 2001, section 3).

    dx = dy sigmoid(beta x), and dx = dy where beta x > threshold.
    """
    one_float_dtype("softplus", x=x)
    if not (math.isfinite(beta) and math.isfinite(threshold)):
        raise ValueError(f"softplus: beta is {beta} and threshold is {threshold}, expected two finite numbers")
    scaled = x.dtype.type(beta) * x
    is_linear = scaled > threshold
    with np.errstate(divide="ignore"):  # y is infinite where beta is 0, as in torch
        y = np.where(is_linear, x, np.logaddexp(0, scaled, dtype=x.dtype) / x.dtype.type(beta))

    def backward(dy: Array) -> Array:
        slope = np.exp(-np.logaddexp(0, -scaled, dtype=x.dtype))  # sigmoid(beta x), which cannot overflow
        return np.where(is_linear, dy, dy * slope)

    return y, backward
