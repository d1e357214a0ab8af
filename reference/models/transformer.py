"""Encoder-decoder transformer (Vaswani et al. 2017)."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from reference.layers import SinusoidalPositions, TransformerDecoderLayer, TransformerEncoderLayer
from reference.ops import padding_mask

State = tuple[Tensor, ...]


class InputEmbedding(nn.Module):
    """Embedding of tokens (B, T) to vectors (B, T, width): √width times a learned vector, plus the encoding of the position.

    The first token is at position `start`.
    """

    def __init__(self, vocab_size: int, width: int, dropout: float):
        super().__init__()
        self.scale = math.sqrt(width)
        self.embedding = nn.Embedding(vocab_size, width)
        self.positions = SinusoidalPositions()
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.embedding.weight, std=1 / self.scale)  # as large as the encoding of positions

    def forward(self, tokens: Tensor, start: int = 0) -> Tensor:
        positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        return self.dropout(self.positions(self.embedding(tokens) * self.scale, positions))


class Encoder(nn.Module):
    """Encoder from vectors (B, S, width) and a mask (B, 1, 1, S), false at padding, to a memory (B, S, width)."""

    def __init__(self, layers: int, width: int, heads: int, feed_forward: int, dropout: float, norm_first: bool):
        super().__init__()
        sizes = width, heads, feed_forward, dropout
        self.layers = nn.ModuleList(TransformerEncoderLayer(*sizes, norm_first=norm_first) for _ in range(layers))
        self.norm = nn.LayerNorm(width) if norm_first else None

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, mask)
        return x if self.norm is None else self.norm(x)


class Decoder(nn.Module):
    """Decoder from vectors (B, T, width), a memory (B, S, width) and its mask (B, 1, 1, S) to vectors (B, T, width)."""

    def __init__(self, layers: int, width: int, heads: int, feed_forward: int, dropout: float, norm_first: bool):
        super().__init__()
        sizes = width, heads, feed_forward, dropout
        self.layers = nn.ModuleList(TransformerDecoderLayer(*sizes, norm_first=norm_first) for _ in range(layers))
        self.norm = nn.LayerNorm(width) if norm_first else None

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        for layer in self.layers:
            x, _ = layer(x, memory, None, mask, True)
        return x if self.norm is None else self.norm(x)

    def start(self, memory: Tensor) -> tuple[Tensor, ...]:
        """Return the key-value cache before the first token: no keys and values of tokens, but those of the memory."""
        nothing = memory[:, :0]
        return _stacked([layer(nothing, memory)[1] for layer in self.layers])

    def step(self, x: Tensor, mask: Tensor, kept: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the value for vectors (B, T, width) after those of the cache, and the new cache."""
        new = []
        for layer, past in zip(self.layers, zip(*kept, strict=True), strict=True):
            x, layer_kept = layer(x, None, None, mask, True, past)
            new.append(layer_kept[:2])
        return x if self.norm is None else self.norm(x), (*_stacked(new), *kept[2:])

    def attend(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """Return the attention weights (B, heads, T, S) of the last layer over the memory."""
        for layer in self.layers[:-1]:
            x, _ = layer(x, memory, None, mask, True)
        last: Any = self.layers[-1]
        return last.attend(x, memory, None, mask, True)


class Transformer(nn.Module):
    """Translator from a source (B, S), its lengths (B,) and a target (B, T) to the next token's logits (B, T, target_vocab_size).

    The decoder reads the given target (teacher forcing). For free generation, pass `step` to reference.generation:

        generate(model.step, first_tokens, uniforms, model.start(source, lengths))
    """

    def __init__(
        self,
        source_vocab_size: int,
        target_vocab_size: int,
        context: int,
        width: int = 512,
        layers: int = 6,
        heads: int = 8,
        feed_forward: int = 2048,
        dropout: float = 0.1,
        norm_first: bool = False,
        tied: bool = False,
    ):
        super().__init__()
        if min(layers, context) < 1:
            raise ValueError(f"Transformer: expected at least one of each, got layers {layers} and context {context}")
        if min(heads, width) < 1 or width % heads:
            raise ValueError(f"Transformer: heads {heads} does not divide width {width}; each head has an equal share of it")
        if tied and source_vocab_size != target_vocab_size:
            raise ValueError(
                f"Transformer: tied weights need one vocabulary, got source_vocab_size {source_vocab_size} and "
                f"target_vocab_size {target_vocab_size}"
            )
        self.context = context
        stack = layers, width, heads, feed_forward, dropout, norm_first
        self.source_embedding = InputEmbedding(source_vocab_size, width, dropout)
        self.target_embedding = InputEmbedding(target_vocab_size, width, dropout)
        self.encoder, self.decoder = Encoder(*stack), Decoder(*stack)
        self.head = nn.Linear(width, target_vocab_size, bias=False)
        for part in (self.encoder, self.decoder, self.head):
            for parameter in part.parameters():
                if parameter.dim() > 1:
                    nn.init.xavier_uniform_(parameter)
        if tied:
            self.target_embedding.embedding.weight = self.head.weight = self.source_embedding.embedding.weight

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        memory, mask = self._encoded(source, lengths)
        return self.head(self.decoder(self.target_embedding(target), memory, mask))

    def start(self, source: Tensor, lengths: Tensor) -> State:
        """Return the decoder's initial state: its key-value cache and the mask (S, B) of the source.

        The cache holds keys and values of tokens (layers, B, heads, 0, width / heads) and of the memory (layers, B, heads, S,
        width / heads).
        """
        memory, mask = self._encoded(source, lengths)
        return *self.decoder.start(memory), mask[:, 0, 0].T

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read tokens (B, T), and return the logits (B, T, target_vocab_size) of each next token and the new state."""
        kept, mask = state[:-1], state[-1]
        x = self.target_embedding(tokens, kept[0].shape[3])
        x, kept = self.decoder.step(x, mask.T[:, None, None], kept)
        return self.head(x), (*kept, mask)

    def attend(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Return the last layer's attention weights (B, T, S) of the target over the source, averaged over the heads."""
        memory, mask = self._encoded(source, lengths)
        return self.decoder.attend(self.target_embedding(target), memory, mask).mean(dim=1)

    def _encoded(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the memory (B, S, width) and its mask (B, 1, 1, S), false at padding."""
        mask = padding_mask(lengths, source.shape[1])
        return self.encoder(self.source_embedding(source), mask), mask


def _stacked(kept: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Return the caches of all layers, stacked along a new first axis."""
    return tuple(torch.stack(tensors) for tensors in zip(*kept, strict=True))
