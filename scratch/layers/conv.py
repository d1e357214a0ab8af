"""Convolution layers."""

from scratch.checks import Size, pair
from scratch.layers.init import fan_in_uniform
from scratch.module import Array, Backward, Module, apply
from scratch.ops.conv import conv2d
from scratch.ops.conv_transpose import conv_transpose2d


class Conv2d(Module):
    """Convolution of images (N, in_channels, H, W) to (N, out_channels, OH, OW), as torch.nn.Conv2d."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
    ):
        _check_channels("Conv2d", in_channels, out_channels, groups)
        kernel = pair("Conv2d", "kernel_size", kernel_size, 1)
        fan_in = in_channels // groups * kernel[0] * kernel[1]
        self.weight = fan_in_uniform((out_channels, in_channels // groups, *kernel), fan_in)
        self.bias = fan_in_uniform((out_channels,), fan_in) if bias else None
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups

    def forward(self, x: Array) -> tuple[Array, Backward]:
        options = dict(stride=self.stride, padding=self.padding, dilation=self.dilation, groups=self.groups)
        return apply(conv2d, x, self.weight, self.bias, **options)


class ConvTranspose2d(Module):
    """Transposed convolution of images (N, in_channels, H, W) to (N, out_channels, OH, OW), as torch.nn.ConvTranspose2d."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
    ):
        _check_channels("ConvTranspose2d", in_channels, out_channels, groups)
        kernel = pair("ConvTranspose2d", "kernel_size", kernel_size, 1)
        fan = out_channels // groups * kernel[0] * kernel[1]  # torch computes the fan-in of any weight from its second axis
        self.weight = fan_in_uniform((in_channels, out_channels // groups, *kernel), fan)
        self.bias = fan_in_uniform((out_channels,), fan) if bias else None
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.groups, self.dilation = groups, dilation

    def forward(self, x: Array) -> tuple[Array, Backward]:
        options = dict(stride=self.stride, padding=self.padding, output_padding=self.output_padding)
        return apply(conv_transpose2d, x, self.weight, self.bias, **options, groups=self.groups, dilation=self.dilation)


def _check_channels(layer: str, in_channels: int, out_channels: int, groups: int) -> None:
    """Raise ValueError unless both numbers of channels are positive and divisible by groups."""
    if min(in_channels, out_channels, groups) < 1 or in_channels % groups or out_channels % groups:
        raise ValueError(
            f"{layer}: expected positive channels that groups divides, got in_channels {in_channels}, "
            f"out_channels {out_channels}, groups {groups}"
        )
