"""Name generator: a GRU over characters with a learned first state (Karpathy 2015; Cho et al. 2014)."""

from typing import Any

import numpy as np

from scratch.checks import batch_of_tokens
from scratch.layers import GRU, Dropout, Embedding, Linear
from scratch.module import Array, Backward, Module, Parameter


class NameGenerator(Module):
    """Tokens (B, T) to the logits (B, T, vocab_size) of each next token and the state (num_layers, B, hidden_size).

    Without a state, every name starts from the state `start`, which is a Parameter. lengths (B,) are those of the names. Dropout
    acts between the layers and before the head.
    """

    def __init__(self, vocab_size: int, embedding_size: int, hidden_size: int, num_layers: int = 1, dropout: float = 0.0):
        self.embedding = Embedding(vocab_size, embedding_size)
        self.rnn = GRU(embedding_size, hidden_size, num_layers, batch_first=True, dropout=dropout)
        self.dropout = Dropout(dropout)
        self.head = Linear(hidden_size, vocab_size)
        self.start = Parameter(np.zeros((num_layers, 1, hidden_size), np.float32))

    def forward(
        self, tokens: Array, state: Array | None = None, lengths: Array | None = None
    ) -> tuple[tuple[Array, Array], Backward]:
        batch_of_tokens("NameGenerator", "tokens", tokens)
        layers, _, width = self.start.data.shape
        first = np.broadcast_to(self.start.data, (layers, len(tokens), width)) if state is None else state
        x, embedding_backward = self.embedding(tokens)
        (values, new_state), rnn_backward = self.rnn(x, first, lengths)
        dropped, dropout_backward = self.dropout(values)
        logits, head_backward = self.head(dropped)

        def backward(dlogits: Array, *dstate: Array) -> Any:
            dx, dfirst, _ = rnn_backward(dropout_backward(head_backward(dlogits)), *dstate)
            embedding_backward(dx)
            if state is None:
                self.start.accumulate(dfirst.sum(axis=1, keepdims=True))  # all names of the batch start there
            if state is None and lengths is None:
                return None
            return None, None if state is None else dfirst, None

        return (logits, new_state), backward
