"""BERT (Devlin et al. 2019)."""

from typing import Any

import torch
from torch import Tensor, nn

from reference.layers import LearnedPositions, TransformerEncoderLayer
from reference.ops import padding_mask

EPS = 1e-12


class InputEmbedding(nn.Module):
    """Embedding of tokens (B, T), their segments (B, T) and their positions, to vectors (B, T, width)."""

    def __init__(self, vocab_size: int, context: int, width: int, segments: int, dropout: float):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, width)
        self.segments = nn.Embedding(segments, width)
        self.positions = LearnedPositions(context, width)
        self.norm = nn.LayerNorm(width, EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, segments: Tensor) -> Tensor:
        return self.dropout(self.norm(self.positions(self.tokens(tokens) + self.segments(segments))))


class Pooler(nn.Module):
    """Pooling of vectors (B, T, width): a linear map and tanh of the first vector, to (B, width)."""

    def __init__(self, width: int):
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.activation = nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.linear(x[:, 0]))


class TokenHead(nn.Module):
    """Head from vectors (..., width) to the logits (..., vocab_size) of the masked tokens."""

    def __init__(self, vocab_size: int, width: int):
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.activation = nn.GELU()
        self.norm = nn.LayerNorm(width, EPS)
        self.decoder = nn.Linear(width, vocab_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.norm(self.activation(self.linear(x))))


class BERT(nn.Module):
    """Model from tokens (B, T), their segments (B, T) and lengths (B,) to (token_logits (B, T, vocab_size), next_logits (B, 2))."""

    def __init__(
        self,
        vocab_size: int,
        context: int,
        width: int,
        layers: int,
        heads: int,
        feed_forward: int,
        segments: int = 2,
        dropout: float = 0.1,
    ):
        super().__init__()
        if min(layers, segments) < 1:
            raise ValueError(f"BERT: expected at least one of each, got layers {layers} and segments {segments}")
        if min(heads, width) < 1 or width % heads:
            raise ValueError(f"BERT: heads {heads} does not divide width {width}; each head has an equal share of it")
        self.embedding = InputEmbedding(vocab_size, context, width, segments, dropout)
        stack = [TransformerEncoderLayer(width, heads, feed_forward, dropout, "gelu", EPS) for _ in range(layers)]
        for layer in stack:
            layer.feed_forward.dropout = nn.Dropout(0.0)  # BERT has no dropout between the two linear maps
        self.layers = nn.ModuleList(stack)
        self.pooler = Pooler(width)
        self.token_head = TokenHead(vocab_size, width)
        self.next_head = nn.Linear(width, 2)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        self.token_head.decoder.weight = self.embedding.tokens.weight

    def forward(self, tokens: Tensor, segments: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        mask = padding_mask(lengths, tokens.shape[1])
        x = self.embedding(tokens, segments)
        for layer in self.layers:
            x = layer(x, mask)
        return self.token_head(x), self.next_head(self.pooler(x))

    def attend(self, tokens: Tensor, segments: Tensor, lengths: Tensor) -> Tensor:
        """Return the attention weights (layers, B, heads, T, T)."""
        mask = padding_mask(lengths, tokens.shape[1])
        x = self.embedding(tokens, segments)
        weights = []
        layer: Any
        for layer in self.layers:
            weights.append(layer.attend(x, mask))
            x = layer(x, mask)
        return torch.stack(weights)
