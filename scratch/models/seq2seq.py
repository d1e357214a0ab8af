"""Encoder-decoder with attention (Sutskever, Vinyals & Le 2014; Bahdanau, Cho & Bengio 2015; Luong, Pham & Manning 2015)."""

import numpy as np

from scratch.checks import batch_of_tokens, one_of
from scratch.layers import GRU, AdditiveAttention, DotAttention, Dropout, Embedding, Linear
from scratch.module import Array, Backward, Module
from scratch.ops.activation import tanh

ATTENTIONS = ("dot", "additive")
State = tuple[Array, Array, Array]


class Encoder(Module):
    """Tokens (B, S) of lengths (B,) to a memory (B, S, hidden_size) and a last state (num_layers, B, hidden_size).

    Each direction of the GRU computes half of both.
    """

    def __init__(self, vocab_size: int, embedding_size: int, hidden_size: int, num_layers: int, dropout: float):
        self.embedding = Embedding(vocab_size, embedding_size)
        self.dropout = Dropout(dropout)
        self.rnn = GRU(embedding_size, hidden_size // 2, num_layers, batch_first=True, dropout=dropout, bidirectional=True)

    def forward(self, tokens: Array, lengths: Array) -> tuple[tuple[Array, Array], Backward]:
        x, embedding_backward = self.embedding(tokens)
        x, dropout_backward = self.dropout(x)
        (memory, ends), rnn_backward = self.rnn(x, None, lengths)
        rows, B, half = ends.shape
        h = ends.reshape(rows // 2, 2, B, half).swapaxes(1, 2).reshape(rows // 2, B, 2 * half)

        def backward(dmemory: Array, dh: Array) -> tuple[None, None]:
            dends = dh.reshape(rows // 2, B, 2, half).swapaxes(1, 2).reshape(rows, B, half)
            dx, _, _ = rnn_backward(dmemory, dends)
            embedding_backward(dropout_backward(dx))
            return None, None

        return (memory, h), backward


class Decoder(Module):
    """Tokens (B, T) and a state (num_layers, B, hidden_size) to logits (B, T, vocab_size) and the new state.

    At each step the hidden state attends the memory (B, S, hidden_size), whose padding mask is (B, S). The tanh of an affine map
    of both goes to the head (Luong et al., equation 5).
    """

    def __init__(self, vocab_size: int, embedding_size: int, hidden_size: int, num_layers: int, attention: str, dropout: float):
        additive = attention == "additive"
        self.embedding = Embedding(vocab_size, embedding_size)
        self.dropout = Dropout(dropout)
        self.rnn = GRU(embedding_size, hidden_size, num_layers, batch_first=True, dropout=dropout)
        self.attention = AdditiveAttention(hidden_size, hidden_size, hidden_size) if additive else DotAttention()
        self.combine = Linear(2 * hidden_size, hidden_size)
        self.head = Linear(hidden_size, vocab_size)

    def forward(self, tokens: Array, h: Array, memory: Array, mask: Array) -> tuple[tuple[Array, Array], Backward]:
        x, embedding_backward = self.embedding(tokens)
        x, dropout_backward = self.dropout(x)
        (values, new_h), rnn_backward = self.rnn(x, h)
        attended, attention_backward = self.attention(values, memory, memory, mask[:, None])
        mixed, combine_backward = self.combine(np.concatenate([attended, values], axis=2))
        combined, tanh_backward = tanh(mixed)
        logits, head_backward = self.head(combined)

        def backward(dlogits: Array, *dh: Array) -> tuple[Array | None, ...]:
            dboth = combine_backward(tanh_backward(head_backward(dlogits)))
            dattended, dvalues = np.split(dboth, 2, axis=2)
            dquery, dkey, dvalue, _ = attention_backward(dattended)
            dx, dfirst, _ = rnn_backward(dvalues + dquery, *dh)
            embedding_backward(dropout_backward(dx))
            return None, dfirst, dkey + dvalue, None

        return (logits, new_h), backward

    def attend(self, tokens: Array, h: Array, memory: Array, mask: Array) -> Array:
        """Return the weights (B, T, S) of each step's attention to the memory."""
        x, _ = self.dropout(self.embedding(tokens)[0])
        (values, _), _ = self.rnn(x, h)
        B, S, _ = memory.shape
        identity = np.broadcast_to(np.eye(S, dtype=memory.dtype), (B, S, S))
        weights, _ = self.attention(values, memory, identity, mask[:, None])
        return weights


class Seq2Seq(Module):
    """Source (B, S) of lengths (B,) and target (B, T) to the logits (B, T, target_vocab_size) of each next token.

    The decoder reads the target (teacher forcing). To generate, `step` is a model for scratch.generation:

        generate(model.step, first_tokens, uniforms, model.start(source, lengths))

    The attention is "dot" or "additive". Dropout acts on the embeddings and between the layers.
    """

    def __init__(
        self,
        source_vocab_size: int,
        target_vocab_size: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 1,
        attention: str = "dot",
        dropout: float = 0.0,
    ):
        one_of("Seq2Seq", "attention", attention, ATTENTIONS)
        if hidden_size % 2:
            raise ValueError(
                f"Seq2Seq: hidden_size is {hidden_size}, expected an even number: each direction of the encoder makes half of it"
            )
        self.encoder = Encoder(source_vocab_size, embedding_size, hidden_size, num_layers, dropout)
        self.decoder = Decoder(target_vocab_size, embedding_size, hidden_size, num_layers, attention, dropout)

    def forward(self, source: Array, lengths: Array, target: Array) -> tuple[Array, Backward]:
        _check_tokens(source, target)
        (memory, h), encoder_backward = self.encoder(source, lengths)
        (logits, _), decoder_backward = self.decoder(target, h, memory, _present(source, lengths))

        def backward(dlogits: Array) -> tuple[None, None, None]:
            _, dh, dmemory, _ = decoder_backward(dlogits)
            encoder_backward(dmemory, dh)
            return None, None, None

        return logits, backward

    def start(self, source: Array, lengths: Array) -> State:
        """Return the decoder's first state: (h (num_layers, B, hidden_size), memory (S, B, hidden_size), mask (S, B))."""
        batch_of_tokens("Seq2Seq", "source", source)
        (memory, h), _ = self.encoder(source, lengths)
        return h, memory.swapaxes(0, 1), _present(source, lengths).T

    def step(self, tokens: Array, state: State) -> tuple[tuple[Array, State], None]:
        """Read tokens (B, T); return the logits (B, T, target_vocab_size) of each next token and the state, and no backward."""
        batch_of_tokens("Seq2Seq", "tokens", tokens)
        h, memory, mask = state
        (logits, h), _ = self.decoder(tokens, h, memory.swapaxes(0, 1), mask.T)
        return (logits, (h, memory, mask)), None

    def attend(self, source: Array, lengths: Array, target: Array) -> Array:
        """Return the weights (B, T, S) of each target step's attention to the source."""
        _check_tokens(source, target)
        (memory, h), _ = self.encoder(source, lengths)
        return self.decoder.attend(target, h, memory, _present(source, lengths))


def _present(tokens: Array, lengths: Array) -> Array:
    """Return a mask (B, S) that is false in the padding of tokens (B, S)."""
    return np.arange(tokens.shape[1]) < lengths[:, None]


def _check_tokens(source: Array, target: Array) -> None:
    """Raise ValueError unless source and target are batches of tokens of one size."""
    batch_of_tokens("Seq2Seq", "source", source)
    batch_of_tokens("Seq2Seq", "target", target)
    if len(source) != len(target):
        raise ValueError(f"Seq2Seq: expected as many targets as sources, got {len(target)} and {len(source)}")
