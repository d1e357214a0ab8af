"""Encoder-decoder with attention (Sutskever, Vinyals & Le 2014; Bahdanau, Cho & Bengio 2015; Luong, Pham & Manning 2015)."""

import torch
from torch import Tensor, nn

from reference.layers import GRU, AdditiveAttention, DotAttention

ATTENTIONS = ("dot", "additive")
State = tuple[Tensor, Tensor, Tensor]


class Encoder(nn.Module):
    """Encoder from tokens (B, S) and lengths (B,) to a memory (B, S, hidden_size) and a state (num_layers, B, hidden_size)."""

    def __init__(self, vocab_size: int, embedding_size: int, hidden_size: int, num_layers: int, dropout: float):
        super().__init__()
        between = dropout if num_layers > 1 else 0.0
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.rnn = GRU(embedding_size, hidden_size // 2, num_layers, batch_first=True, dropout=between, bidirectional=True)

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        memory, ends = self.rnn(self.dropout(self.embedding(tokens)), None, lengths)
        return memory, torch.cat([ends[0::2], ends[1::2]], dim=2)  # both directions of each layer, side by side


class Decoder(nn.Module):
    """Decoder from tokens (B, T) and a state (num_layers, B, hidden_size) to logits (B, T, vocab_size) and the state.

    It attends a memory (B, S, hidden_size); the mask (B, S) is false at padding.
    """

    def __init__(self, vocab_size: int, embedding_size: int, hidden_size: int, num_layers: int, attention: str, dropout: float):
        super().__init__()
        between, additive = dropout if num_layers > 1 else 0.0, attention == "additive"
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.rnn = GRU(embedding_size, hidden_size, num_layers, batch_first=True, dropout=between)
        self.attention = AdditiveAttention(hidden_size, hidden_size, hidden_size) if additive else DotAttention()
        self.combine = nn.Linear(2 * hidden_size, hidden_size)
        self.head = nn.Linear(hidden_size, vocab_size)

    def forward(self, tokens: Tensor, h: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        values, h = self.rnn(self.dropout(self.embedding(tokens)), h)
        attended = self.attention(values, memory, memory, mask[:, None])
        combined = torch.tanh(self.combine(torch.cat([attended, values], dim=2)))
        return self.head(combined), h

    def attend(self, tokens: Tensor, h: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """Return the attention weights (B, T, S) over the memory."""
        values, _ = self.rnn(self.dropout(self.embedding(tokens)), h)
        identity = torch.eye(memory.shape[1], dtype=memory.dtype, device=memory.device).expand(len(memory), -1, -1)
        return self.attention(values, memory, identity, mask[:, None])


class Seq2Seq(nn.Module):
    """Translator from a source (B, S), its lengths (B,) and a target (B, T) to the next token's logits (B, T, target_vocab_size).

    The decoder reads the given target (teacher forcing). For free generation, pass `step` to reference.generation:

        generate(model.step, first_tokens, uniforms, model.start(source, lengths))
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
        super().__init__()
        if attention not in ATTENTIONS:
            raise ValueError(f"Seq2Seq: attention is {attention!r}, expected one of {', '.join(ATTENTIONS)}")
        if hidden_size % 2:
            raise ValueError(
                f"Seq2Seq: hidden_size is {hidden_size}, expected an even number: each direction of the encoder makes half of it"
            )
        self.encoder = Encoder(source_vocab_size, embedding_size, hidden_size, num_layers, dropout)
        self.decoder = Decoder(target_vocab_size, embedding_size, hidden_size, num_layers, attention, dropout)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        memory, h = self.encoder(source, lengths)
        logits, _ = self.decoder(target, h, memory, _present(source, lengths))
        return logits

    def start(self, source: Tensor, lengths: Tensor) -> State:
        """Return the decoder's initial state: (h (num_layers, B, hidden_size), memory (S, B, hidden_size), mask (S, B))."""
        memory, h = self.encoder(source, lengths)
        return h, memory.transpose(0, 1), _present(source, lengths).T

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read tokens (B, T), and return the logits (B, T, target_vocab_size) of each next token and the new state."""
        h, memory, mask = state
        logits, h = self.decoder(tokens, h, memory.transpose(0, 1), mask.T)
        return logits, (h, memory, mask)

    def attend(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Return the attention weights (B, T, S) of each step of the target over the source."""
        memory, h = self.encoder(source, lengths)
        return self.decoder.attend(target, h, memory, _present(source, lengths))


def _present(tokens: Tensor, lengths: Tensor) -> Tensor:
    """Return a mask (B, S) of the tokens that are no padding."""
    return torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
