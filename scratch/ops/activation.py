"""Elementwise activations; x and y have any shape."""

import numpy as np

from scratch.checks import one_float_dtype
from scratch.contract import op
from scratch.fast.select import zero_where
from scratch.fast.threads import Part, elementwise, in_blocks
from scratch.module import Array, Backward


@op
def relu(x: Array) -> tuple[Array, Backward]:
    """Compute y = max(x, 0) (Nair & Hinton 2010, section 2).

    dx = dy where x > 0, else 0. The gradient at NaN is dy, as in torch.
    """
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
    """Compute y = x where x > 0, else negative_slope x (Maas, Hannun & Ng 2013, equation 2).

    dx = dy where x > 0, else negative_slope dy.
    """
    one_float_dtype("leaky_relu", x=x)

    def scaled(y: Array, x: Array, sign: Array) -> None:
        np.multiply(x, negative_slope, out=y)
        np.copyto(y, x, where=sign > 0)

    return elementwise(scaled, x, x), lambda dy: elementwise(scaled, dy, x)


@op
def sigmoid(x: Array) -> tuple[Array, Backward]:
    """Compute y = 1 / (1 + exp(-x)), as (1 + tanh(x / 2)) / 2, which cannot overflow.

    dx = dy y (1 - y).
    """
    one_float_dtype("sigmoid", x=x)

    def backward(dx: Array, dy: Array, y: Array) -> None:
        np.subtract(1, y, out=dx)
        dx *= y
        dx *= dy

    y = elementwise(_sigmoid, x)
    return y, lambda dy: elementwise(backward, dy, y)


@op
def tanh(x: Array) -> tuple[Array, Backward]:
    """Compute the hyperbolic tangent y.

    dx = dy (1 - y²).
    """
    one_float_dtype("tanh", x=x)

    def backward(dx: Array, dy: Array, y: Array) -> None:
        np.square(y, out=dx)
        np.subtract(1, dx, out=dx)
        dx *= dy

    y = elementwise(lambda y, x: np.tanh(x, out=y), x)
    return y, lambda dy: elementwise(backward, dy, y)


@op
def silu(x: Array) -> tuple[Array, Backward]:
    """Compute y = x s for s = sigmoid(x) (Elfwing, Uchibe & Doya 2017, section 2), which is also called swish.

    dx = dy s (1 + x (1 - s)).
    """
    one_float_dtype("silu", x=x)
    y, s = np.empty_like(x), np.empty_like(x)

    def forward(part: Part) -> None:
        _sigmoid(s[part], x[part])
        np.multiply(x[part], s[part], out=y[part])

    def backward(dx: Array, dy: Array, x: Array, s: Array) -> None:
        np.subtract(1, s, out=dx)
        dx *= x
        dx += 1
        dx *= s
        dx *= dy

    in_blocks(forward, y)
    return y, lambda dy: elementwise(backward, dy, x, s)


def _sigmoid(y: Array, x: Array) -> None:
    """Write sigmoid(x) into y."""
    np.multiply(x, 0.5, out=y)
    np.tanh(y, out=y)
    y *= 0.5
    y += 0.5
