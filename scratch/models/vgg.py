"""VGG: many 3x3 convolutions (Simonyan & Zisserman 2015, table 1)."""

import numpy as np

from scratch.checks import are_images
from scratch.layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from scratch.layers.init import kaiming_normal_, normal_
from scratch.module import Array, Backward, Module

CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}  # depth to the number in each stage


class VGG(Sequential):
    """Images (N, in_channels, H, W) of at least 32x32 to logits (N, classes), under torchvision's names.

    It has five stages of 3x3 convolutions, each followed by batch normalisation if batch_norm, and ReLU. A stage ends in a 2x2
    pooling, and the next has twice the channels, up to 8 * width. The means of 7x7 regions follow, which are single pixels for
    images of 224x224, and three linear layers with dropout after the first two. The depth counts convolutions and linear layers:
    11, 13, 16 or 19.
    """

    def __init__(
        self,
        depth: int = 16,
        batch_norm: bool = False,
        classes: int = 1000,
        in_channels: int = 3,
        width: int = 64,
        hidden: int = 4096,
        dropout: float = 0.5,
    ):
        super().__init__()
        if depth not in CONVOLUTIONS:
            raise ValueError(f"VGG: depth is {depth}, expected one of {', '.join(map(str, CONVOLUTIONS))}")
        self.in_channels = in_channels
        features: list[Module] = []
        channels = in_channels
        for stage, convolutions in enumerate(CONVOLUTIONS[depth]):
            for _ in range(convolutions):
                next_channels = width * min(2**stage, 8)
                features.append(Conv2d(channels, next_channels, 3, padding=1))
                if batch_norm:
                    features.append(BatchNorm2d(next_channels))
                features.append(ReLU())
                channels = next_channels
            features.append(MaxPool2d(2))
        self.features = Sequential(*features)
        self.avgpool = AdaptiveAvgPool2d(7)
        self.flatten = Flatten()
        self.classifier = Sequential(
            Linear(channels * 7 * 7, hidden),
            ReLU(),
            Dropout(dropout),
            Linear(hidden, hidden),
            ReLU(),
            Dropout(dropout),
            Linear(hidden, classes),
        )
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.data = np.zeros_like(parameter.data)
            elif parameter.data.ndim == 4:
                kaiming_normal_(parameter)
            elif parameter.data.ndim == 2:
                normal_(parameter, 0.01)

    def forward(self, x: Array) -> tuple[Array, Backward]:
        are_images("VGG", x, self.in_channels, smallest=32)
        return super().forward(x)
