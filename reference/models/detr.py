"""DETR: detection as the prediction of a set, with a transformer (Carion et al. 2020)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference.layers import DETRDecoderLayer, DETREncoderLayer, SinusoidalPositions2d
from reference.layers.norm import freeze_batch_norm
from reference.models.mlp import MLP
from reference.models.resnet import ResNet


class Encoder(nn.Module):
    """Encoder from vectors and their positions (B, S, d_model) and a mask (B, 1, 1, S) to a memory (B, S, d_model)."""

    def __init__(self, layers: int, d_model: int, nhead: int, dim_feedforward: int, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(DETREncoderLayer(d_model, nhead, dim_feedforward, dropout) for _ in range(layers))

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, positions, mask)
        return x


class Decoder(nn.Module):
    """Decoder from queries (B, Q, d_model) to the values of all layers (layers, B, Q, d_model).

    It attends a memory (B, S, d_model), which has positions of the same shape; the mask (B, 1, 1, S) is false at padding. The
    targets start as zeros, and the queries are their positions. One norm is applied to the value of every layer.
    """

    def __init__(self, layers: int, d_model: int, nhead: int, dim_feedforward: int, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(DETRDecoderLayer(d_model, nhead, dim_feedforward, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(d_model)

    def forward(self, queries: Tensor, memory: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        x, values = torch.zeros_like(queries), []
        for layer in self.layers:
            x = layer(x, memory, queries, positions, mask)
            values.append(self.norm(x))
        return torch.stack(values)

    def attend(self, queries: Tensor, memory: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Return the attention weights (B, heads, Q, S) of the last layer over the memory."""
        *others, last = self.layers
        x = torch.zeros_like(queries)
        for layer in others:
            x = layer(x, memory, queries, positions, mask)
        attending: Any = last
        return attending.attend(x, memory, queries, positions, mask)


class DETR(nn.Module):
    """Detector from images (N, in_channels, H, W), padded where `present` (N, H, W) is false, to logits and boxes.

    Every decoder layer predicts: the logits are (layers, N, num_queries, classes + 1), where the last class is "no object",
    and the boxes (layers, N, num_queries, 4), as shares of the image.
    """

    def __init__(
        self,
        classes: int,
        depth: int = 50,
        width: int = 64,
        d_model: int = 256,
        nhead: int = 8,
        encoder_layers: int = 6,
        decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        num_queries: int = 100,
        in_channels: int = 3,
        small_images: bool = False,
        frozen_norm: bool = True,
    ):
        super().__init__()
        if min(classes, encoder_layers, decoder_layers, num_queries) < 1:
            raise ValueError(
                f"DETR: expected at least one of each, got classes {classes}, encoder_layers {encoder_layers}, "
                f"decoder_layers {decoder_layers} and num_queries {num_queries}"
            )
        if d_model % 2:
            raise ValueError(f"DETR: d_model is {d_model}, expected an even number: half of it is for rows, half for columns")
        if min(nhead, d_model) < 1 or d_model % nhead:
            raise ValueError(f"DETR: nhead {nhead} does not divide d_model {d_model}; each head has an equal share of it")
        sizes = d_model, nhead, dim_feedforward, dropout
        self.backbone = ResNet(depth, None, in_channels, width, small_images)
        if frozen_norm:
            freeze_batch_norm(self.backbone)
        self.input_proj = nn.Conv2d(self.backbone.out_channels, d_model, 1)
        self.positions = SinusoidalPositions2d()
        self.encoder, self.decoder = Encoder(encoder_layers, *sizes), Decoder(decoder_layers, *sizes)
        self.queries = nn.Parameter(torch.empty(num_queries, d_model).normal_())
        self.class_embed = nn.Linear(d_model, classes + 1)
        self.bbox_embed = MLP(d_model, [d_model, d_model], 4)
        self.sigmoid = nn.Sigmoid()
        for part in (self.encoder, self.decoder):
            for parameter in part.parameters():
                if parameter.dim() > 1:
                    nn.init.xavier_uniform_(parameter)

    def forward(self, images: Tensor, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
        seen, _ = self._seen(images, present)
        x = self.decoder(*seen)
        return self.class_embed(x), self.sigmoid(self.bbox_embed(x))

    def attend(self, images: Tensor, present: Tensor | None = None) -> Tensor:
        """Return the attention weights (N, nhead, num_queries, h, w) of the last decoder layer over the feature map."""
        seen, size = self._seen(images, present)
        return self.decoder.attend(*seen).unflatten(3, size)

    def _seen(self, images: Tensor, present: Tensor | None) -> tuple[tuple[Tensor, ...], tuple[int, int]]:
        """Return the inputs of the decoder, and the size (h, w) of the feature map."""
        x = self.input_proj(self.backbone(images))
        B, _, h, w = x.shape
        if present is None:
            present = torch.ones(B, *images.shape[2:], dtype=torch.bool, device=images.device)
        there = F.interpolate(present[:, None].float(), (h, w))[:, 0] > 0
        positions = self.positions(x, there).flatten(2).transpose(1, 2)
        mask = there.flatten(1)[:, None, None]
        memory = self.encoder(x.flatten(2).transpose(1, 2), positions, mask)
        return (self.queries.expand(B, -1, -1), memory, positions, mask), (h, w)
