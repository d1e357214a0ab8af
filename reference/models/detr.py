"""DETR: objects found as a set, with a transformer (Carion et al. 2020)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference.layers import DETRDecoderLayer, DETREncoderLayer, SinusoidalPositions2d
from reference.layers.norm import freeze_batch_norm
from reference.models.mlp import MLP
from reference.models.resnet import ResNet


class Encoder(nn.Module):
    """Vectors (B, S, d_model), their positions likewise and where they are no padding (B, 1, 1, S) to a memory (B, S, d_model)."""

    def __init__(self, layers: int, d_model: int, nhead: int, dim_feedforward: int, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(DETREncoderLayer(d_model, nhead, dim_feedforward, dropout) for _ in range(layers))

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, positions, mask)
        return x


class Decoder(nn.Module):
    """Queries (B, Q, d_model) that look at a memory (B, S, d_model), which has its positions likewise and is no padding where
    the mask (B, 1, 1, S) is true, to what each layer makes of them: (layers, B, Q, d_model).

    The queries tell what begins as nothing, zeros, apart: they are its positions. One norm serves the value of every layer.
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
        """The weights (B, heads, Q, S) with which the last layer attends the memory."""
        *others, last = self.layers
        x = torch.zeros_like(queries)
        for layer in others:
            x = layer(x, memory, queries, positions, mask)
        attending: Any = last
        return attending.attend(x, memory, queries, positions, mask)


class DETR(nn.Module):
    """Images (N, in_channels, H, W), padded where `present` (N, H, W) is false, to what every decoder layer predicts: logits
    (layers, N, num_queries, classes + 1), the last class "no object", and boxes (layers, N, num_queries, 4) as shares of the
    image."""

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
        """The weights (N, nhead, num_queries, h, w) with which the last decoder layer attends the feature map."""
        seen, size = self._seen(images, present)
        return self.decoder.attend(*seen).unflatten(3, size)

    def _seen(self, images: Tensor, present: Tensor | None) -> tuple[tuple[Tensor, ...], tuple[int, int]]:
        """What the decoder is given, and the size (h, w) of the feature map."""
        x = self.input_proj(self.backbone(images))
        B, _, h, w = x.shape
        if present is None:
            present = torch.ones(B, *images.shape[2:], dtype=torch.bool, device=images.device)
        there = F.interpolate(present[:, None].float(), (h, w))[:, 0] > 0
        positions = self.positions(x, there).flatten(2).transpose(1, 2)
        mask = there.flatten(1)[:, None, None]
        memory = self.encoder(x.flatten(2).transpose(1, 2), positions, mask)
        return (self.queries.expand(B, -1, -1), memory, positions, mask), (h, w)
