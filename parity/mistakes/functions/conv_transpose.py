"""Mistakes in transposed convolution."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.functions.conv import Size, bias_interleaved, interleaved, outputs_interleaved, pair, reversed_groups
from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import mistake

wrong_conv_transpose = partial(mistake, "conv_transpose2d")


def groups_of(stride: Size = 1, padding: Size = 0, output_padding: Size = 0, groups: int = 1, dilation: Size = 1) -> int:
    """Return the number of groups among the options of conv_transpose2d."""
    return groups


@wrong_conv_transpose("flips the kernel; each pixel spreads the kernel unflipped")
def kernel_flipped(input: Tensor, weight: Tensor, *others: Any, **options: Any) -> Tensor:
    return F.conv_transpose2d(input, weight.flip(-1, -2), *others, **options)


@wrong_conv_transpose("swaps the kernel's height and width")
def kernel_transposed(input: Tensor, weight: Tensor, *others: Any, **options: Any) -> Tensor:
    return F.conv_transpose2d(input, weight.transpose(-1, -2), *others, **options)


@wrong_conv_transpose("swaps stride and padding")
def stride_and_padding_swapped(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    *others: Any,
    **rest: Any,
) -> Tensor:
    return F.conv_transpose2d(input, weight, bias, padding, stride, *others, **rest)


@wrong_conv_transpose("leaves zeros in the rows and columns that output_padding adds; they get their values and bias as well")
def output_padding_0(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    *others: Any,
    **rest: Any,
) -> Tensor:
    down, right = pair(output_padding)
    return F.pad(F.conv_transpose2d(input, weight, bias, stride, padding, 0, *others, **rest), (0, right, 0, down))


@wrong_conv_transpose("gives each group every n-th input channel; a group takes a block of neighbouring channels")
def inputs_interleaved(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, **rest: Any) -> Tensor:
    return F.conv_transpose2d(interleaved(input, groups_of(*options, **rest)), weight, bias, *options, **rest)


@wrong_conv_transpose("interleaves the output channels of the groups; they are joined in blocks")
def groups_interleaved(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, **rest: Any) -> Tensor:
    y = F.conv_transpose2d(input, weight, None, *options, **rest)
    return outputs_interleaved(y, bias, groups_of(*options, **rest))


@wrong_conv_transpose("interleaves the bias over the groups")
def bias_of_other_groups(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, **rest: Any) -> Tensor:
    return F.conv_transpose2d(input, weight, bias_interleaved(bias, groups_of(*options, **rest)), *options, **rest)


@wrong_conv_transpose("gives the groups their input channels in reverse order")
def groups_reversed(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, **rest: Any) -> Tensor:
    return F.conv_transpose2d(reversed_groups(input, groups_of(*options, **rest)), weight, bias, *options, **rest)


@wrong_conv_transpose("the gradient of x uses the kernel the wrong way round: it is dy correlated with the unflipped kernel")
def gradient_of_x_flipped(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, **rest: Any) -> Tensor:
    through_x = F.conv_transpose2d(input, weight.flip(-1, -2).detach(), None, *options, **rest)
    through_weight = F.conv_transpose2d(input.detach(), weight, bias, *options, **rest)
    return with_gradient_of(F.conv_transpose2d(input, weight, bias, *options, **rest), through_x + through_weight)


@wrong_conv_transpose("the gradient of the weight is flipped")
def gradient_of_weight_flipped(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, **rest: Any) -> Tensor:
    through_x = F.conv_transpose2d(input, weight.detach(), None, *options, **rest)
    through_weight = F.conv_transpose2d(input.detach(), weight.flip(-1, -2), bias, *options, **rest)
    return with_gradient_of(F.conv_transpose2d(input, weight, bias, *options, **rest), through_x + through_weight)
