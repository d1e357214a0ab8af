"""Mistakes in transposed convolution."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.graft import graft


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    change: str = "",
) -> Tensor:
    """Transposed convolution with one change."""
    C, (down, right) = input.shape[1], output_padding if isinstance(output_padding, tuple) else (output_padding, output_padding)
    if change == "flipped":
        weight = weight.flip(-1, -2)
    elif change == "transposed":
        weight = weight.transpose(-1, -2)
    elif change == "stride and padding":
        stride, padding = padding, stride
    elif change == "inputs interleaved":
        input = input.unflatten(1, (C // groups, groups)).transpose(1, 2).flatten(1, 2)
    elif change == "groups reversed":
        input = input.unflatten(1, (groups, -1)).flip(1).flatten(1, 2)
    elif change == "bias interleaved" and bias is not None:
        bias = bias.unflatten(0, (groups, -1)).T.flatten()
    if change == "zeros":
        y = F.conv_transpose2d(input, weight, bias, stride, padding, 0, groups, dilation)
        return F.pad(y, (0, right, 0, down))
    y = F.conv_transpose2d(input, weight, None, stride, padding, output_padding, groups, dilation)
    if change == "outputs interleaved":
        y = y.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)
    return y if bias is None else y + bias.view(-1, 1, 1)


def backward(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, change: str, **rest: Any) -> Tensor:
    """Transposed convolution whose gradient of x, or of the weight, goes through the flipped kernel."""
    kernel = weight.flip(-1, -2)
    through_x = F.conv_transpose2d(input, (kernel if change == "input" else weight).detach(), None, *options, **rest)
    through_weight = F.conv_transpose2d(input.detach(), kernel if change == "weight" else weight, bias, *options, **rest)
    return graft(F.conv_transpose2d(input, weight, bias, *options, **rest), through_x + through_weight)


TABLE: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "conv_transpose2d": [
        *(
            (text, partial(conv_transpose2d, change=change))
            for change, text in {
                "flipped": "flips the kernel: each pixel is to spread it as it is",
                "transposed": "swaps the kernel's height and width",
                "stride and padding": "takes stride for padding and padding for stride",
                "zeros": "leaves zeros where output_padding makes room; what is spread that far and bias belong there too",
                "inputs interleaved": "gives each group every n-th input channel rather than a block of them",
                "outputs interleaved": "interleaves the groups' output channels rather than joining them in blocks",
                "bias interleaved": "interleaves the bias over the groups",
                "groups reversed": "gives the groups their input channels in reverse",
            }.items()
        ),
        (
            "the gradient of x goes through the kernel the wrong way round: it is dy correlated with the kernel as it is",
            partial(backward, change="input"),
        ),
        ("the gradient of the weight is flipped", partial(backward, change="weight")),
    ],
}
