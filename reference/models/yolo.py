"""YOLO: detection on two grids in a single pass (Redmon et al. 2016; Redmon & Farhadi 2018)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reference.ops.yolo_boxes import Grid

Anchors = Sequence[Sequence[tuple[float, float]]]
ANCHORS = (((14, 20), (20, 26), (28, 28)), ((6, 14), (10, 18), (14, 14)))  # for handwritten digits in images of 64x64


class YOLO(nn.Module):
    """Detector from images (B, in_channels, H, W) to predictions (B, P, 5 + classes), which reference.ops.yolo_boxes defines."""

    def __init__(
        self, in_channels: int, classes: int, anchors: Anchors = ANCHORS, width: int = 16, blocks: Sequence[int] = (1, 1, 1, 1)
    ):
        super().__init__()
        if min(in_channels, classes, width) < 1 or len(blocks) < 2 or min(blocks) < 0:
            raise ValueError(
                f"YOLO: expected at least one of each and blocks of at least two stages, got in_channels {in_channels}, classes "
                f"{classes}, width {width}, blocks {tuple(blocks)}"
            )
        if len(anchors) != 2 or not all(len(of_grid) and all(min(anchor) > 0 for anchor in of_grid) for of_grid in anchors):
            raise ValueError(f"YOLO: expected anchors, (width, height) in pixels, of a coarse and of a fine grid, got {anchors}")
        self.in_channels, self.numbers, self.anchors = in_channels, 5 + classes, anchors
        self.strides = 2 ** len(blocks), 2 ** (len(blocks) - 1)
        *widths, near, far = (width * 2**i for i in range(len(blocks) + 1))
        *shallow, deep = (stage(wide, count) for wide, count in zip((*widths, near), blocks, strict=True))
        self.shallow = nn.Sequential(convolution(in_channels, width, 3), *shallow)
        self.deep = nn.Sequential(deep, convolution(far, near, 1))
        self.coarse = head(near, far, len(anchors[0]), self.numbers)
        self.up = Up(near, near // 2)
        self.fine = head(near // 2 + near, near, len(anchors[1]), self.numbers)

    def grids(self, height: int, width: int) -> tuple[Grid, ...]:
        """Return the coarse and the fine grid of images of this size, with their anchors in cells."""
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

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"YOLO: expected images (B, {self.in_channels}, H, W), got {tuple(x.shape)}")
        self.grids(*x.shape[2:])  # raises ValueError where the cells do not fit
        near = self.shallow(x)
        far = self.deep(near)
        maps = self.coarse(far), self.fine(self.up(far, near))
        return torch.cat([y.permute(0, 2, 3, 1).reshape(len(x), -1, self.numbers) for y in maps], dim=1)


class Up(nn.Module):
    """Upsampling of x (B, in_channels, H, W), in fewer channels, to 2H x 2W, followed by skip (B, K, 2H, 2W)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.convolution = convolution(in_channels, out_channels, 1)
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return torch.cat((self.up(self.convolution(x)), skip), dim=1)


class Residual(nn.Module):
    """Block x + f(x) for x (B, channels, H, W), where f has half as many channels inside (2018, table 1)."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = convolution(channels, channels // 2, 1)
        self.second = convolution(channels // 2, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


def stage(channels: int, blocks: int) -> nn.Sequential:
    """Return a stage: a convolution to half the size and twice the channels, and residual blocks."""
    return nn.Sequential(convolution(channels, 2 * channels, 3, stride=2), *(Residual(2 * channels) for _ in range(blocks)))


def head(in_channels: int, hidden: int, anchors: int, numbers: int) -> nn.Sequential:
    """Return a convolution and a map to the numbers of each anchor (B, anchors * numbers, H, W); number 4 is the objectness.

    The objectness starts at a probability of 0.01 (Lin et al. 2017, section 4.1): otherwise the many empty cells dominate the loss.
    """
    last = nn.Conv2d(hidden, anchors * numbers, 1)
    bias = torch.zeros(anchors, numbers)
    bias[:, 4] = -math.log(99)
    last.bias = nn.Parameter(bias.flatten())
    return nn.Sequential(convolution(in_channels, hidden, 3), last)


def convolution(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return a padded convolution, batch normalisation and the leaky ReLU of Redmon et al. 2016, equation 2."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.LeakyReLU(0.1),
    )
