"""Sentiment classifier: a bidirectional LSTM, pooled over the words (Graves & Schmidhuber 2005)."""

from torch import Tensor, nn

from reference.layers import LSTM, MaskedMax, MaskedMean

POOLINGS = {"mean": MaskedMean, "max": MaskedMax}


class SentimentClassifier(nn.Module):
    """Classifier from tokens (B, T), which are 0 after lengths (B,), to logits (B, classes)."""

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int,
        hidden_size: int,
        classes: int = 2,
        num_layers: int = 1,
        dropout: float = 0.0,
        pooling: str = "mean",
    ):
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"SentimentClassifier: pooling is {pooling!r}, expected one of {', '.join(POOLINGS)}")
        between = dropout if num_layers > 1 else 0.0
        self.embedding = nn.Embedding(vocab_size, embedding_size, padding_idx=0)
        self.embedding.weight.data *= 0.1  # so that learned differences outweigh random ones
        self.dropout = nn.Dropout(dropout)
        self.rnn = LSTM(embedding_size, hidden_size, num_layers, batch_first=True, dropout=between, bidirectional=True)
        self.pool = POOLINGS[pooling]()
        self.head = nn.Linear(2 * hidden_size, classes)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        values, _ = self.rnn(self.dropout(self.embedding(tokens)), None, lengths)
        return self.head(self.dropout(self.pool(values, lengths)))
