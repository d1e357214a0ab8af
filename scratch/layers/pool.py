"""Pooling layers over images."""

from scratch.checks import Size
from scratch.module import Array, Backward, Module
from scratch.ops.pool import adaptive_avg_pool2d, avg_pool2d, max_pool2d


class MaxPool2d(Module):
    """The maximum of each window; the stride is kernel_size by default."""

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1):
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation)


class AvgPool2d(Module):
    """The mean of each window; the stride is kernel_size by default."""

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, count_include_pad: bool = True):
        self.kernel_size, self.stride, self.padding, self.count_include_pad = kernel_size, stride, padding, count_include_pad

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return avg_pool2d(x, self.kernel_size, self.stride, self.padding, self.count_include_pad)


class AdaptiveAvgPool2d(Module):
    """The means over a grid of output_size regions, for images of any size."""

    def __init__(self, output_size: Size):
        self.output_size = output_size

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return adaptive_avg_pool2d(x, self.output_size)
