"""U-Net: segmentation with skip connections between resolutions (Ronneberger, Fischer & Brox 2015)."""

from itertools import pairwise

import numpy as np

from scratch.checks import one_of
from scratch.layers import BatchNorm2d, Conv2d, ConvTranspose2d, MaxPool2d, ReLU, Sequential
from scratch.module import Array, Backward, Module
from scratch.ops import interpolate

DEEPEST = 30


class UNet(Module):
    """Images (N, in_channels, H, W) to logits of the same size (N, classes, H, W).

    The encoder has `depth` levels. Each halves the image by max-pooling and doubles the channels by two 3x3 convolutions, starting
    from `width` channels. Each level of the decoder doubles the image, halves the channels, puts the encoder's channels of the
    same level before them (skip connection), and applies two convolutions. Unlike in the paper, convolutions are padded and
    batch-normalised, so that every pixel has logits. The paper has depth 4, width 64 and transposed convolutions.

    Pooling drops the last row or column of an odd size. In the decoder, the image gets the size of the skip connection: after
    a transposed convolution the last row or column is 0; bilinear interpolation resizes to that size.
    """

    def __init__(self, in_channels: int, classes: int, depth: int = 4, width: int = 64, up: str = "transposed"):
        if min(in_channels, classes, depth, width) < 1:
            raise ValueError(
                f"UNet: expected at least one of each, got in_channels {in_channels}, classes {classes}, depth {depth}, "
                f"width {width}"
            )
        if depth > DEEPEST:
            raise ValueError(f"UNet: depth is {depth}, expected at most {DEEPEST}: each level halves the images")
        one_of("UNet", "up", up, ("transposed", "bilinear"))
        widths = [width * 2**level for level in range(depth + 1)]
        self.in_channels = in_channels
        self.encoder = [double_convolution(in_channels, width)]
        self.encoder += [Sequential(MaxPool2d(2), double_convolution(near, far)) for near, far in pairwise(widths)]
        self.decoder = [Up(far, near, up) for far, near in pairwise(reversed(widths))]
        self.head = Conv2d(width, classes, 1)

    def forward(self, x: Array) -> tuple[Array, Backward]:
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"UNet: expected images (N, {self.in_channels}, H, W), got {x.shape}")
        depth = len(self.decoder)
        if min(x.shape[2:]) < 2**depth:
            raise ValueError(
                f"UNet: images of {x.shape[2]}x{x.shape[3]} are too small for depth {depth}, each level of which halves them; "
                f"expected at least {2**depth} a side, or less depth"
            )
        skips, downs, ups = [], [], []
        for encoder in self.encoder:
            x, down = encoder(x)
            skips.append(x)
            downs.append(down)
        for decoder, skip in zip(self.decoder, reversed(skips[:-1]), strict=True):
            x, up = decoder(x, skip)
            ups.append(up)
        logits, head = self.head(x)

        def backward(dlogits: Array) -> Array:
            dx, dskips = head(dlogits), []
            for up in reversed(ups):
                dx, dskip = up(dx)
                dskips.append(dskip)
            for down in reversed(downs[1:]):
                dx = down(dx) + dskips.pop()  # the next level and the skip connection
            return downs[0](dx)

        return logits, backward


class Up(Module):
    """x (N, in_channels, H, W), enlarged to the size of skip (N, out_channels, 2H or 2H + 1, ...), joined to it and convolved."""

    def __init__(self, in_channels: int, out_channels: int, up: str):
        self.bilinear = up == "bilinear"
        if self.bilinear:  # the 1x1 convolution could follow the interpolation, too, but would have more pixels
            self.up: Module = Conv2d(in_channels, out_channels, 1)
        else:
            self.up = ConvTranspose2d(in_channels, out_channels, 2, stride=2)
        self.block = double_convolution(2 * out_channels, out_channels)

    def forward(self, x: Array, skip: Array) -> tuple[Array, Backward]:
        x, up = self.up(x)
        if self.bilinear:
            x, enlarge = interpolate(x, skip.shape[2:], mode="bilinear")
        x, parts = join(skip, x)
        y, block = self.block(x)

        def backward(dy: Array) -> tuple[Array, Array]:
            dskip, dx = parts(block(dy))
            return up(enlarge(dx) if self.bilinear else dx), dskip

        return y, backward


def join(skip: Array, x: Array) -> tuple[Array, Backward]:
    """Join the channels of skip (N, K, H, W) and of x (N, C, h, w); a smaller x has zeros after its last row and column."""
    (N, K, H, W), (_, C, h, w) = skip.shape, x.shape
    y = np.zeros((N, H, W, K + C), x.dtype).transpose(0, 3, 1, 2)
    y[:, :K], y[:, K:, :h, :w] = skip, x
    return y, lambda dy: (dy[:, :K], dy[:, K:, :h, :w])


def double_convolution(in_channels: int, out_channels: int) -> Sequential:
    """Return two blocks of a 3x3 convolution that keeps the size, batch normalisation and ReLU."""
    layers: list[Module] = []
    for channels in (in_channels, out_channels):
        layers += [Conv2d(channels, out_channels, 3, padding=1, bias=False), BatchNorm2d(out_channels), ReLU()]
    return Sequential(*layers)
