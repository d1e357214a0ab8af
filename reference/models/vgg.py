"""VGG: deep stacks of 3x3 convolutions (Simonyan & Zisserman 2015, table 1)."""

from torch import nn

CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # in each stage, by depth


class VGG(nn.Sequential):
    """Classifier from images (N, in_channels, H, W) of at least 32x32 to logits (N, classes), with torchvision's names."""

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
        features: list[nn.Module] = []
        channels = in_channels
        for stage, convolutions in enumerate(CONVOLUTIONS[depth]):
            for _ in range(convolutions):
                next_channels = width * min(2**stage, 8)
                features.append(nn.Conv2d(channels, next_channels, 3, padding=1))
                if batch_norm:
                    features.append(nn.BatchNorm2d(next_channels))
                features.append(nn.ReLU())
                channels = next_channels
            features.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Linear(channels * 7 * 7, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.dim() == 4:
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.01)
