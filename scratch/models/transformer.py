"""Encoder-decoder transformer (Vaswani et al. 2017)."""

import math

import numpy as np

from scratch.checks import divides, lengths_within, tokens_within
from scratch.layers import (
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    SinusoidalPositions,
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)
from scratch.layers.container import run_in_reverse
from scratch.layers.init import normal_, xavier_uniform_
from scratch.module import Array, Backward, Module
from scratch.ops.masks import padding_mask

State = tuple[Array, ...]


class InputEmbedding(Module):
    """Tokens (B, T) to vectors (B, T, width): √width times their embedding, plus the sines and cosines of their positions.

    The first token is at position `start`.
    """

    def __init__(self, vocab_size: int, width: int, dropout: float):
        self.scale = math.sqrt(width)
        self.embedding = Embedding(vocab_size, width)
        self.positions = SinusoidalPositions()
        self.dropout = Dropout(dropout)
        normal_(self.embedding.weight, 1 / self.scale)  # so that the first vectors are as large as the positions

    def forward(self, tokens: Array, start: int = 0) -> tuple[Array, Backward]:
        x, embedding_backward = self.embedding(tokens)
        x, positions_backward = self.positions(x * self.scale, np.arange(start, start + tokens.shape[1]))
        y, dropout_backward = self.dropout(x)

        def backward(dy: Array) -> None:
            dx, _ = positions_backward(dropout_backward(dy))
            embedding_backward(dx * self.scale)

        return y, backward


class Encoder(Module):
    """Vectors (B, S, width) and their padding mask (B, 1, 1, S) to a memory (B, S, width)."""

    def __init__(self, layers: int, width: int, heads: int, feed_forward: int, dropout: float, norm_first: bool):
        sizes = width, heads, feed_forward, dropout
        self.layers = [TransformerEncoderLayer(*sizes, norm_first=norm_first) for _ in range(layers)]
        self.norm = LayerNorm(width) if norm_first else None

    def forward(self, x: Array, mask: Array) -> tuple[Array, Backward]:
        backwards = []
        for layer in self.layers:
            x, layer_backward = layer(x, mask)
            backwards.append(layer_backward)
        memory, norm_backward = (x, None) if self.norm is None else self.norm(x)

        def backward(dmemory: Array) -> tuple[Array, None]:
            dx, *_ = run_in_reverse(backwards, dmemory if norm_backward is None else norm_backward(dmemory))
            return dx, None

        return memory, backward


