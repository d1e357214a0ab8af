"""The Vision Transformer: images as sequences of patches (Dosovitskiy et al. 2021)."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from reference.layers import SelfAttention
from reference.ops import interpolate_positions

EPS = 1e-6
ZERO = ("conv_proj.bias", "heads.head.weight", "heads.head.bias")  # initialised with zeros
SIZES = {  # of table 1, and of Touvron et al. 2021, table 1; ViT(3, 224, 16, 1000, **SIZES["B"]) is ViT-B/16
    "Ti": {"width": 192, "layers": 12, "heads": 3, "feed_forward": 768},
    "S": {"width": 384, "layers": 12, "heads": 6, "feed_forward": 1536},
    "B": {"width": 768, "layers": 12, "heads": 12, "feed_forward": 3072},
    "L": {"width": 1024, "layers": 24, "heads": 16, "feed_forward": 4096},
}


class EncoderBlock(nn.Module):
    """Block x + self_attention(ln_1(x)), then x + mlp(ln_2(x)), for x (B, T, width)."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, EPS)
        self.self_attention = SelfAttention(width, heads)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(width, EPS)
        self.mlp = nn.Sequential(
            nn.Linear(width, feed_forward), nn.GELU(), nn.Dropout(dropout), nn.Linear(feed_forward, width), nn.Dropout(dropout)
        )
        for parameter in self.mlp.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.normal_(parameter, std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.self_attention(self.ln_1(x)))
        return x + self.mlp(self.ln_2(x))


class Encoder(nn.Module):
    """Encoder of vectors (B, 1 + H W, width): a class token and a grid (H, W) of patches.

    It has learned positions for one `grid`; for images of another size it interpolates them (section 3.2).
    """

    def __init__(self, grid: tuple[int, int], width: int, layers: int, heads: int, feed_forward: int, dropout: float):
        super().__init__()
        self.grid = grid
        self.pos_embedding = nn.Parameter(torch.empty(1, 1 + grid[0] * grid[1], width).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(
            OrderedDict((f"encoder_layer_{i}", EncoderBlock(width, heads, feed_forward, dropout)) for i in range(layers))
        )
        self.ln = nn.LayerNorm(width, EPS)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        return self.ln(self.layers(self._placed(x, grid)))

    def attend(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return the attention weights (layers, B, heads, T, T), where T = 1 + H W."""
        x = self._placed(x, grid)
        weights = []
        layer: Any
        for layer in self.layers:
            weights.append(layer.self_attention.attend(layer.ln_1(x)))
            x = layer(x)
        return torch.stack(weights)

    def _placed(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return x with the positions of a grid added."""
        return self.dropout(x + interpolate_positions(self.pos_embedding, self.grid, grid))


class ViT(nn.Module):
    """Classifier from images (B, in_channels, H, W) to logits (B, classes); the patches' sides divide H and W.

    The head reads the last value of the class token, or with pool="mean" the mean over the patches. Positions are learned for
    images of `image_size` and interpolated for other sizes.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int | tuple[int, int],
        patch_size: int | tuple[int, int],
        classes: int,
        width: int,
        layers: int,
        heads: int,
        feed_forward: int,
        pool: str = "token",
        dropout: float = 0.0,
    ):
        super().__init__()
        if pool not in ("token", "mean"):
            raise ValueError(f"ViT: pool is {pool!r}, expected one of token, mean")
        if layers < 1:
            raise ValueError(f"ViT: expected at least one layer, got layers {layers}")
        if min(heads, width) < 1 or width % heads:
            raise ValueError(f"ViT: heads {heads} does not divide width {width}; each head has an equal share of it")
        self.pool, self.patch = pool, (patch_size, patch_size) if isinstance(patch_size, int) else patch_size
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.conv_proj = nn.Conv2d(in_channels, width, self.patch, stride=self.patch)
        nn.init.normal_(self.conv_proj.weight, std=(in_channels * self.patch[0] * self.patch[1]) ** -0.5)
        grid = self._grid((image_size, image_size) if isinstance(image_size, int) else image_size)
        self.encoder = Encoder(grid, width, layers, heads, feed_forward, dropout)
        self.heads = nn.Sequential(OrderedDict(head=nn.Linear(width, classes)))
        for name, parameter in self.named_parameters():
            if name in ZERO:
                nn.init.zeros_(parameter)

    def forward(self, images: Tensor) -> Tensor:
        x, grid = self._embed(images)
        x = self.encoder(x, grid)
        return self.heads(x[:, 0] if self.pool == "token" else x[:, 1:].mean(dim=1))

    def attend(self, images: Tensor) -> Tensor:
        """Return the attention weights (layers, B, heads, T, T) between the class token and the patches, row by row."""
        x, grid = self._embed(images)
        return self.encoder.attend(x, grid)

    def _embed(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return the class token and the patches as vectors (B, 1 + h w, width), and their grid (h, w)."""
        grid = self._grid(images.shape[2:])
        patches = self.conv_proj(images).flatten(2).transpose(1, 2)
        return torch.cat((self.class_token.expand(len(images), -1, -1), patches), dim=1), grid

    def _grid(self, size: tuple[int, ...]) -> tuple[int, int]:
        """Return the number of patches along each side of images of this size."""
        (H, W), (h, w) = size, self.patch
        if H % h or W % w:
            raise ValueError(f"ViT: patches of {h}x{w} do not cut images of {H}x{W} evenly; resize or crop the images")
        return H // h, W // w
