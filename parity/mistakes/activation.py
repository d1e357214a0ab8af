"""Mistakes in activations and softmax."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.graft import graft


def _gelu_form(input: Tensor, approximate: str = "none", *, form: str) -> Tensor:
    """The forms of GELU that are about, by name."""
    if form == "other":
        return F.gelu(input, approximate="none" if approximate == "tanh" else "tanh")
    if form == "sigmoid":
        return input * torch.sigmoid(1.702 * input)
    return input * 0.5 * (1 + torch.erf(input))  # without the root of two


def _gelu_rounded(
    input: Tensor, approximate: str = "none", *, root: float = math.sqrt(2 / math.pi), cube: float = 0.044715
) -> Tensor:
    """The tanh form of GELU with constants of fewer digits."""
    if approximate != "tanh":
        return F.gelu(input)
    return 0.5 * input * (1 + torch.tanh(root * (input + cube * input**3)))


def _gelu_cdf_constant(input: Tensor, approximate: str = "none", *, kept: str) -> Tensor:
    """GELU whose backward has only one of the product rule's two terms."""
    cdf = _safe_ratio(F.gelu(input, approximate=approximate), input)
    value = F.gelu(input, approximate=approximate)
    return graft(value, input * cdf.detach() if kept == "cdf" else value - input * cdf.detach())


def _gelu_other_backward(input: Tensor, approximate: str = "none") -> Tensor:
    return graft(F.gelu(input, approximate=approximate), F.gelu(input, approximate="none" if approximate == "tanh" else "tanh"))


def _safe_ratio(y: Tensor, x: Tensor) -> Tensor:
    return torch.where(x == 0, 0.5, y / torch.where(x == 0, 1, x))


def _softmax_with(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None, *, change: str, log: bool
) -> Tensor:
    """Softmax or its logarithm with one change in the backward."""
    dim = -1 if dim is None else dim
    y = F.log_softmax(input, dim) if log else F.softmax(input, dim)
    shifted = input - input.amax(dim, keepdim=True).detach()
    total = shifted.exp().sum(dim, keepdim=True).detach()
    first = shifted - total.log() if log else shifted.exp() / total
    if change == "normaliser constant":
        return graft(y, first)
    if change == "jacobian squared":  # the Jacobian's diagonal alone
        return graft(y, (y * (1 - y)).detach() * input)
    if change == "second term averaged":
        return graft(y, first + (y - first) / input.shape[dim])
    return graft(y, first - (y - first))


def _value_at_zero(function: Callable[..., Tensor], input: Tensor, *options: Any, slope: float, **rest: Any) -> Tensor:
    """An activation with a kink at 0, with this slope there."""
    y = function(input, *options, **rest)
    return torch.where(input == 0, graft(y, slope * input), y)


