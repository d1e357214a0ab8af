"""Activation layers, and the names that models' options have for them."""

from collections.abc import Callable
from functools import partial

from scratch.module import Array, Backward, Module
from scratch.ops.activation import leaky_relu, relu, sigmoid, silu, tanh
from scratch.ops.gelu import gelu
from scratch.ops.softmax import log_softmax, softmax


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return relu(x)


class LeakyReLU(Module):
    """x where x > 0, else negative_slope * x."""

    def __init__(self, negative_slope: float = 0.01):
        self.negative_slope = negative_slope

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return leaky_relu(x, self.negative_slope)


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return tanh(x)


class GELU(Module):
    """x Φ(x) for the normal distribution function Φ; approximate="tanh" is the form of GPT-2."""

    def __init__(self, approximate: str = "none"):
        self.approximate = approximate

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return gelu(x, self.approximate)


class SiLU(Module):
    """x * sigmoid(x)."""

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return silu(x)


class Softmax(Module):
    """Softmax along `dim`."""

    def __init__(self, dim: int):
        self.dim = dim

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return softmax(x, self.dim)


class LogSoftmax(Module):
    """Logarithm of the softmax along `dim`."""

    def __init__(self, dim: int):
        self.dim = dim

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return log_softmax(x, self.dim)


ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "gelu": GELU,
    "gelu_tanh": partial(GELU, "tanh"),
    "silu": SiLU,
}


def activation_named(name: str) -> Module:
    """Return a new activation layer by the name that models' options have for it."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation_named: activation is {name!r}, expected one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()
