"""Convolutional classifier: conv-relu-pool blocks and a fully connected head (after LeCun et al. 1998)."""

from collections.abc import Sequence

from torch import Tensor, nn


class CNN(nn.Module):
    """Classifier from images (N, in_channels, H, W) to logits (N, classes), where (H, W) is `image_size`."""

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
        super().__init__()
        height, width = image_size
        if min(height, width) < 2 ** len(channels):
            raise ValueError(
                f"CNN: images of {height}x{width} are too small for {len(channels)} blocks, each of which halves them; "
                f"expected at least {2 ** len(channels)} a side, or fewer channels"
            )
        features: list[nn.Module] = []
        depth = in_channels
        for next_depth in channels:
            features.append(nn.Conv2d(depth, next_depth, 3, padding=1))
            if batch_norm:
                features.append(nn.BatchNorm2d(next_depth))
            features += [nn.ReLU(), nn.MaxPool2d(2)]
            depth, height, width = next_depth, height // 2, width // 2
        classifier: list[nn.Module] = [nn.Flatten(), nn.Linear(depth * height * width, hidden), nn.ReLU()]
        if dropout:
            classifier.append(nn.Dropout(dropout))
        classifier.append(nn.Linear(hidden, classes))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))
