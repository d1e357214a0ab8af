"""Name generator: a GRU over characters with a learned initial state (Karpathy 2015; Cho et al. 2014)."""

import torch
from torch import Tensor, nn

from reference.layers import GRU


class NameGenerator(nn.Module):
    """Model from tokens (B, T) to the next token's logits (B, T, vocab_size) and the state (num_layers, B, hidden_size)."""

    def __init__(self, vocab_size: int, embedding_size: int, hidden_size: int, num_layers: int = 1, dropout: float = 0.0):
        super().__init__()
        between = dropout if num_layers > 1 else 0.0
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.rnn = GRU(embedding_size, hidden_size, num_layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, vocab_size)
        self.start = nn.Parameter(torch.zeros(num_layers, 1, hidden_size))

    def forward(self, tokens: Tensor, state: Tensor | None = None, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if state is None:
            state = self.start.expand(-1, len(tokens), -1).contiguous()
        values, state = self.rnn(self.embedding(tokens), state, lengths)
        return self.head(self.dropout(values)), state
