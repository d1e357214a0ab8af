"""YOLO: detection of objects on two grids in one pass (Redmon et al. 2016; Redmon & Farhadi 2018)."""

import math
from collections.abc import Sequence

import numpy as np

from scratch.layers import BatchNorm2d, Conv2d, LeakyReLU, Sequential, Upsample
from scratch.module import Array, Backward, Module, Parameter
from scratch.ops.yolo_boxes import Grid

Anchors = Sequence[Sequence[tuple[float, float]]]
ANCHORS = (((14, 20), (20, 26), (28, 28)), ((6, 14), (10, 18), (14, 14)))  # for handwritten digits in images of 64x64


class YOLO(Module):
    """Images (B, in_channels, H, W) to predictions (B, P, 5 + classes), whose layout scratch.ops.yolo_boxes describes.

    The backbone is a small Darknet (2018, section 2.4). Each stage halves the images and doubles the channels, starting from
    `width`; `blocks` is the number of residual blocks in each stage. The last stage's output predicts on a coarse grid. It is
    also enlarged and joined to the output of the stage before, and both predict on a grid twice as fine (section 2.3, with the
    short heads of YOLOv3-tiny). `anchors` are those of the coarse and of the fine grid, (width, height) in pixels. The sides of
    images are multiples of 2 ** (number of stages).
    """

    def __init__(
        self, in_channels: int, classes: int, anchors: Anchors = ANCHORS, width: int = 16, blocks: Sequence[int] = (1, 1, 1, 1)
    ):
        if min(in_channels, classes, width) < 1 or len(blocks) < 2 or min(blocks) < 0:
            raise ValueError(
                f"YOLO: expected at least one of each and blocks of at least two stages, got in_channels {in_channels}, classes "
                f"{classes}, width {width}, blocks {tuple(blocks)}"
            )
        if len(anchors) != 2 or not all(
            len(of_grid) and all(len(anchor) == 2 and min(anchor) > 0 for anchor in of_grid) for of_grid in anchors
        ):
            raise ValueError(f"YOLO: expected anchors, (width, height) in pixels, of a coarse and of a fine grid, got {anchors}")
        self.in_channels, self.numbers, self.anchors = in_channels, 5 + classes, anchors
        self.strides = 2 ** len(blocks), 2 ** (len(blocks) - 1)
        *widths, near, far = (width * 2**i for i in range(len(blocks) + 1))
        *shallow, deep = (stage(wide, count) for wide, count in zip((*widths, near), blocks, strict=True))
        self.shallow = Sequential(convolution(in_channels, width, 3), *shallow)
        self.deep = Sequential(deep, convolution(far, near, 1))
        self.coarse = head(near, far, len(anchors[0]), self.numbers)
        self.up = Up(near, near // 2)
        self.fine = head(near // 2 + near, near, len(anchors[1]), self.numbers)

    def grids(self, height: int, width: int) -> tuple[Grid, ...]:
        """Return the coarse and the fine grid over images of this size, with anchors in cells, or raise ValueError."""
        cell = self.strides[0]
        if any(side < cell or side % cell for side in (height, width)):
            raise ValueError(
                f"YOLO: cells of {cell}x{cell} do not cut images of {height}x{width} evenly; resize or pad the images, or take "
                "fewer stages"
            )
        return tuple(
            ((height // stride, width // stride), tuple((w / stride, h / stride) for w, h in anchors))
            for stride, anchors in zip(self.strides, self.anchors, strict=True)
        )

    def forward(self, x: Array) -> tuple[Array, Backward]:
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"YOLO: expected images (B, {self.in_channels}, H, W), got {x.shape}")
        self.grids(*x.shape[2:])  # raises ValueError where the images have no grids
        near, shallow = self.shallow(x)
        far, deep = self.deep(near)
        coarse, coarse_backward = self.coarse(far)
        joined, up = self.up(far, near)
        fine, fine_backward = self.fine(joined)
        (first, first_backward), (second, second_backward) = self._listed(coarse), self._listed(fine)

        def backward(dpredictions: Array) -> Array:
            dcoarse, dfine = np.split(dpredictions, [first.shape[1]], axis=1)
            dfar, dnear = up(fine_backward(second_backward(dfine)))
            dfar = dfar + coarse_backward(first_backward(dcoarse))  # both heads
            return shallow(dnear + deep(dfar))

        return np.concatenate([first, second], axis=1), backward

    def _listed(self, y: Array) -> tuple[Array, Backward]:
        """Return a grid's numbers (B, A (5 + K), H, W) as a list of its predictions (B, H W A, 5 + K)."""
        B, C, H, W = y.shape
        P = H * W * C // self.numbers
        listed = y.transpose(0, 2, 3, 1).reshape(B, P, self.numbers)
        return listed, lambda dlisted: dlisted.reshape(B, H, W, C).transpose(0, 3, 1, 2)


class Up(Module):
    """x (B, in_channels, H, W) with fewer channels, enlarged by 2, joined before skip (B, K, 2H, 2W)."""

    def __init__(self, in_channels: int, out_channels: int):
        self.convolution = convolution(in_channels, out_channels, 1)
        self.up = Upsample(scale_factor=2)

    def forward(self, x: Array, skip: Array) -> tuple[Array, Backward]:
        x, convolution = self.convolution(x)
        x, up = self.up(x)
        C = x.shape[1]
        return np.concatenate([x, skip], axis=1), lambda dy: (convolution(up(dy[:, :C])), dy[:, C:])


class Residual(Module):
    """x + f(x), where f has half the channels inside (2018, table 1): x (B, channels, H, W) to the same shape."""

    def __init__(self, channels: int):
        self.first = convolution(channels, channels // 2, 1)
        self.second = convolution(channels // 2, channels, 3)

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y, first = self.first(x)
        y, second = self.second(y)
        return x + y, lambda dy: dy + first(second(dy))


def stage(channels: int, blocks: int) -> Sequential:
    """Return a stage: a convolution that halves the size and doubles the channels, and residual blocks."""
    return Sequential(convolution(channels, 2 * channels, 3, stride=2), *(Residual(2 * channels) for _ in range(blocks)))


def head(in_channels: int, hidden: int, anchors: int, numbers: int) -> Sequential:
    """Return the head: a convolution and a 1x1 convolution to the numbers of each anchor (B, anchors * numbers, H, W).

    Number 4 is the logit of an object. Its probability starts at 0.01 (Lin et al. 2017, section 4.1); otherwise the many cells
    without an object would dominate the first losses.
    """
    last = Conv2d(hidden, anchors * numbers, 1)
    last.bias = Parameter(np.tile(np.where(np.arange(numbers) == 4, -math.log(99), 0), anchors).astype(np.float32))
    return Sequential(convolution(in_channels, hidden, 3), last)


def convolution(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> Sequential:
    """Return a padded convolution, batch normalisation and the leaky ReLU of Redmon et al. 2016, equation 2."""
    return Sequential(
        Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
        BatchNorm2d(out_channels),
        LeakyReLU(0.1),
    )
