"""The cumulative distribution function Φ of the normal distribution."""

import math

import numpy as np
from scipy.special import erf

from scratch.module import Array

SQRT_HALF = math.sqrt(0.5)
FURTHEST = 6.0  # from here on, Φ(x) is 1 in float32

# P is a polynomial of x², from its highest power, for which (1 + tanh(x P(x²))) / 2 is closest to Φ(x), within 3e-8. GELU's
# tanh form has two terms of this kind, and its constants are nearly the last two of these.
P = (1.75616981e-09, -1.32263309e-07, 3.96474407e-06, -5.53061921e-05, -3.2594979e-05, 0.0363330846, 0.797884941)


def normal_cdf(cdf: Array, x: Array) -> None:
    """Write Φ(x) = (1 + erf(x / √2)) / 2 into `cdf`.

    In float32 the tanh of a polynomial replaces erf: NumPy computes tanh for many numbers at a time, SciPy computes erf one by
    one. The error is 1e-7, with rounding.
    """
    if x.dtype == np.float32:
        near = np.clip(x, -FURTHEST, FURTHEST)
        square = np.square(near)
        np.multiply(square, P[0], out=cdf)
        for coefficient in P[1:-1]:
            cdf += coefficient
            cdf *= square
        cdf += P[-1]
        cdf *= near
        np.tanh(cdf, out=cdf)
    else:
        np.multiply(x, SQRT_HALF, out=cdf)
        erf(cdf, out=cdf)
    cdf += 1
    cdf *= 0.5
