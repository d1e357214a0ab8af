"""Elementwise activations: each returns its value and a backward that takes dy to dx."""

import numpy as np

from scratch.checks import one_float_dtype
from scratch.contract import op
from scratch.fast.select import zero_where
from scratch.fast.threads import Part, elementwise, in_blocks
from scratch.module import Array, Backward


@op
def relu(x: Array) -> tuple[Array, Backward]:
    """max(x, 0), with gradient 0 at 0; NaN is not below 0, and hands its gradient on."""
    one_float_dtype("relu", x=x)
    y, blocked = np.empty_like(x), np.empty_like(x, dtype=bool)
    zeros = np.zeros_like(x[:1]) if x.ndim else x.dtype.type(0)  # maximum with a scalar is slower

    def forward(part: Part) -> None:
        np.maximum(x[part], zeros, out=y[part])
        np.less_equal(x[part], 0, out=blocked[part])

    def backward(dy: Array) -> Array:
        dx = np.empty_like(blocked, dtype=dy.dtype)
        in_blocks(lambda part: zero_where(dx[part], dy[part], blocked[part]), dx)
        return dx

    in_blocks(forward, x)
    return y, backward


@op
def leaky_relu(x: Array, negative_slope: float = 0.01) -> tuple[Array, Backward]:
    """x where x > 0, else negative_slope * x (Maas, Hannun & Ng 2013)."""
    one_float_dtype("leaky_relu", x=x)

    def scaled(y: Array, x: Array, sign: Array) -> None:
        np.multiply(x, negative_slope, out=y)
        np.copyto(y, x, where=sign > 0)

    return elementwise(scaled, x, x), lambda dy: elementwise(scaled, dy, x)


@op
def sigmoid(x: Array) -> tuple[Array, Backward]:
    """1 / (1 + exp(-x)), computed as (1 + tanh(x / 2)) / 2, which cannot overflow."""
    one_float_dtype("sigmoid", x=x)

    def backward(dx: Array, dy: Array, y: Array) -> None:  # dy y (1 - y)
        np.subtract(1, y, out=dx)
        dx *= y
        dx *= dy

    y = elementwise(_sigmoid, x)
    return y, lambda dy: elementwise(backward, dy, y)


@op
def tanh(x: Array) -> tuple[Array, Backward]:
    """Hyperbolic tangent."""
    one_float_dtype("tanh", x=x)

    def backward(dx: Array, dy: Array, y: Array) -> None:  # dy (1 - y²)
        np.square(y, out=dx)
        np.subtract(1, dx, out=dx)
        dx *= dy

    y = elementwise(lambda y, x: np.tanh(x, out=y), x)
    return y, lambda dy: elementwise(backward, dy, y)


@op
def silu(x: Array) -> tuple[Array, Backward]:
    """x * sigmoid(x) (Elfwing, Uchibe & Doya 2017), also called swish."""
    one_float_dtype("silu", x=x)
    y, s = np.empty_like(x), np.empty_like(x)

    def forward(part: Part) -> None:
        _sigmoid(s[part], x[part])
        np.multiply(x[part], s[part], out=y[part])

    def backward(dx: Array, dy: Array, x: Array, s: Array) -> None:  # dy s (1 + x (1 - s))
        np.subtract(1, s, out=dx)
        dx *= x
        dx += 1
        dx *= s
        dx *= dy

    in_blocks(forward, y)
    return y, lambda dy: elementwise(backward, dy, x, s)


def _sigmoid(y: Array, x: Array) -> None:
    np.multiply(x, 0.5, out=y)
    np.tanh(y, out=y)
    y *= 0.5
    y += 0.5
