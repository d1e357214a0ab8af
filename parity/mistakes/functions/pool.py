"""Mistakes in pooling."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.judging.windows import windows
from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake

wrong_max_pool = partial(mistake, "max_pool2d")
wrong_avg_pool = partial(mistake, "avg_pool2d")


def first_of_equal(seen: Tensor) -> Tensor:
    """Return the first maximum of each window."""
    return seen.gather(-1, _winners(seen).int().argmax(-1, keepdim=True)).squeeze(-1)


def _winners(seen: Tensor) -> Tensor:
    return seen == seen.amax(-1, keepdim=True).detach()


@definition("max_pool2d")
def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    taken: Callable[[Tensor], Tensor] = first_of_equal,
    fill: float = float("-inf"),
) -> Tensor:
    """Compute max-pooling, with a function of the values in each window (..., window)."""
    return taken(windows(input, kernel_size, stride, padding, dilation, fill))


@wrong_max_pool("shares the gradient among equal maxima; torch gives it to the first", "taken")
def shared_among_equal(seen: Tensor) -> Tensor:
    return seen.amax(-1)


@wrong_max_pool("gives the whole gradient to each of several equal maxima; torch gives it to the first", "taken")
def whole_to_each_of_equal(seen: Tensor) -> Tensor:
    return with_gradient_of(seen.amax(-1), torch.where(_winners(seen), seen, 0).sum(-1))


@wrong_max_pool("gives the gradient to the last of equal maxima; torch gives it to the first", "taken")
def last_of_equal(seen: Tensor) -> Tensor:
    last = seen.shape[-1] - 1 - _winners(seen).flip(-1).int().argmax(-1, keepdim=True)
    return seen.gather(-1, last).squeeze(-1)


@wrong_max_pool("gives the gradient to the whole window; it belongs to the maximum", "taken")
def whole_window(seen: Tensor) -> Tensor:
    return with_gradient_of(seen.amax(-1), torch.where(seen.isinf(), 0, seen).sum(-1))


wrong_max_pool("pads with zeros, which are larger than negative values; torch pads with -inf", "fill")(0.0)


@wrong_max_pool("takes the mean of each window", "taken")
def mean_of_window(seen: Tensor) -> Tensor:
    return torch.where(seen.isinf(), 0, seen).mean(-1)


def _seen(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, *options: Any, **rest: Any) -> Tensor:
    """Return the values in each window of average-pooling."""
    return windows(input, kernel_size, stride, padding, 1, 0.0)


@wrong_avg_pool("takes the sum of each window")
def sum_of_window(*arguments: Any, **options: Any) -> Tensor:
    return _seen(*arguments, **options).sum(-1)


@wrong_avg_pool("does not divide the gradient by the size of the window")
def gradient_not_divided(*arguments: Any, **options: Any) -> Tensor:
    return with_gradient_of(F.avg_pool2d(*arguments, **options), _seen(*arguments, **options).sum(-1))


@wrong_avg_pool("divides the gradient by the size of the whole window, though padding is not counted")
def gradient_divided_by_all(*arguments: Any, **options: Any) -> Tensor:
    return with_gradient_of(F.avg_pool2d(*arguments, **options), _seen(*arguments, **options).mean(-1))


@wrong_avg_pool("takes the maximum of each window")
def maximum_of_window(*arguments: Any, **options: Any) -> Tensor:
    return _seen(*arguments, **options).amax(-1)
