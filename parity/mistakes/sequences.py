"""Mistakes in what is done with sequences of unequal length: their masks, means, maxima, and what is joined to what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from parity.mistakes.graft import graft


def masked_fill(change: str) -> Callable[..., Tensor]:
    """Tensor.masked_fill with one change."""

    def fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
        if change == "nothing":
            return input
        if change == "turned":
            return input.masked_fill(~mask, value)
        return input.masked_fill(mask, 0) if change == "0" else graft(input.masked_fill(mask, value), input)

    return fill


def maximum(change: str) -> Callable[..., Any]:
    """torch.max along an axis with one change in the backward."""

    def highest(input: Tensor, dim: int) -> Any:
        top = input.amax(dim, keepdim=True)
        winners = input == top
        if change == "last":
            last = input.shape[dim] - 1 - winners.flip(dim).int().argmax(dim, keepdim=True)
            return SimpleNamespace(values=input.gather(dim, last).squeeze(dim))
        if change == "shared":
            return SimpleNamespace(values=top.squeeze(dim))
        counted = winners if change == "all" else input.isfinite()
        return SimpleNamespace(values=graft(top.squeeze(dim), torch.where(counted, input, 0).sum(dim)))

    return highest


def division(change: str) -> Callable[..., Tensor]:
    """The division by a tensor of several numbers with one change."""

    def quotient(input: Tensor, other: Tensor) -> Tensor:
        if not isinstance(other, Tensor) or other.numel() < 2:
            raise ValueError("one divisor for all")
        divided = input / other
        constant = graft(divided, input / other.detach())
        return {"none": input, "largest": input / other.max(), "constant": constant}.get(change, graft(divided, input))

    return quotient


def times(change: str) -> Callable[..., Tensor]:
    """The product with a number with one change."""

    def product(input: Tensor, other: Any) -> Tensor:
        if isinstance(other, Tensor):
            raise ValueError("a product of tensors")
        return input if change == "nothing" else graft(input * other, input)

    return product


def indexing(change: str) -> Callable[..., Tensor]:
    """What is at the index 0 of an axis, with one change."""

    def found(input: Tensor, index: Any) -> Tensor:
        parts = index if isinstance(index, tuple) else (index,)
        firsts = [axis for axis, part in enumerate(parts) if isinstance(part, int) and part == 0]
        if len(firsts) != 1 or not all(isinstance(part, int | slice) for part in parts):
            raise ValueError("not the first along one axis")
        last = tuple(-1 if axis in firsts else part for axis, part in enumerate(parts))
        if change == "gradient":
            return graft(input[index], input.sum(firsts[0], keepdim=True)[last])
        return input[last] if change == "last" else input.mean(firsts[0], keepdim=True)[last]

    return found


def reversed_cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    return torch.cat(list(tensors)[::-1], dim)


TABLE: dict[str, list[tuple[str, Callable[..., Any]]]] = {
    "masked_fill": [
        ("masks nothing", masked_fill("nothing")),
        ("turns its mask round", masked_fill("turned")),
        ("fills in 0 where the mask is", masked_fill("0")),
        ("lets the gradient through where the mask is", masked_fill("gradient")),
    ],
    "lt": [
        ("takes padding for steps that are there", lambda input, other: torch.ones_like(input < other)),
        ("takes one step beyond the end for there", lambda input, other: input <= other),
        ("takes the last step for padding", lambda input, other: input < other - 1),
    ],
    "max": [
        ("shares the gradient among equal maxima; torch gives it to the first", maximum("shared")),
        ("gives each of several equal maxima the whole gradient; torch gives it to the first", maximum("all")),
        ("gives the gradient to the last of equal maxima; torch gives it to the first", maximum("last")),
        ("gives the gradient to every step, not to the maximum", maximum("everywhere")),
    ],
    "div": [
        ("does not divide", division("none")),
        ("divides each by the largest of the divisors", division("largest")),
        ("does not divide the gradient", division("gradient")),
        ("takes the divisors for constants in the backward", division("constant")),
    ],
    "mul": [
        ("does not multiply by the number", times("nothing")),
        ("does not multiply the gradient by the number", times("gradient")),
    ],
    "__getitem__": [
        ("takes the last along an axis for the first", indexing("last")),
        ("takes the mean along an axis for the first", indexing("mean")),
        ("gives the gradient of the first along an axis to all", indexing("gradient")),
    ],
    "cat": [("joins its parts in the reverse order", reversed_cat)],
}
