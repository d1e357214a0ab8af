"""Mistakes in convolution."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import mistake

wrong_conv = partial(mistake, "conv2d")
Size = Any  # an int, or a pair of height and width


def pair(size: Size) -> tuple[int, int]:
    """Return the height and the width of a size."""
    return size if isinstance(size, tuple) else (size, size)


def groups_of(stride: Size = 1, padding: Size = 0, dilation: Size = 1, groups: int = 1) -> int:
    """Return the number of groups among the options of conv2d."""
    return groups


@wrong_conv("flips the kernel: this is convolution in the mathematical sense; torch computes the cross-correlation")
def kernel_flipped(input: Tensor, weight: Tensor, *others: Any, **options: Any) -> Tensor:
    return F.conv2d(input, weight.flip(-1, -2), *others, **options)


@wrong_conv("swaps the kernel's height and width")
def kernel_transposed(input: Tensor, weight: Tensor, *others: Any, **options: Any) -> Tensor:
    return F.conv2d(input, weight.transpose(-1, -2), *others, **options)


def padded_elsewhere(
    shift: Callable[[int, int], tuple[int, int]],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve with padding that is moved from the end of the image to its start, by pixels (down, right)."""
    ph, pw = pair(padding)
    down, right = shift(ph, pw)
    padded = F.pad(input, (pw + right, pw - right, ph + down, ph - down))
    return F.conv2d(padded, weight, bias, stride, 0, dilation, groups)


wrong_conv("puts all padding after the image; half of it belongs before the image")(
    partial(padded_elsewhere, lambda ph, pw: (-ph, -pw))
)
wrong_conv("puts all padding before the image; half of it belongs after the image")(
    partial(padded_elsewhere, lambda ph, pw: (ph, pw))
)


def _always(by: tuple[int, int], ph: int, pw: int) -> tuple[int, int]:
    return by


SHIFTS = {
    "row too far down": (-1, 0),
    "row too far up": (1, 0),
    "column too far right": (0, -1),
    "column too far left": (0, 1),
    "row and column too far down and right": (-1, -1),
    "row and column too far up and left": (1, 1),
}
for where, by in SHIFTS.items():
    wrong_conv(f"is off by one: the windows start one {where}")(partial(padded_elsewhere, partial(_always, by)))


@wrong_conv("pads with the values at the edge; torch pads with zeros")
def padded_with_edge(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    *others: Any,
    **rest: Any,
) -> Tensor:
    ph, pw = pair(padding)
    return F.conv2d(F.pad(input, (pw, pw, ph, ph), mode="replicate"), weight, bias, stride, 0, *others, **rest)


@wrong_conv("gives each group every n-th input channel; a group takes a block of neighbouring channels")
def inputs_interleaved(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, **rest: Any) -> Tensor:
    return F.conv2d(interleaved(input, groups_of(*options, **rest)), weight, bias, *options, **rest)


def interleaved(x: Tensor, groups: int) -> Tensor:
    """Put every n-th channel beside each other, with n the number of groups."""
    return x.unflatten(1, (x.shape[1] // groups, groups)).transpose(1, 2).flatten(1, 2)


def outputs_interleaved(y: Tensor, bias: Tensor | None, groups: int) -> Tensor:
    """Let the output channels of the groups take turns, and add bias."""
    y = y.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)
    return y if bias is None else y + bias.view(-1, 1, 1)


@wrong_conv("interleaves the output channels of the groups; they are joined in blocks")
def groups_interleaved(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, **rest: Any) -> Tensor:
    return outputs_interleaved(F.conv2d(input, weight, None, *options, **rest), bias, groups_of(*options, **rest))


def bias_interleaved(bias: Tensor | None, groups: int) -> Tensor | None:
    """Let the biases of the groups take turns."""
    return None if bias is None else bias.unflatten(0, (groups, -1)).T.flatten()


@wrong_conv("interleaves the bias over the groups")
def bias_of_other_groups(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, **rest: Any) -> Tensor:
    return F.conv2d(input, weight, bias_interleaved(bias, groups_of(*options, **rest)), *options, **rest)


@wrong_conv("gives the groups their input channels in reverse order")
def groups_reversed(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, **rest: Any) -> Tensor:
    return F.conv2d(reversed_groups(input, groups_of(*options, **rest)), weight, bias, *options, **rest)


def reversed_groups(x: Tensor, groups: int) -> Tensor:
    """Put the last group of channels first."""
    return x.unflatten(1, (groups, -1)).flip(1).flatten(1, 2)


@wrong_conv("gives every group the input channels of the first group")
def first_group(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, **rest: Any) -> Tensor:
    groups = groups_of(*options, **rest)
    return F.conv2d(input[:, : input.shape[1] // groups].repeat(1, groups, 1, 1), weight, bias, *options, **rest)


@wrong_conv(
    "the gradient of x uses the kernel the wrong way round: correlate dy with the flipped kernel, or spread the unflipped one"
)
def gradient_of_x_flipped(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, **rest: Any) -> Tensor:
    through_x = F.conv2d(input, weight.detach().flip(-1, -2), None, *options, **rest)
    return with_gradient_of(
        F.conv2d(input, weight, bias, *options, **rest), through_x + F.conv2d(input.detach(), weight, bias, *options, **rest)
    )


@wrong_conv("the gradient of the weight is flipped")
def gradient_of_weight_flipped(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, **rest: Any) -> Tensor:
    through_weight = F.conv2d(input.detach(), weight.flip(-1, -2), bias, *options, **rest)
    return with_gradient_of(
        F.conv2d(input, weight, bias, *options, **rest), F.conv2d(input, weight.detach(), None, *options, **rest) + through_weight
    )