def _leaky_relu_sign(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    return F.leaky_relu(input, -negative_slope)


def _with_slope(function: Callable[..., Tensor], slope: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """An activation y of x whose backward multiplies by slope(x, y)."""

    def wrong(input: Tensor, *options: Any, **rest: Any) -> Tensor:
        y = function(input, *options, **rest)
        return graft(y, slope(input, y).detach() * input)

    return wrong


_softmax_changes = [
    ("takes the normaliser for a constant in the backward: the Jacobian's second term is missing", "normaliser constant"),
    ("has only the diagonal of the Jacobian in the backward", "jacobian squared"),
    ("averages in the Jacobian's second term, which is a sum", "second term averaged"),
    ("adds the Jacobian's second term, which is to be subtracted", "second term added"),
]

TABLE: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "relu": [
        ("lets the gradient through where x is 0; torch's is 0 there", partial(_value_at_zero, F.relu, slope=1.0)),
        ("lets half the gradient through where x is 0; torch's is 0 there", partial(_value_at_zero, F.relu, slope=0.5)),
        ("does not mask the gradient where x is negative", _with_slope(F.relu, lambda x, y: torch.ones_like(x))),
        ("multiplies the gradient by y, not by whether x > 0", _with_slope(F.relu, lambda x, y: y)),
        ("multiplies the gradient by x, not by whether x > 0", _with_slope(F.relu, lambda x, y: x)),
    ],
    "leaky_relu": [
        ("has slope 1 where x is 0; torch's is the negative slope", partial(_value_at_zero, F.leaky_relu, slope=1.0)),
        ("negates the negative slope", _leaky_relu_sign),
        ("has slope 0 for negative x in the backward", _with_slope(F.leaky_relu, lambda x, y: (x > 0).to(x.dtype))),
        ("has slope 1 for negative x in the backward", _with_slope(F.leaky_relu, lambda x, y: torch.ones_like(x))),
    ],
    "sigmoid": [
        ("has the slope y rather than y (1 - y) in the backward", _with_slope(torch.sigmoid, lambda x, y: y)),
        ("has the slope 1 - y rather than y (1 - y) in the backward", _with_slope(torch.sigmoid, lambda x, y: 1 - y)),
        ("has the slope 1 - y² in the backward, which is tanh's", _with_slope(torch.sigmoid, lambda x, y: 1 - y * y)),
        ("has the slope y (1 + y) rather than y (1 - y) in the backward", _with_slope(torch.sigmoid, lambda x, y: y * (1 + y))),
        ("leaves its slope out of the backward, y (1 - y)", _with_slope(torch.sigmoid, lambda x, y: torch.ones_like(y))),
        ("has the slope x (1 - x), which takes x for y, in the backward", _with_slope(torch.sigmoid, lambda x, y: x * (1 - x))),
    ],
    "tanh": [
        ("has the slope 1 - y rather than 1 - y² in the backward", _with_slope(torch.tanh, lambda x, y: 1 - y)),
        ("has the slope 1 + y² rather than 1 - y² in the backward", _with_slope(torch.tanh, lambda x, y: 1 + y * y)),
        ("has the slope 1 - x², which takes x for y, in the backward", _with_slope(torch.tanh, lambda x, y: 1 - x * x)),
        ("leaves its slope out of the backward, 1 - y²", _with_slope(torch.tanh, lambda x, y: torch.ones_like(y))),
        ("has the slope y (1 - y) in the backward, which is sigmoid's", _with_slope(torch.tanh, lambda x, y: y * (1 - y))),
    ],
    "gelu": [
        ("computes the other form of GELU: see approximate", partial(_gelu_form, form="other")),
        ("computes x sigmoid(1.702 x), a third form of GELU", partial(_gelu_form, form="sigmoid")),
        ("computes erf(x) where erf(x / √2) belongs", partial(_gelu_form, form="no root")),
        *((f"takes {cube} for 0.044715", partial(_gelu_rounded, cube=cube)) for cube in (0.0447, 0.04472, 0.044)),
        *((f"takes {root} for √(2/π)", partial(_gelu_rounded, root=root)) for root in (0.79788, 0.797885, 0.798, 0.8)),
        ("lacks the term x density(x) in the backward", partial(_gelu_cdf_constant, kept="cdf")),
        ("lacks the term cdf(x) in the backward", partial(_gelu_cdf_constant, kept="density")),
        ("has the slope of the other form of GELU in the backward", _gelu_other_backward),
    ],
    "silu": [
        (
            "takes sigmoid(x) for a constant in the backward",
            _with_slope(F.silu, lambda x, y: torch.sigmoid(x)),
        ),
        (
            "lacks the factor sigmoid(x) in the backward",
            _with_slope(F.silu, lambda x, y: 1 + x * (1 - torch.sigmoid(x))),
        ),
        (
            "lacks the factor x in the backward's second term",
            _with_slope(F.silu, lambda x, y: torch.sigmoid(x) * (1 + 1 - torch.sigmoid(x))),
        ),
        (
            "subtracts the second term of the slope s + x s (1 - s)",
            _with_slope(F.silu, lambda x, y: torch.sigmoid(x) * (1 - x * (1 - torch.sigmoid(x)))),
        ),
    ],
    "softmax": [(text, partial(_softmax_with, change=change, log=False)) for text, change in _softmax_changes],
    "log_softmax": [(text, partial(_softmax_with, change=change, log=True)) for text, change in _softmax_changes],
}
