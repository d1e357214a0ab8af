"""Mistakes in splitting a tensor into heads and in joining heads."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from parity.mistakes.register import mistake


@mistake("transpose", "splits and joins heads with a reshape only; the axes of time and heads must be swapped as well")
def reshaped(input: Tensor, dim0: int, dim1: int) -> Tensor:
    return input.reshape(input.transpose(dim0, dim1).shape)


@mistake("unflatten", "splits heads with a reshape only; the axes of time and heads must be swapped after it")
def split_by_reshape(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    B, T, H, D = input.unflatten(dim, sizes).shape
    return input.reshape(B, H, T, D).transpose(1, 2)


@mistake("unflatten", "puts every H-th channel into one head; a head consists of D neighbouring channels")
def interleaved(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    B, T, H, D = input.unflatten(dim, sizes).shape
    return input.reshape(B, T, D, H).transpose(2, 3)


@mistake("flatten", "joins heads with a reshape only; the axes of time and heads must be swapped before it")
def joined_by_reshape(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    return input.transpose(1, 2).reshape(input.flatten(start_dim, end_dim).shape)
