"""Sentiment classifier: a bidirectional LSTM, pooled over the words of each text (Graves & Schmidhuber 2005)."""

from scratch.checks import batch_of_tokens, one_of
from scratch.layers import LSTM, Dropout, Embedding, Linear, MaskedMax, MaskedMean
from scratch.module import Array, Backward, Module

POOLINGS = {"mean": MaskedMean, "max": MaskedMax}


class SentimentClassifier(Module):
    """Tokens (B, T) of texts of lengths (B,), with 0 in the padding, to logits (B, classes).

    The pooling is the "mean" or the "max" of the LSTM's hidden states. Dropout acts on the embedding, between the layers and
    before the head.
    """

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
        one_of("SentimentClassifier", "pooling", pooling, tuple(POOLINGS))
        self.embedding = Embedding(vocab_size, embedding_size, padding_idx=0)
        self.embedding.weight.data *= 0.1  # so that learning, not the random start, makes the difference between words
        self.dropout = Dropout(dropout)
        self.rnn = LSTM(embedding_size, hidden_size, num_layers, batch_first=True, dropout=dropout, bidirectional=True)
        self.pool = POOLINGS[pooling]()
        self.head = Linear(2 * hidden_size, classes)

    def forward(self, tokens: Array, lengths: Array) -> tuple[Array, Backward]:
        batch_of_tokens("SentimentClassifier", "tokens", tokens)
        x, embedding_backward = self.embedding(tokens)
        x, dropout_backward = self.dropout(x)
        (values, _), rnn_backward = self.rnn(x, None, lengths)
        pooled, pool_backward = self.pool(values, lengths)
        pooled, pooled_dropout_backward = self.dropout(pooled)
        logits, head_backward = self.head(pooled)

        def backward(dlogits: Array) -> tuple[None, None]:
            dvalues, _ = pool_backward(pooled_dropout_backward(head_backward(dlogits)))
            dx, _, _ = rnn_backward(dvalues)
            embedding_backward(dropout_backward(dx))
            return None, None

        return logits, backward