class Decoder(Module):
    """Vectors (B, T, width), a memory (B, S, width) and its padding mask (B, 1, 1, S) to vectors (B, T, width).

    Each vector attends itself, the vectors before it, and the memory. All layers read the same memory.
    """

    def __init__(self, layers: int, width: int, heads: int, feed_forward: int, dropout: float, norm_first: bool):
        sizes = width, heads, feed_forward, dropout
        self.layers = [TransformerDecoderLayer(*sizes, norm_first=norm_first) for _ in range(layers)]
        self.norm = LayerNorm(width) if norm_first else None

    def forward(self, x: Array, memory: Array, mask: Array) -> tuple[Array, Backward]:
        backwards = []
        for layer in self.layers:
            (x, _), layer_backward = layer(x, memory, None, mask, True)
            backwards.append(layer_backward)
        y, norm_backward = (x, None) if self.norm is None else self.norm(x)

        def backward(dy: Array) -> tuple[Array, Array, None]:
            dx, dmemory, *_ = run_in_reverse(backwards, dy if norm_backward is None else norm_backward(dy))
            return dx, dmemory, None

        return y, backward

    def start(self, memory: Array) -> tuple[Array, ...]:
        """Return the key-value cache before the first token: empty keys and values, and those of the memory.

        Each array is (layers, B, heads, T or S, width / heads), where T is 0.
        """
        nothing = memory[:, :0]
        return _stacked([layer(nothing, memory)[0][1] for layer in self.layers])

    def step(self, x: Array, mask: Array, kept: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        """Return the value of vectors (B, T, width) that come after those in the cache, and the new cache."""
        new = []
        for layer, past in zip(self.layers, zip(*kept, strict=True), strict=True):
            (x, layer_kept), _ = layer(x, None, None, mask, True, past)
            new.append(layer_kept[:2])
        y = x if self.norm is None else self.norm(x)[0]
        return y, (*_stacked(new), *kept[2:])

    def attend(self, x: Array, memory: Array, mask: Array) -> Array:
        """Return the weights (B, heads, T, S) of the last layer's attention to the memory."""
        for layer in self.layers[:-1]:
            (x, _), _ = layer(x, memory, None, mask, True)
        return self.layers[-1].attend(x, memory, None, mask, True)


class Transformer(Module):
    """Source (B, S) of lengths (B,) and target (B, T) to the logits (B, T, target_vocab_size) of each next token.

    The decoder reads the target (teacher forcing). To generate, `step` is a model for scratch.generation:

        generate(model.step, first_tokens, uniforms, model.start(source, lengths))

    S and T are at most `context`. If `tied`, both embeddings and the head share one weight (section 3.4; Press & Wolf 2017).
    With norm_first, a norm comes before each submodule and one after the last layer (Xiong et al. 2020). Dropout acts as in
    torch.nn.TransformerEncoderLayer, and on the embeddings.
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
        if min(layers, context) < 1:
            raise ValueError(f"Transformer: expected at least one of each, got layers {layers} and context {context}")
        divides("Transformer", "heads", heads, "width", width)
        if tied and source_vocab_size != target_vocab_size:
            raise ValueError(
                f"Transformer: tied weights need one vocabulary, got source_vocab_size {source_vocab_size} and "
                f"target_vocab_size {target_vocab_size}"
            )
        self.source_vocab_size, self.target_vocab_size, self.context = source_vocab_size, target_vocab_size, context
        stack = layers, width, heads, feed_forward, dropout, norm_first
        self.source_embedding = InputEmbedding(source_vocab_size, width, dropout)
        self.target_embedding = InputEmbedding(target_vocab_size, width, dropout)
        self.encoder, self.decoder = Encoder(*stack), Decoder(*stack)
        self.head = Linear(width, target_vocab_size, bias=False)
        for part in (self.encoder, self.decoder, self.head):
            for parameter in part.parameters():
                if parameter.data.ndim > 1:
                    xavier_uniform_(parameter)
        if tied:
            self.target_embedding.embedding.weight = self.head.weight = self.source_embedding.embedding.weight

    def forward(self, source: Array, lengths: Array, target: Array) -> tuple[Array, Backward]:
        (memory, mask), encoded_backward = self._encoded(source, lengths)
        self._check_target(source, target)
        x, target_backward = self.target_embedding(target)
        x, decoder_backward = self.decoder(x, memory, mask)
        logits, head_backward = self.head(x)

        def backward(dlogits: Array) -> tuple[None, None, None]:
            dx, dmemory, _ = decoder_backward(head_backward(dlogits))
            target_backward(dx)
            encoded_backward(dmemory)
            return None, None, None

        return logits, backward

    def start(self, source: Array, lengths: Array) -> State:
        """Return the decoder's first state: its cache as in Decoder.start, and the padding mask (S, B) of the memory."""
        (memory, mask), _ = self._encoded(source, lengths)
        return *self.decoder.start(memory), mask[:, 0, 0].T

    def step(self, tokens: Array, state: State) -> tuple[tuple[Array, State], None]:
        """Read tokens (B, T); return the logits (B, T, target_vocab_size) of each next token and the state, and no backward."""
        kept, mask = state[:-1], state[-1]
        before = kept[0].shape[3]
        tokens_within("Transformer", "tokens", tokens, self.target_vocab_size, self.context, before)
        x, _ = self.target_embedding(tokens, before)
        x, kept = self.decoder.step(x, mask.T[:, None, None], kept)
        logits, _ = self.head(x)
        return (logits, (*kept, mask)), None

    def attend(self, source: Array, lengths: Array, target: Array) -> Array:
        """Return the weights (B, T, S) of the last layer's attention to the source, averaged over its heads."""
        (memory, mask), _ = self._encoded(source, lengths)
        self._check_target(source, target)
        x, _ = self.target_embedding(target)
        return self.decoder.attend(x, memory, mask).mean(axis=1)

    def _encoded(self, source: Array, lengths: Array) -> tuple[tuple[Array, Array], Backward]:
        """Return the memory (B, S, width) and its padding mask (B, 1, 1, S)."""
        tokens_within("Transformer", "source", source, self.source_vocab_size, self.context)
        lengths_within("Transformer", lengths, source.shape[1], len(source))
        mask, _ = padding_mask(lengths, source.shape[1])
        x, embedding_backward = self.source_embedding(source)
        memory, encoder_backward = self.encoder(x, mask)

        def backward(dmemory: Array) -> None:
            dx, _ = encoder_backward(dmemory)
            embedding_backward(dx)

        return (memory, mask), backward

    def _check_target(self, source: Array, target: Array) -> None:
        """Raise ValueError unless target is a batch of tokens, as large as source."""
        tokens_within("Transformer", "target", target, self.target_vocab_size, self.context)
        if len(source) != len(target):
            raise ValueError(f"Transformer: expected as many targets as sources, got {len(target)} and {len(source)}")


def _stacked(kept: list[tuple[Array, ...]]) -> tuple[Array, ...]:
    """Return the arrays of all layers, stacked along a new first axis."""
    return tuple(np.stack(arrays) for arrays in zip(*kept, strict=True))
