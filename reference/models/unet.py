"""U-Net: segmentation by an encoder and a decoder with skip connections (Ronneberger, Fischer & Brox 2015)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DEEPEST = 30


class UNet(nn.Module):
    """Segmentation model from images (N, in_channels, H, W) to logits (N, classes, H, W)."""

    def __init__(self, in_channels: int, classes: int, depth: int = 4, width: int = 64, up: str = "transposed"):
        super().__init__()
        if min(in_channels, classes, depth, width) < 1:
            raise ValueError(
                f"UNet: expected at least one of each, got in_channels {in_channels}, classes {classes}, depth {depth}, "
                f"width {width}"
            )
        if depth > DEEPEST:
            raise ValueError(f"UNet: depth is {depth}, expected at most {DEEPEST}: each level halves the images")
        if up not in ("transposed", "bilinear"):
            raise ValueError(f"UNet: up is {up!r}, expected one of transposed, bilinear")
        widths = [width * 2**level for level in range(depth + 1)]
        self.in_channels = in_channels
        self.encoder = nn.ModuleList([double_convolution(in_channels, width)])
        self.encoder += [nn.Sequential(nn.MaxPool2d(2), double_convolution(near, far)) for near, far in pairwise(widths)]
        self.decoder = nn.ModuleList(Up(far, near, up) for far, near in pairwise(reversed(widths)))
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"UNet: expected images (N, {self.in_channels}, H, W), got {tuple(x.shape)}")
        depth = len(self.decoder)
        if min(x.shape[2:]) < 2**depth:
            raise ValueError(
                f"UNet: images of {x.shape[2]}x{x.shape[3]} are too small for depth {depth}, each level of which halves them; "
                f"expected at least {2**depth} a side, or less depth"
            )
        skips = []
        for encoder in self.encoder:
            x = encoder(x)
            skips.append(x)
        for decoder, skip in zip(self.decoder, reversed(skips[:-1]), strict=True):
            x = decoder(x, skip)
        return self.head(x)


class Up(nn.Module):
    """Decoder level: enlarge x (N, in_channels, H, W) to the size of skip (N, out_channels, 2H or 2H + 1, ...), and join them."""

    def __init__(self, in_channels: int, out_channels: int, up: str):
        super().__init__()
        self.bilinear = up == "bilinear"
        self.up = nn.Conv2d(in_channels, out_channels, 1) if self.bilinear else nn.ConvTranspose2d(in_channels, out_channels, 2, 2)
        self.block = double_convolution(2 * out_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        if self.bilinear:
            x = F.interpolate(x, skip.shape[2:], mode="bilinear")
        else:
            x = F.pad(x, (0, skip.shape[3] - x.shape[3], 0, skip.shape[2] - x.shape[2]))
        return self.block(torch.cat((skip, x), 1))


def double_convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return two 3x3 convolutions that keep the size, each with batch normalisation and ReLU."""
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [nn.Conv2d(channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU()]
    return nn.Sequential(*layers)
