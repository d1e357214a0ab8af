"""Mistakes in padding with zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import mistake


@mistake("pad", "swaps the padding before and after")
def other_side(input: Tensor, pad: Sequence[int], *options: Any, **rest: Any) -> Tensor:
    return F.pad(input, [n for before, after in _sides(pad) for n in (after, before)], *options, **rest)


@mistake("pad", "repeats the values at the edge; the padding is zeros")
def repeated_edge(input: Tensor, pad: Sequence[int], *options: Any, **rest: Any) -> Tensor:
    return F.pad(input, pad, "replicate")


@mistake("pad", "splits the padding between both sides")
def both_sides(input: Tensor, pad: Sequence[int], *options: Any, **rest: Any) -> Tensor:
    halves = [(total // 2, total - total // 2) for total in map(sum, _sides(pad))]
    return F.pad(input, [n for sides in halves for n in sides], *options, **rest)


@mistake("pad", "returns the gradient of the padding instead of that of the input")
def gradient_of_padding(input: Tensor, pad: Sequence[int], *options: Any, **rest: Any) -> Tensor:
    return with_gradient_of(F.pad(input, pad, *options, **rest), other_side(input, pad, *options, **rest))


def _sides(pad: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(pad[::2], pad[1::2], strict=True))
