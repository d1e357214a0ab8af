"""BERT (Devlin et al. 2019)."""

import numpy as np

from scratch.checks import divides, lengths_within, tokens_within
from scratch.layers import GELU, Dropout, Embedding, LayerNorm, LearnedPositions, Linear, Tanh, TransformerEncoderLayer
from scratch.layers.container import run_in_reverse
from scratch.layers.init import normal_
from scratch.module import Array, Backward, Module
from scratch.ops.masks import padding_mask

EPS = 1e-12


class InputEmbedding(Module):
    """Tokens (B, T) and their segments (B, T) to vectors (B, T, width): the sum of token, segment and position embeddings."""

    def __init__(self, vocab_size: int, context: int, width: int, segments: int, dropout: float):
        self.tokens = Embedding(vocab_size, width)
        self.segments = Embedding(segments, width)
        self.positions = LearnedPositions(context, width)
        self.norm = LayerNorm(width, EPS)
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Array, segments: Array) -> tuple[Array, Backward]:
        x, tokens_backward = self.tokens(tokens)
        of_segments, segments_backward = self.segments(segments)
        x, positions_backward = self.positions(x + of_segments)
        x, norm_backward = self.norm(x)
        y, dropout_backward = self.dropout(x)

        def backward(dy: Array) -> tuple[None, None]:
            dx = positions_backward(norm_backward(dropout_backward(dy)))
            segments_backward(dx)
            tokens_backward(dx)
            return None, None

        return y, backward


class Pooler(Module):
    """The first of the vectors (B, T, width), which stands for the whole text, to a vector (B, width)."""

    def __init__(self, width: int):
        self.linear = Linear(width, width)
        self.activation = Tanh()

    def forward(self, x: Array) -> tuple[Array, Backward]:
        mapped, linear_backward = self.linear(x[:, 0])
        y, activation_backward = self.activation(mapped)

        def backward(dy: Array) -> Array:
            dx = np.zeros_like(x)
            dx[:, 0] = linear_backward(activation_backward(dy))
            return dx

        return y, backward


class TokenHead(Module):
    """Vectors (..., width) to the logits (..., vocab_size) of the original tokens."""

    def __init__(self, vocab_size: int, width: int):
        self.linear = Linear(width, width)
        self.activation = GELU()
        self.norm = LayerNorm(width, EPS)
        self.decoder = Linear(width, vocab_size)

    def forward(self, x: Array) -> tuple[Array, Backward]:
        backwards = []
        for part in (self.linear, self.activation, self.norm, self.decoder):
            x, part_backward = part(x)
            backwards.append(part_backward)

        def backward(dlogits: Array) -> Array:
            dx, *_ = run_in_reverse(backwards, dlogits)
            return dx

        return x, backward


class BERT(Module):
    """Tokens (B, T), their segments (B, T) and lengths (B,) to (token_logits (B, T, vocab_size), next_logits (B, 2)).

    token_logits predict masked tokens. next_logits predict whether the second segment follows the first in the text (class 0)
    or not (class 1) (section 3.1). T is at most `context`. The token head's decoder shares its weight with the token
    embedding. Dropout acts on the embeddings, the attention weights and the output of each submodule.
    """

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
        if min(layers, segments) < 1:
            raise ValueError(f"BERT: expected at least one of each, got layers {layers} and segments {segments}")
        divides("BERT", "heads", heads, "width", width)
        self.vocab_size, self.context, self.number_of_segments = vocab_size, context, segments
        self.embedding = InputEmbedding(vocab_size, context, width, segments, dropout)
        self.layers = [TransformerEncoderLayer(width, heads, feed_forward, dropout, "gelu", EPS) for _ in range(layers)]
        for layer in self.layers:
            layer.feed_forward.dropout = Dropout(0.0)  # BERT has no dropout between its two linear layers
        self.pooler = Pooler(width)
        self.token_head = TokenHead(vocab_size, width)
        self.next_head = Linear(width, 2)
        for name, parameter in self.named_parameters():
            if parameter.data.ndim > 1:
                normal_(parameter, 0.02)
            elif name.endswith("bias"):
                parameter.data = np.zeros_like(parameter.data)
        self.token_head.decoder.weight = self.embedding.tokens.weight

    def forward(self, tokens: Array, segments: Array, lengths: Array) -> tuple[tuple[Array, Array], Backward]:
        mask = self._mask(tokens, segments, lengths)
        x, embedding_backward = self.embedding(tokens, segments)
        layer_backwards = []
        for layer in self.layers:
            x, layer_backward = layer(x, mask)
            layer_backwards.append(layer_backward)
        token_logits, token_head_backward = self.token_head(x)
        pooled, pooler_backward = self.pooler(x)
        next_logits, next_head_backward = self.next_head(pooled)

        def backward(dtoken_logits: Array, dnext_logits: Array) -> tuple[None, None, None]:
            dx = token_head_backward(dtoken_logits) + pooler_backward(next_head_backward(dnext_logits))  # both heads
            dx, *_ = run_in_reverse(layer_backwards, dx)
            embedding_backward(dx)
            return None, None, None

        return (token_logits, next_logits), backward

    def attend(self, tokens: Array, segments: Array, lengths: Array) -> Array:
        """Return the attention weights (layers, B, heads, T, T)."""
        mask = self._mask(tokens, segments, lengths)
        x, _ = self.embedding(tokens, segments)
        weights = []
        for layer in self.layers:
            weights.append(layer.attend(x, mask))
            x, _ = layer(x, mask)
        return np.stack(weights)

    def _mask(self, tokens: Array, segments: Array, lengths: Array) -> Array:
        """Return the padding mask (B, 1, 1, T), or raise ValueError where tokens, segments or lengths are out of range."""
        tokens_within("BERT", "tokens", tokens, self.vocab_size, self.context)
        tokens_within("BERT", "segments", segments, self.number_of_segments, self.context)
        if segments.shape != tokens.shape:
            raise ValueError(f"BERT: expected a segment for each token, got segments {segments.shape} and tokens {tokens.shape}")
        lengths_within("BERT", lengths, tokens.shape[1], len(tokens))
        mask, _ = padding_mask(lengths, tokens.shape[1])
        return mask
