"""A learned vector for each token."""

import numpy as np

from scratch.module import Array, Backward, Module, Parameter
from scratch.ops.embedding import embedding
from scratch.random import generator


class Embedding(Module):
    """A table whose rows (..., embedding_dim) are looked up by whole numbers (...), as torch.nn.Embedding.

    The row padding_idx starts at 0 and gets no gradient.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None):
        if min(num_embeddings, embedding_dim) < 1:
            raise ValueError(f"Embedding: expected positive sizes, got {num_embeddings} and {embedding_dim}")
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: padding_idx is {padding_idx}, expected one of the {num_embeddings} numbers, or None")
        table = generator().standard_normal((num_embeddings, embedding_dim)).astype(np.float32)
        if padding_idx is not None:
            table[padding_idx] = 0
        self.weight = Parameter(table)
        self.padding_idx = padding_idx

    def forward(self, input: Array) -> tuple[Array, Backward]:
        y, backward = embedding(input, self.weight.data, self.padding_idx)

        def accumulate(dy: Array) -> None:
            _, dweight = backward(dy)
            self.weight.accumulate(dweight)

        return y, accumulate
