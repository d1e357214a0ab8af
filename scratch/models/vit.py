"""The Vision Transformer: images as sequences of patches (Dosovitskiy et al. 2021)."""

from typing import Any

import numpy as np

from scratch.checks import divides, one_of, pair
from scratch.layers import GELU, Conv2d, Dropout, LayerNorm, Linear, SelfAttention, Sequential
from scratch.layers.init import normal_, xavier_uniform_
from scratch.module import Array, Backward, Module, Parameter
from scratch.ops.interpolate_positions import interpolate_positions

EPS = 1e-6
ZERO = ("conv_proj.bias", "heads.head.weight", "heads.head.bias")  # parameters that start at 0
SIZES = {  # from table 1, and from Touvron et al. 2021, table 1: ViT(3, 224, 16, 1000, **SIZES["B"]) is ViT-B/16
    "Ti": {"width": 192, "layers": 12, "heads": 3, "feed_forward": 768},
    "S": {"width": 384, "layers": 12, "heads": 6, "feed_forward": 1536},
    "B": {"width": 768, "layers": 12, "heads": 12, "feed_forward": 3072},
    "L": {"width": 1024, "layers": 24, "heads": 16, "feed_forward": 4096},
}


class EncoderBlock(Module):
    """x + self_attention(ln_1(x)), then x + mlp(ln_2(x)): x (B, T, width) to (B, T, width)."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float):
        self.ln_1 = LayerNorm(width, EPS)
        self.self_attention = SelfAttention(width, heads)
        self.dropout = Dropout(dropout)
        self.ln_2 = LayerNorm(width, EPS)
        self.mlp = Sequential(Linear(width, feed_forward), GELU(), Dropout(dropout), Linear(feed_forward, width), Dropout(dropout))
        for parameter in self.mlp.parameters():
            if parameter.data.ndim > 1:
                xavier_uniform_(parameter)
            else:
                normal_(parameter, 1e-6)

    def forward(self, x: Array) -> tuple[Array, Backward]:
        normed, ln_1_backward = self.ln_1(x)
        attended, attention_backward = self.self_attention(normed)
        attended, dropout_backward = self.dropout(attended)
        x = x + attended
        normed, ln_2_backward = self.ln_2(x)
        hidden, mlp_backward = self.mlp(normed)

        def backward(dy: Array) -> Array:
            dx = dy + ln_2_backward(mlp_backward(dy))  # the residual connection and the block
            return dx + ln_1_backward(attention_backward(dropout_backward(dx)))

        return x + hidden, backward


class Encoder(Module):
    """Learned positions and all layers: vectors (B, 1 + H W, width) of a token and a grid (H, W) of patches to the same shape.

    The positions are learned for `grid` and interpolated for images with another grid (section 3.2).
    """

    def __init__(self, grid: tuple[int, int], width: int, layers: int, heads: int, feed_forward: int, dropout: float):
        self.grid = grid
        self.pos_embedding = Parameter(np.empty((1, 1 + grid[0] * grid[1], width), np.float32))
        normal_(self.pos_embedding, 0.02)
        self.dropout = Dropout(dropout)
        self.layers = Sequential({f"encoder_layer_{i}": EncoderBlock(width, heads, feed_forward, dropout) for i in range(layers)})
        self.ln = LayerNorm(width, EPS)

    def forward(self, x: Array, grid: tuple[int, int]) -> tuple[Array, Backward]:
        x, placed_backward = self._placed(x, grid)
        x, layers_backward = self.layers(x)
        y, ln_backward = self.ln(x)

        def backward(dy: Array) -> tuple[Array, None]:
            return placed_backward(layers_backward(ln_backward(dy))), None

        return y, backward

    def attend(self, x: Array, grid: tuple[int, int]) -> Array:
        """Return the attention weights (layers, B, heads, T, T) of a call, T = 1 + H W."""
        x, _ = self._placed(x, grid)
        weights = []
        layer: Any
        for _, layer in self.layers.named_children():
            normed, _ = layer.ln_1(x)
            weights.append(layer.self_attention.attend(normed))
            x, _ = layer(x)
        return np.stack(weights)

    def _placed(self, x: Array, grid: tuple[int, int]) -> tuple[Array, Backward]:
        """Return x plus the positions of a grid, after dropout."""
        positions, positions_backward = interpolate_positions(self.pos_embedding.data, self.grid, grid)
        y, dropout_backward = self.dropout(x + positions)

        def backward(dy: Array) -> Array:
            dx = dropout_backward(dy)
            self.pos_embedding.accumulate(positions_backward(dx.sum(axis=0, keepdims=True)))
            return dx

        return y, backward


class ViT(Module):
    """Images (B, in_channels, H, W) to logits (B, classes), cut into patches whose sides divide those of the images.

    The head reads the last vector of the class token, or with pool="mean" the mean of the patches' last vectors (appendix
    D.3); the patches attend the class token in both cases. Positions are learned for images of `image_size` and interpolated
    for others. Dropout acts as in the paper: after the positions are added, and after every linear layer but those of queries,
    keys and values. Names, shapes and initial distributions of the parameters are torchvision's.
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
        one_of("ViT", "pool", pool, ("token", "mean"))
        if layers < 1:
            raise ValueError(f"ViT: expected at least one layer, got layers {layers}")
        divides("ViT", "heads", heads, "width", width)
        self.pool, self.patch = pool, pair("ViT", "patch_size", patch_size, 1)
        self.class_token = Parameter(np.zeros((1, 1, width), np.float32))
        self.conv_proj = Conv2d(in_channels, width, self.patch, stride=self.patch)
        normal_(self.conv_proj.weight, (in_channels * self.patch[0] * self.patch[1]) ** -0.5)
        grid = self._grid(pair("ViT", "image_size", image_size, 1))
        self.encoder = Encoder(grid, width, layers, heads, feed_forward, dropout)
        self.heads = Sequential({"head": Linear(width, classes)})
        for name, parameter in self.named_parameters():
            if name in ZERO:
                parameter.data = np.zeros_like(parameter.data)

    def forward(self, images: Array) -> tuple[Array, Backward]:
        x, grid, embed_backward = self._embed(images)
        x, encoder_backward = self.encoder(x, grid)
        seen = slice(0, 1) if self.pool == "token" else slice(1, None)
        pooled = x[:, seen].mean(axis=1)
        logits, heads_backward = self.heads(pooled)

        def backward(dlogits: Array) -> Array:
            dx = np.zeros_like(x)
            dx[:, seen] = heads_backward(dlogits)[:, None] / x[:, seen].shape[1]
            dx, _ = encoder_backward(dx)
            return embed_backward(dx)

        return logits, backward

    def attend(self, images: Array) -> Array:
        """Return the attention weights (layers, B, heads, T, T) of the class token and the patches, row by row."""
        x, grid, _ = self._embed(images)
        return self.encoder.attend(x, grid)

    def _embed(self, images: Array) -> tuple[Array, tuple[int, int], Backward]:
        """Return class token and patches as vectors (B, 1 + h w, width), their grid (h, w), and the backward."""
        patches, conv_backward = self.conv_proj(images)  # (B, width, h, w)
        B, width, h, w = patches.shape
        grid = self._grid(images.shape[2:])
        vectors = patches.reshape(B, width, h * w).swapaxes(1, 2)
        tokens = np.broadcast_to(self.class_token.data, (B, 1, width))

        def backward(dx: Array) -> Array:
            self.class_token.accumulate(dx[:, :1].sum(axis=0, keepdims=True))
            return conv_backward(dx[:, 1:].swapaxes(1, 2).reshape(patches.shape))

        return np.concatenate([tokens, vectors], axis=1), grid, backward

    def _grid(self, size: tuple[int, ...]) -> tuple[int, int]:
        """Return the number of patches along each side of images of this size, or raise ValueError."""
        (H, W), (h, w) = size, self.patch
        if H % h or W % w:
            raise ValueError(f"ViT: patches of {h}x{w} do not cut images of {H}x{W} evenly; resize or crop the images")
        return H // h, W // w
