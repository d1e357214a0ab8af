"""Mistakes in pooling."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.judging.windows import windows
from parity.mistakes.graft import graft


def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    *options: Any,
    change: str,
    **rest: Any,
) -> Tensor:
    """Max-pooling with one change."""
    seen = windows(input, kernel_size, stride, padding, dilation, 0.0 if change == "zero padding" else float("-inf"))
    highest = seen.amax(-1)  # whose gradient torch shares equally among equal maxima
    winners = seen == highest[..., None].detach()
    if change == "all":
        return graft(highest, torch.where(winners, seen, 0).sum(-1))
    if change == "last":
        last = seen.shape[-1] - 1 - winners.flip(-1).int().argmax(-1, keepdim=True)
        return seen.gather(-1, last).squeeze(-1)
    if change == "everywhere":
        return graft(highest, torch.where(seen.isinf(), 0, seen).sum(-1))
    if change == "mean":
        return torch.where(seen.isinf(), 0, seen).mean(-1)
    return highest if change == "shared" else seen.gather(-1, winners.int().argmax(-1, keepdim=True)).squeeze(-1)


def avg_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, *options: Any, change: str, **rest: Any
) -> Tensor:
    """Average-pooling with one change."""
    y = F.avg_pool2d(input, kernel_size, stride, padding, *options, **rest)
    seen = windows(input, kernel_size, stride, padding, 1, 0.0)
    if change == "sum":
        return seen.sum(-1)
    if change == "gradient not divided":
        return graft(y, seen.sum(-1))
    if change == "gradient divided by all":
        return graft(y, seen.mean(-1))
    return seen.amax(-1)


TABLE: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "max_pool2d": [
        ("shares the gradient among equal maxima; torch gives it to the first", partial(max_pool2d, change="shared")),
        (
            "gives each of several equal maxima the whole gradient; torch gives it to the first",
            partial(max_pool2d, change="all"),
        ),
        ("gives the gradient to the last of equal maxima; torch gives it to the first", partial(max_pool2d, change="last")),
        ("gives the gradient to the whole window, not to its maximum", partial(max_pool2d, change="everywhere")),
        ("pads with zeros, which win over negative numbers; torch pads with -inf", partial(max_pool2d, change="zero padding")),
        ("takes the mean of each window", partial(max_pool2d, change="mean")),
    ],
    "avg_pool2d": [
        ("takes the sum of each window", partial(avg_pool2d, change="sum")),
        ("does not divide the gradient by the window's size", partial(avg_pool2d, change="gradient not divided")),
        (
            "divides the gradient by the whole window where padding is not counted",
            partial(avg_pool2d, change="gradient divided by all"),
        ),
        ("takes the maximum of each window", partial(avg_pool2d, change="maximum")),
    ],
}
