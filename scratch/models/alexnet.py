"""AlexNet (Krizhevsky, Sutskever & Hinton 2012), in the one column of Krizhevsky 2014."""

from scratch.checks import are_images
from scratch.layers import AdaptiveAvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from scratch.module import Array, Backward


class AlexNet(Sequential):
    """Images (N, in_channels, H, W) of at least 63x63 to logits (N, classes), under torchvision's names.

    It has five convolutions, the first with `width` channels and stride 4, and three poolings of 3x3 at stride 2. The means of
    6x6 regions follow, which are single pixels for images of 224x224, and three linear layers with dropout before the first two.
    """

    def __init__(self, classes: int = 1000, in_channels: int = 3, width: int = 64, hidden: int = 4096, dropout: float = 0.5):
        super().__init__()
        self.in_channels = in_channels
        self.features = Sequential(
            Conv2d(in_channels, width, 11, stride=4, padding=2),
            ReLU(),
            MaxPool2d(3, 2),
            Conv2d(width, 3 * width, 5, padding=2),
            ReLU(),
            MaxPool2d(3, 2),
            Conv2d(3 * width, 6 * width, 3, padding=1),
            ReLU(),
            Conv2d(6 * width, 4 * width, 3, padding=1),
            ReLU(),
            Conv2d(4 * width, 4 * width, 3, padding=1),
            ReLU(),
            MaxPool2d(3, 2),
        )
        self.avgpool = AdaptiveAvgPool2d(6)
        self.flatten = Flatten()
        self.classifier = Sequential(
            Dropout(dropout),
            Linear(4 * width * 6 * 6, hidden),
            ReLU(),
            Dropout(dropout),
            Linear(hidden, hidden),
            ReLU(),
            Linear(hidden, classes),
        )

    def forward(self, x: Array) -> tuple[Array, Backward]:
        are_images("AlexNet", x, self.in_channels, smallest=63)
        return super().forward(x)
