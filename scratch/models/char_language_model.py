"""Character language model: embedding, recurrent layers, a head over the vocabulary (Mikolov et al. 2010; Graves 2013)."""

from typing import Any

from scratch.checks import batch_of_tokens, one_of
from scratch.layers import GRU, LSTM, RNN, Dropout, Embedding, Linear
from scratch.module import Array, Backward, Module

CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


class CharLanguageModel(Module):
    """Tokens (B, T) and a state, zeros by default, to the logits (B, T, vocab_size) of each next token and the new state.

    The cell is "rnn", "lstm" or "gru". The state is h (num_layers, B, hidden_size), or (h, c) for "lstm"; it is carried over
    from one part of a text to the next. Dropout acts between the layers and before the head. If `tied`, head and embedding
    share one weight (Press & Wolf 2017).
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 1,
        cell: str = "lstm",
        dropout: float = 0.0,
        tied: bool = False,
    ):
        one_of("CharLanguageModel", "cell", cell, tuple(CELLS))
        if tied and embedding_size != hidden_size:
            raise ValueError(
                f"CharLanguageModel: tied weights need one width, got embedding_size {embedding_size} and hidden_size {hidden_size}"
            )
        self.embedding = Embedding(vocab_size, embedding_size)
        self.rnn = CELLS[cell](embedding_size, hidden_size, num_layers, batch_first=True, dropout=dropout)
        self.dropout = Dropout(dropout)
        self.head = Linear(hidden_size, vocab_size)
        if tied:
            self.embedding.weight = self.head.weight  # the head's weight is small, so the first logits are near 0

    def forward(self, tokens: Array, state: Any = None) -> tuple[tuple[Array, Any], Backward]:
        batch_of_tokens("CharLanguageModel", "tokens", tokens)
        x, embedding_backward = self.embedding(tokens)
        (values, new_state), rnn_backward = self.rnn(x, state)
        dropped, dropout_backward = self.dropout(values)
        logits, head_backward = self.head(dropped)

        def backward(dlogits: Array, *dstate: Array) -> Any:
            gradients = rnn_backward(dropout_backward(head_backward(dlogits)), *dstate)
            if state is None:
                return embedding_backward(gradients)
            dx, dfirst, _ = gradients
            return embedding_backward(dx), dfirst

        return (logits, new_state), backward
