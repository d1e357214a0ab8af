"""Mistakes in activations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake

Slope = Callable[[Tensor, Tensor], Tensor]
ACTIVATIONS: dict[str, Callable[..., Tensor]] = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": F.silu,
}


def activation(function: Callable[..., Tensor], input: Tensor, *options: Any, slope: Slope | None = None, **rest: Any) -> Tensor:
    """Compute y = function(x), whose backward multiplies dy by slope(x, y) where a slope is given."""
    y = function(input, *options, **rest)
    return y if slope is None else with_gradient_of(y, slope(input, y).detach() * input)


for name, function in ACTIVATIONS.items():
    definition(name)(partial(activation, function))


@mistake("relu", "lets the whole gradient through where x is 0; torch lets none through", "slope")
def relu_1_at_0(x: Tensor, y: Tensor) -> Tensor:
    return (x >= 0).to(x.dtype)


@mistake("relu", "lets half of the gradient through where x is 0; torch lets none through", "slope")
def relu_half_at_0(x: Tensor, y: Tensor) -> Tensor:
    return torch.heaviside(x, x.new_tensor(0.5))


@mistake("relu", "does not mask the gradient where x is negative", "slope")
def relu_unmasked(x: Tensor, y: Tensor) -> Tensor:
    return torch.ones_like(x)


@mistake("relu", "multiplies the gradient by y; the factor is 1 where x > 0, and 0 elsewhere", "slope")
def relu_times_y(x: Tensor, y: Tensor) -> Tensor:
    return y


@mistake("relu", "multiplies the gradient by x; the factor is 1 where x > 0, and 0 elsewhere", "slope")
def relu_times_x(x: Tensor, y: Tensor) -> Tensor:
    return x


@mistake("leaky_relu", "has slope 1 where x is 0; torch's slope there is negative_slope")
def leaky_relu_1_at_0(input: Tensor, *options: Any, **rest: Any) -> Tensor:
    y = F.leaky_relu(input, *options, **rest)
    return torch.where(input == 0, with_gradient_of(y, input), y)


@mistake("leaky_relu", "multiplies negative x by -negative_slope: the sign is wrong")
def leaky_relu_sign(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    return F.leaky_relu(input, -negative_slope)


@mistake("leaky_relu", "has slope 0 for negative x in the backward pass", "slope")
def leaky_relu_as_relu(x: Tensor, y: Tensor) -> Tensor:
    return (x > 0).to(x.dtype)


@mistake("leaky_relu", "has slope 1 for negative x in the backward pass", "slope")
def leaky_relu_unmasked(x: Tensor, y: Tensor) -> Tensor:
    return torch.ones_like(x)


@mistake("sigmoid", "multiplies dy by y in the backward pass; the slope is y (1 - y)", "slope")
def sigmoid_y(x: Tensor, y: Tensor) -> Tensor:
    return y


@mistake("sigmoid", "multiplies dy by 1 - y in the backward pass; the slope is y (1 - y)", "slope")
def sigmoid_1_minus_y(x: Tensor, y: Tensor) -> Tensor:
    return 1 - y


@mistake("sigmoid", "multiplies dy by 1 - y² in the backward pass, the slope of tanh; that of sigmoid is y (1 - y)", "slope")
def sigmoid_as_tanh(x: Tensor, y: Tensor) -> Tensor:
    return 1 - y * y


@mistake("sigmoid", "multiplies dy by y (1 + y) in the backward pass; the slope is y (1 - y)", "slope")
def sigmoid_sign(x: Tensor, y: Tensor) -> Tensor:
    return y * (1 + y)


@mistake("sigmoid", "leaves its slope out of the backward pass: y (1 - y)", "slope")
def sigmoid_no_slope(x: Tensor, y: Tensor) -> Tensor:
    return torch.ones_like(y)


@mistake("sigmoid", "multiplies dy by x (1 - x) in the backward pass; the slope is y (1 - y)", "slope")
def sigmoid_of_x(x: Tensor, y: Tensor) -> Tensor:
    return x * (1 - x)


@mistake("tanh", "multiplies dy by 1 - y in the backward pass; the slope is 1 - y²", "slope")
def tanh_1_minus_y(x: Tensor, y: Tensor) -> Tensor:
    return 1 - y


@mistake("tanh", "multiplies dy by 1 + y² in the backward pass; the slope is 1 - y²", "slope")
def tanh_sign(x: Tensor, y: Tensor) -> Tensor:
    return 1 + y * y


@mistake("tanh", "multiplies dy by 1 - x² in the backward pass; the slope is 1 - y²", "slope")
def tanh_of_x(x: Tensor, y: Tensor) -> Tensor:
    return 1 - x * x


@mistake("tanh", "leaves its slope out of the backward pass: 1 - y²", "slope")
def tanh_no_slope(x: Tensor, y: Tensor) -> Tensor:
    return torch.ones_like(y)


@mistake("tanh", "multiplies dy by y (1 - y) in the backward pass, the slope of sigmoid; that of tanh is 1 - y²", "slope")
def tanh_as_sigmoid(x: Tensor, y: Tensor) -> Tensor:
    return y * (1 - y)


@mistake("silu", "treats sigmoid(x) as a constant in the backward pass", "slope")
def silu_gate_constant(x: Tensor, y: Tensor) -> Tensor:
    return torch.sigmoid(x)


@mistake("silu", "leaves the factor sigmoid(x) out of the backward pass", "slope")
def silu_no_gate(x: Tensor, y: Tensor) -> Tensor:
    return 1 + x * (1 - torch.sigmoid(x))


@mistake("silu", "leaves the factor x out of the second term of its slope, s + x s (1 - s) with s = sigmoid(x)", "slope")
def silu_no_x(x: Tensor, y: Tensor) -> Tensor:
    return torch.sigmoid(x) * (1 + 1 - torch.sigmoid(x))


@mistake("silu", "subtracts the second term of its slope, s + x s (1 - s) with s = sigmoid(x)", "slope")
def silu_sign(x: Tensor, y: Tensor) -> Tensor:
    return torch.sigmoid(x) * (1 - x * (1 - torch.sigmoid(x)))
