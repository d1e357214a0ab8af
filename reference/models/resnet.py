"""Deep residual networks (He, Zhang, Ren & Sun 2016)."""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Block of two 3x3 convolutions with a shortcut (figure 5, left); the first convolution has the stride."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int = 1, downsample: nn.Module | None = None):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """Block of a 1x1 convolution to fewer channels, a 3x3, a 1x1 to four times as many, and a shortcut (figure 5, right)."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int = 1, downsample: nn.Module | None = None):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, self.expansion * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(self.expansion * channels)
        self.relu = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class PaddedShortcut(nn.Module):
    """Shortcut of option A (section 3.3): every stride-th pixel, and new channels of zeros after the old ones."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.out_channels, self.stride = out_channels, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.out_channels - x.shape[1]))


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Return the shortcut of option B (section 3.3): a 1x1 convolution."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))


Block = type[BasicBlock] | type[Bottleneck]
Shortcut = Callable[[int, int, int], nn.Module]
SHORTCUTS: dict[str, Shortcut] = {"A": PaddedShortcut, "B": projection}
BLOCKS = {  # in each stage, by depth
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


def _stage(block: Block, in_channels: int, channels: int, blocks: int, stride: int, shortcut: Shortcut) -> nn.Sequential:
    """Return a stage of blocks: the first has the stride, and its shortcut is the identity where the shapes allow it."""
    out_channels = block.expansion * channels
    fits = stride == 1 and in_channels == out_channels
    first = block(in_channels, channels, stride, None if fits else shortcut(in_channels, out_channels, stride))
    return nn.Sequential(first, *(block(out_channels, channels) for _ in range(blocks - 1)))


class _Residual(nn.Sequential):
    """Base of residual networks: a stem, stages of blocks, global average pooling and a linear map, with torchvision's names.

    Each stage but the first halves the images and doubles the width. The stem is a 7x7 convolution and a pooling, each of which
    halves the images, or for small images a 3x3 convolution alone. If `classes` is None, the network ends after the stages.
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
        kernel, stride = (3, 1) if small_images else (7, 2)
        self.conv1 = nn.Conv2d(in_channels, width, kernel, stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        if not small_images:
            self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        channels = width
        for i, count in enumerate(blocks):
            setattr(self, f"layer{i + 1}", _stage(block, channels, width * 2**i, count, 2 if i else 1, shortcut))
            channels = block.expansion * width * 2**i
        self.out_channels = channels
        if classes is not None:
            self.avgpool = nn.AdaptiveAvgPool2d(1)
            self.flatten = nn.Flatten()
            self.fc = nn.Linear(channels, classes)
        for parameter in self.parameters():
            if parameter.dim() == 4:
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")


class ResNet(_Residual):
    """Classifier for ImageNet (table 1): images (N, in_channels, H, W) to logits (N, classes).

    Shortcuts are projections where the shapes change. If `classes` is None, the value is the last feature map. The depth counts
    convolutions and the linear map. The depths 10, 18 and 34 have basic blocks; 14, 26, 50, 101 and 152 have bottlenecks; 10, 14
    and 26 are not in the paper. `small_images` selects a stem for images of 32x32.
    """

    def __init__(
        self, depth: int = 18, classes: int | None = 1000, in_channels: int = 3, width: int = 64, small_images: bool = False
    ):
        if depth not in BLOCKS:
            raise ValueError(f"ResNet: depth is {depth}, expected one of {', '.join(map(str, BLOCKS))}")
        block = Bottleneck if depth in BOTTLENECKS else BasicBlock
        super().__init__(block, BLOCKS[depth], projection, classes, in_channels, width, small_images)


class CifarResNet(_Residual):
    """Classifier for CIFAR-10 (section 4.2): images (N, in_channels, H, W), meant for 32x32, to logits (N, classes).

    It has three stages of n = (depth - 2) / 6 basic blocks; the paper has depths 20, 32, 44 and 56. Where the shapes change, the
    shortcut is option "A", padding with zeros, which has no parameters, or "B", a projection.
    """

    def __init__(self, depth: int = 20, classes: int = 10, in_channels: int = 3, width: int = 16, shortcut: str = "A"):
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"CifarResNet: depth is {depth}, expected 6n + 2, such as 20, 32, 44 and 56")
        if shortcut not in SHORTCUTS:
            raise ValueError(f"CifarResNet: shortcut is {shortcut!r}, expected one of {', '.join(SHORTCUTS)}")
        super().__init__(BasicBlock, [(depth - 2) // 6] * 3, SHORTCUTS[shortcut], classes, in_channels, width, small_images=True)
