"""Mistakes in masks."""

from __future__ import annotations

import torch
from torch import Tensor

from parity.mistakes.register import mistake


@mistake("tril", "lets each query attend to one key too many: the diagonal is off by one")
def one_key_more(input: Tensor, diagonal: int = 0) -> Tensor:
    return torch.tril(input, diagonal + 1)


@mistake("tril", "lets each query attend to one key too few: the diagonal is off by one")
def one_key_less(input: Tensor, diagonal: int = 0) -> Tensor:
    return torch.tril(input, diagonal - 1)


@mistake("tril", "ignores the offset")
def no_offset(input: Tensor, diagonal: int = 0) -> Tensor:
    return torch.tril(input)


@mistake("tril", "is the upper triangle: each query attends to the keys after it")
def upper_triangle(input: Tensor, diagonal: int = 0) -> Tensor:
    return torch.triu(input, diagonal)


@mistake("tril", "is true where a key is masked; true means that the key may be attended to")
def inverted(input: Tensor, diagonal: int = 0) -> Tensor:
    return ~torch.tril(input, diagonal)
