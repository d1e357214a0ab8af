"""Deep residual networks (He, Zhang, Ren & Sun 2016)."""

from collections.abc import Callable, Sequence

import numpy as np

from scratch.checks import are_images
from scratch.layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from scratch.layers.init import kaiming_normal_
from scratch.module import Array, Backward, Module


class BasicBlock(Module):
    """Two 3x3 convolutions, the first with the stride, and a residual connection (figure 5, left).

    Images (N, in_channels, H, W) to (N, channels, H/stride, W/stride). `downsample` is the module of the residual connection; None
    is the identity.
    """

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int = 1, downsample: Module | None = None):
        self.conv1 = Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(channels)
        self.relu = ReLU()
        self.conv2 = Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(channels)
        self.downsample = downsample

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y, conv1 = self.conv1(x)
        y, bn1 = self.bn1(y)
        y, relu1 = self.relu(y)
        y, conv2 = self.conv2(y)
        y, bn2 = self.bn2(y)
        past, downsample = _past(x, self.downsample)
        y, relu2 = self.relu(y + past)

        def backward(dy: Array) -> Array:
            dsum = relu2(dy)
            dx = conv1(bn1(relu1(conv2(bn2(dsum)))))
            return dx + downsample(dsum)

        return y, backward


class Bottleneck(Module):
    """A 1x1 convolution to fewer channels, a 3x3, a 1x1 to four times as many, and a residual connection (figure 5, right).

    The 3x3 convolution has the stride, as in torchvision. In the paper the first 1x1 has it, which skips three pixels in four.
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int = 1, downsample: Module | None = None):
        self.conv1 = Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = BatchNorm2d(channels)
        self.conv2 = Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = BatchNorm2d(channels)
        self.conv3 = Conv2d(channels, self.expansion * channels, 1, bias=False)
        self.bn3 = BatchNorm2d(self.expansion * channels)
        self.relu = ReLU()
        self.downsample = downsample

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y, conv1 = self.conv1(x)
        y, bn1 = self.bn1(y)
        y, relu1 = self.relu(y)
        y, conv2 = self.conv2(y)
        y, bn2 = self.bn2(y)
        y, relu2 = self.relu(y)
        y, conv3 = self.conv3(y)
        y, bn3 = self.bn3(y)
        past, downsample = _past(x, self.downsample)
        y, relu3 = self.relu(y + past)

        def backward(dy: Array) -> Array:
            dsum = relu3(dy)
            dx = conv1(bn1(relu1(conv2(bn2(relu2(conv3(bn3(dsum))))))))
            return dx + downsample(dsum)

        return y, backward


class PaddedShortcut(Module):
    """Residual connection without parameters, option A of section 3.3: every stride-th pixel, with channels of zeros added."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        self.out_channels, self.stride = out_channels, stride

    def forward(self, x: Array) -> tuple[Array, Backward]:
        C, step = x.shape[1], self.stride
        kept = x[:, :, ::step, ::step]
        N, _, H, W = kept.shape
        y = np.zeros_like(x, shape=(N, self.out_channels, H, W))
        y[:, :C] = kept

        def backward(dy: Array) -> Array:
            dx = np.zeros_like(x)
            dx[:, :, ::step, ::step] = dy[:, :C]
            return dx

        return y, backward


def projection(in_channels: int, out_channels: int, stride: int) -> Sequential:
    """Return the residual connection of option B of section 3.3: a 1x1 convolution."""
    return Sequential(Conv2d(in_channels, out_channels, 1, stride, bias=False), BatchNorm2d(out_channels))


