"""Mistakes in convolution and affine maps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.graft import graft


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    change: str,
) -> Tensor:
    """Convolution with one change; where the change alters the output's size, it is no candidate."""
    stride, padding, dilation = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation))
    (ph, pw), C = padding, input.shape[1]
    if change == "flipped":
        weight = weight.flip(-1, -2)
    elif change == "transposed":
        weight = weight.transpose(-1, -2)
    elif change == "replicated":
        input, padding = F.pad(input, (pw, pw, ph, ph), mode="replicate"), (0, 0)
    elif change == "inputs interleaved":
        input = input.unflatten(1, (C // groups, groups)).transpose(1, 2).flatten(1, 2)
    elif change == "outputs interleaved":
        y = F.conv2d(input, weight, None, stride, padding, dilation, groups)
        y = y.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)
        return y if bias is None else y + bias.view(-1, 1, 1)
    elif change == "bias interleaved" and bias is not None:
        bias = bias.unflatten(0, (groups, -1)).T.flatten()
    elif change == "groups reversed":
        input = input.unflatten(1, (groups, -1)).flip(1).flatten(1, 2)
    elif change == "first group":
        input = input[:, : C // groups].repeat(1, groups, 1, 1)
    return F.conv2d(input, weight, bias, stride, padding, dilation, groups)


def moved(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    by: tuple[int, int],
    always: bool = False,
) -> Tensor:
    """Convolution whose padding is moved from the end of the image to its start, as far as it goes by pixels (down, right)."""
    stride, (ph, pw), dilation = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation))
    down, right = (step * (p if always else 1) for step, p in zip(by, (ph, pw), strict=True))
    padded = F.pad(input, (pw + right, pw - right, ph + down, ph - down))
    return F.conv2d(padded, weight, bias, stride, 0, dilation, groups)


def conv2d_backward(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, change: str, **rest: Any) -> Tensor:
    """Convolution with one change in the backward."""
    y = F.conv2d(input, weight, bias, *options, **rest)
    if change == "input flipped":  # the gradient of x through the flipped kernel, that of the weight as it is
        through_x = F.conv2d(input, weight.detach().flip(-1, -2), None, *options, **rest)
        through_weight = F.conv2d(input.detach(), weight, bias, *options, **rest)
        return graft(y, through_x + through_weight)
    through_weight = F.conv2d(input.detach(), weight.flip(-1, -2), bias, *options, **rest)
    return graft(y, F.conv2d(input, weight.detach(), None, *options, **rest) + through_weight)


TABLE: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "conv2d": [
        (
            "flips the kernel: that is convolution in the mathematical sense, torch's is cross-correlation",
            partial(conv2d, change="flipped"),
        ),
        ("swaps the kernel's height and width", partial(conv2d, change="transposed")),
        ("puts all padding after the image rather than half before it", partial(moved, by=(-1, -1), always=True)),
        ("puts all padding before the image rather than half after it", partial(moved, by=(1, 1), always=True)),
        *(
            (f"is off by one: the windows start one {side} {where} too far", partial(moved, by=by))
            for side, where, by in (
                ("row", "down", (-1, 0)),
                ("row", "up", (1, 0)),
                ("column", "right", (0, -1)),
                ("column", "left", (0, 1)),
                ("row and column", "down and right", (-1, -1)),
                ("row and column", "up and left", (1, 1)),
            )
        ),
        ("pads with the edge's values rather than zeros", partial(conv2d, change="replicated")),
        (
            "gives each group every n-th input channel rather than a block of them",
            partial(conv2d, change="inputs interleaved"),
        ),
        (
            "interleaves the groups' output channels rather than joining them in blocks",
            partial(conv2d, change="outputs interleaved"),
        ),
        ("interleaves the bias over the groups", partial(conv2d, change="bias interleaved")),
        ("gives the groups their input channels in reverse", partial(conv2d, change="groups reversed")),
        ("gives every group the first group's input channels", partial(conv2d, change="first group")),
        (
            "the gradient of x goes through the kernel the wrong way round: correlate dy with it flipped, or spread it unflipped",
            partial(conv2d_backward, change="input flipped"),
        ),
        ("the gradient of the weight is flipped", partial(conv2d_backward, change="weight flipped")),
    ],
}
