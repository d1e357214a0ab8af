"""The Gaussian error linear unit (Hendrycks & Gimpel 2016, section 2)."""

import math

import numpy as np
from scipy.special import erf

from scratch.module import Array, Backward


def gelu(x: Array, approximate: str = "none") -> tuple[Array, Backward]:
    """Compute y = x Φ(x), dx = dy (Φ(x) + x Φ'(x)); "tanh" approximates Φ."""
    if approximate == "none":
        cdf = (1 + erf(x / math.sqrt(2))) / 2
        density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    else:
        a = math.sqrt(2 / math.pi)
        t = np.tanh(a * (x + 0.044715 * x**3))
        cdf = (1 + t) / 2
        density = (1 - t * t) / 2 * a * (1 + 3 * 0.044715 * x * x)
    return x * cdf, lambda dy: dy * (cdf + x * density)
