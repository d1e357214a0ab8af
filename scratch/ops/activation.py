"""Elementwise activations: each returns its value and a backward that takes dy to dx."""

import math

import numpy as np
from scipy.special import erf

from scratch.module import Array, Backward
from scratch.ops.checks import one_float_dtype, one_of
from scratch.ops.threads import Part, in_blocks

SQRT_HALF = math.sqrt(0.5)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)


def relu(x: Array) -> tuple[Array, Backward]:
    """max(x, 0), with gradient 0 at 0."""
    one_float_dtype("relu", x=x)
    y, positive = np.empty_like(x), np.empty_like(x, dtype=bool)
    zeros = np.zeros_like(x[:1]) if x.ndim else x.dtype.type(0)  # maximum with a scalar is slower

    def forward(part: Part) -> None:
        np.maximum(x[part], zeros, out=y[part])
        np.greater(x[part], 0, out=positive[part])

    def backward(dy: Array) -> Array:
        dx = np.empty_like(positive, dtype=dy.dtype)
        in_blocks(lambda part: np.multiply(dy[part], positive[part], out=dx[part]), dx)
        return dx

    in_blocks(forward, x)
    return y, backward


def leaky_relu(x: Array, negative_slope: float = 0.01) -> tuple[Array, Backward]:
    """x where x > 0, else negative_slope * x (Maas, Hannun & Ng 2013)."""
    one_float_dtype("leaky_relu", x=x)
    slope = np.where(x > 0, x.dtype.type(1), x.dtype.type(negative_slope))
    return x * slope, lambda dy: dy * slope


def sigmoid(x: Array) -> tuple[Array, Backward]:
    """1 / (1 + exp(-x)), computed as (1 + tanh(x / 2)) / 2, which cannot overflow."""
    one_float_dtype("sigmoid", x=x)
    y = 0.5 * np.tanh(0.5 * x) + 0.5
    return y, lambda dy: dy * y * (1 - y)


def tanh(x: Array) -> tuple[Array, Backward]:
    """Hyperbolic tangent."""
    one_float_dtype("tanh", x=x)
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - y * y)


def gelu(x: Array, approximate: str = "none") -> tuple[Array, Backward]:
    """x times the normal distribution function at x (Hendrycks & Gimpel 2016); "tanh" approximates it as GPT-2 does."""
    one_float_dtype("gelu", x=x)
    one_of("gelu", "approximate", approximate, ("none", "tanh"))
    if approximate == "tanh":
        t = np.tanh(SQRT_2_OVER_PI * (x + 0.044715 * (x * x * x)))
        cdf = 0.5 * (1 + t)

        def backward_tanh(dy: Array) -> Array:
            slope = SQRT_2_OVER_PI * (1 + 3 * 0.044715 * (x * x))  # of the tanh's argument
            return dy * (cdf + 0.5 * x * (1 - t * t) * slope)

        return x * cdf, backward_tanh

    cdf = 0.5 * (1 + erf(x * SQRT_HALF))

    def backward(dy: Array) -> Array:
        density = np.exp(-0.5 * (x * x)) * INV_SQRT_2PI
        return dy * (cdf + x * density)

    return x * cdf, backward


def silu(x: Array) -> tuple[Array, Backward]:
    """x * sigmoid(x) (Elfwing, Uchibe & Doya 2017), also called swish."""
    one_float_dtype("silu", x=x)
    s, _ = sigmoid(x)
    return x * s, lambda dy: dy * s * (1 + x * (1 - s))
