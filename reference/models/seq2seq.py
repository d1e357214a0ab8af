"""Encoder-decoder with attention (Sutskever, Vinyals & Le 2014; Bahdanau, Cho & Bengio 2015; Luong, Pham & Manning 2015)."""

import torch
from torch import Tensor, nn

from reference.layers import GRU, AdditiveAttention, DotAttention

ATTENTIONS = ("dot", "additive")
State = tuple[Tensor, Tensor, Tensor]


class Encoder(nn.Module):
    """Tokens (B, S) that are lengths (B,) long to a memory (B, S, hidden_size) and a last state (num_layers, B, hidden_size)."""

    def __init__(self, vocab_size: int, embedding_size: int, hidden_size: int, num_layers: int, dropout: float):
        super().__init__()
        between = dropout if num_layers > 1 else 0.0
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.rnn = GRU(embedding_size, hidden_size // 2, num_layers, batch_first=True, dropout=between, bidirectional=True)

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        memory, ends = self.rnn(self.dropout(self.embedding(tokens)), None, lengths)
        return memory, torch.cat([ends[0::2], ends[1::2]], dim=2)  # of each layer, the one direction beside the other


class Decoder(nn.Module):
    """Tokens (B, T), a state (num_layers, B, hidden_size), the memory (B, S, hidden_size) and where it is no padding (B, S)
    to logits (B, T, vocab_size) and the state."""

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
        """The weights (B, T, S) with which each step attends the memory."""
        values, _ = self.rnn(self.dropout(self.embedding(tokens)), h)
        identity = torch.eye(memory.shape[1], dtype=memory.dtype, device=memory.device).expand(len(memory), -1, -1)
        return self.attention(values, memory, identity, mask[:, None])


class Seq2Seq(nn.Module):
    """Source (B, S) that is lengths (B,) long and target (B, T) to the logits (B, T, target_vocab_size) of each next token.

    The decoder reads the target itself (teacher forcing). To write freely, `step` is a model for reference.generation:

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
        """The state in which the decoder begins: (h (num_layers, B, hidden_size), memory (S, B, hidden_size), mask (S, B))."""
        memory, h = self.encoder(source, lengths)
        return h, memory.transpose(0, 1), _present(source, lengths).T

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read tokens (B, T): the logits (B, T, target_vocab_size) of each next token and the state."""
        h, memory, mask = state
        logits, h = self.decoder(tokens, h, memory.transpose(0, 1), mask.T)
        return logits, (h, memory, mask)

    def attend(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """The weights (B, T, S) with which each step of the target attends the source."""
        memory, h = self.encoder(source, lengths)
        return self.decoder.attend(target, h, memory, _present(source, lengths))


def _present(tokens: Tensor, lengths: Tensor) -> Tensor:
    """Where tokens (B, S) are no padding."""
    return torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
