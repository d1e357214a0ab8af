"""Learned position embeddings."""

import torch
from torch import Tensor, nn


class LearnedPositions(nn.Embedding):
    """Layer that adds a learned vector for each position to x (..., T, embedding_dim).

    The positions are 0 to T - 1 unless they are given, as (T,) or (..., T).
    """

    def __init__(self, num_embeddings: int, embedding_dim: int):
        super().__init__(num_embeddings, embedding_dim)

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        positions = torch.arange(x.shape[-2], device=x.device) if positions is None else positions
        return x + super().forward(positions)
