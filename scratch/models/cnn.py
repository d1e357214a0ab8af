"""Convolutional classifier: conv-relu-pool blocks and a fully connected head (LeCun et al. 1998, with later layers)."""

from collections.abc import Sequence

from scratch.checks import pair
from scratch.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from scratch.module import Array, Backward, Module


class CNN(Module):
    """Images (N, in_channels, H, W) to logits (N, classes), for images of `image_size` = (H, W).

    Each block is a 3x3 convolution that keeps the size, batch normalisation if batch_norm, ReLU and 2x2 max-pooling. The head is
    Linear, ReLU, dropout if it is above 0, and Linear.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: tuple[int, int],
        classes: int,
        channels: Sequence[int] = (32, 64),
        hidden: int = 128,
        dropout: float = 0.0,
        batch_norm: bool = False,
    ):
        height, width = pair("CNN", "image_size", image_size, 1)
        if min(height, width) < 2 ** len(channels):
            raise ValueError(
                f"CNN: images of {height}x{width} are too small for {len(channels)} blocks, each of which halves them; "
                f"expected at least {2 ** len(channels)} a side, or fewer channels"
            )
        features: list[Module] = []
        depth = in_channels
        for next_depth in channels:
            features.append(Conv2d(depth, next_depth, 3, padding=1))
            if batch_norm:
                features.append(BatchNorm2d(next_depth))
            features += [ReLU(), MaxPool2d(2)]
            depth, height, width = next_depth, height // 2, width // 2
        classifier: list[Module] = [Flatten(), Linear(depth * height * width, hidden), ReLU()]
        if dropout:
            classifier.append(Dropout(dropout))
        classifier.append(Linear(hidden, classes))
        self.features = Sequential(*features)
        self.classifier = Sequential(*classifier)

    def forward(self, x: Array) -> tuple[Array, Backward]:
        x, features_backward = self.features(x)
        logits, classifier_backward = self.classifier(x)
        return logits, lambda dy: features_backward(classifier_backward(dy))