Block = type[BasicBlock] | type[Bottleneck]
Shortcut = Callable[[int, int, int], Module]
SHORTCUTS: dict[str, Shortcut] = {"A": PaddedShortcut, "B": projection}
BLOCKS = {  # depth to the number of blocks in each stage
    10: (1, 1, 1, 1),
    14: (1, 1, 1, 1),
    18: (2, 2, 2, 2),
    26: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
BOTTLENECKS = (14, 26, 50, 101, 152)


def _past(x: Array, downsample: Module | None) -> tuple[Array, Backward]:
    """Return the value of the residual connection."""
    return (x, lambda dsum: dsum) if downsample is None else downsample(x)


def _stage(block: Block, in_channels: int, channels: int, blocks: int, stride: int, shortcut: Shortcut) -> Sequential:
    """Return a stage of blocks, the first with the stride; its residual connection is the identity where shapes allow it."""
    out_channels = block.expansion * channels
    fits = stride == 1 and in_channels == out_channels
    first = block(in_channels, channels, stride, None if fits else shortcut(in_channels, out_channels, stride))
    return Sequential(first, *(block(out_channels, channels) for _ in range(blocks - 1)))


class _Residual(Sequential):
    """A stem, stages of blocks, the mean of each channel and a linear layer, under torchvision's names.

    Each stage but the first halves the images and doubles the channels. The stem is a 7x7 convolution and a pooling, each of
    which halves the images; for small images it is a 3x3 convolution. With classes None, the value is the feature maps of
    the last stage, (N, out_channels, h, w). There h = H / stride and w = W / stride, rounded up.
    """

    def __init__(
        self,
        block: Block,
        blocks: Sequence[int],
        shortcut: Shortcut,
        classes: int | None,
        in_channels: int,
        width: int,
        small_images: bool,
    ):
        super().__init__()
        self.in_channels, self.stride = in_channels, 2 ** (len(blocks) - 1) * (1 if small_images else 4)
        kernel, stride = (3, 1) if small_images else (7, 2)
        self.conv1 = Conv2d(in_channels, width, kernel, stride, padding=kernel // 2, bias=False)
        self.bn1 = BatchNorm2d(width)
        self.relu = ReLU()
        if not small_images:
            self.maxpool = MaxPool2d(3, 2, padding=1)
        channels = width
        for i, count in enumerate(blocks):
            setattr(self, f"layer{i + 1}", _stage(block, channels, width * 2**i, count, 2 if i else 1, shortcut))
            channels = block.expansion * width * 2**i
        self.out_channels = channels
        if classes is not None:
            self.avgpool = AdaptiveAvgPool2d(1)
            self.flatten = Flatten()
            self.fc = Linear(channels, classes)
        for parameter in self.parameters():
            if parameter.data.ndim == 4:
                kaiming_normal_(parameter)

    def forward(self, x: Array) -> tuple[Array, Backward]:
        are_images(type(self).__name__, x, self.in_channels)
        return super().forward(x)


class ResNet(_Residual):
    """Images (N, in_channels, H, W) to logits (N, classes), as for ImageNet (table 1), with projections where shapes change.

    With classes None, the value is feature maps for other models. The depth counts convolutions and the linear layer. In the
    paper, 18 and 34 have basic blocks, and 50, 101 and 152 have bottlenecks; 10 is a smaller model with basic blocks, 14 and 26
    are smaller models with bottlenecks. With `small_images`, the stem is one for images of 32x32.
    """

    def __init__(
        self, depth: int = 18, classes: int | None = 1000, in_channels: int = 3, width: int = 64, small_images: bool = False
    ):
        if depth not in BLOCKS:
            raise ValueError(f"ResNet: depth is {depth}, expected one of {', '.join(map(str, BLOCKS))}")
        block = Bottleneck if depth in BOTTLENECKS else BasicBlock
        super().__init__(block, BLOCKS[depth], projection, classes, in_channels, width, small_images)


class CifarResNet(_Residual):
    """Images (N, in_channels, H, W), usually of 32x32, to logits (N, classes), as for CIFAR-10 (section 4.2).

    It has three stages of n = (depth - 2) / 6 basic blocks; the paper has depths 20, 32, 44 and 56. Where shapes change, the
    residual connection is option "A", padding with zeros and no parameters, or "B", a projection.
    """

    def __init__(self, depth: int = 20, classes: int = 10, in_channels: int = 3, width: int = 16, shortcut: str = "A"):
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"CifarResNet: depth is {depth}, expected 6n + 2, such as 20, 32, 44 and 56")
        if shortcut not in SHORTCUTS:
            raise ValueError(f"CifarResNet: shortcut is {shortcut!r}, expected one of {', '.join(SHORTCUTS)}")
        super().__init__(BasicBlock, [(depth - 2) // 6] * 3, SHORTCUTS[shortcut], classes, in_channels, width, small_images=True)
