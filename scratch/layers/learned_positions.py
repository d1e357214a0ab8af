"""Learned position embeddings."""

from typing import Any

import numpy as np

from scratch.checks import has_positions, one_float_dtype
from scratch.fast.reduce import sum_to_shape
from scratch.layers.embedding import Embedding
from scratch.module import Array, Backward
from scratch.ops.embedding import embedding


class LearnedPositions(Embedding):
    """x (..., T, embedding_dim) plus a learned vector for each position: 0 to T - 1, or those given, (T,) or (..., T)."""

    def __init__(self, num_embeddings: int, embedding_dim: int):
        super().__init__(num_embeddings, embedding_dim)

    def forward(self, x: Array, positions: Array | None = None) -> tuple[Array, Backward]:
        one_float_dtype("LearnedPositions", x=x, weight=self.weight.data)
        if x.ndim < 2:
            raise ValueError(f"LearnedPositions: expected x (..., T, {self.weight.data.shape[1]}), got {x.shape}")
        numbers = np.arange(x.shape[-2]) if positions is None else positions
        has_positions("LearnedPositions", x, numbers)
        vectors, backward = embedding(numbers, self.weight.data)
        if x.shape[-1] != vectors.shape[-1]:
            raise ValueError(f"LearnedPositions: expected x (..., T, {vectors.shape[-1]}), got {x.shape}")

        def accumulate(dy: Array) -> Any:
            _, dweight = backward(sum_to_shape(dy, vectors.shape))
            self.weight.accumulate(dweight)
            return dy if positions is None else (dy, None)

        return x + vectors, accumulate
