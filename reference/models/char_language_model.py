"""Character language model: embedding, recurrent layers, a head over the vocabulary (Mikolov et al. 2010; Graves 2013)."""

from typing import Any

from torch import Tensor, nn

from reference.layers import GRU, LSTM, RNN

CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


class CharLanguageModel(nn.Module):
    """Language model from tokens (B, T) and a state, by default zeros, to logits (B, T, vocab_size) and the new state."""

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
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"CharLanguageModel: cell is {cell!r}, expected one of {', '.join(CELLS)}")
        if tied and embedding_size != hidden_size:
            raise ValueError(
                f"CharLanguageModel: tied weights need one width, got embedding_size {embedding_size} and hidden_size {hidden_size}"
            )
        between = dropout if num_layers > 1 else 0.0
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.rnn = CELLS[cell](embedding_size, hidden_size, num_layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, vocab_size)
        if tied:
            self.embedding.weight = self.head.weight  # initialised like the head, so that the first logits are near 0

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        values, state = self.rnn(self.embedding(tokens), state)
        return self.head(self.dropout(values)), state
