"""Positions as vectors that are learned."""

import torch
from torch import Tensor, nn


class LearnedPositions(nn.Embedding):
    """x (..., T, embedding_dim) plus a learned vector for each of its positions: 0 to T - 1, or those given, (T,) or (..., T)."""

    def __init__(self, num_embeddings: int, embedding_dim: int):
        super().__init__(num_embeddings, embedding_dim)

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        positions = torch.arange(x.shape[-2], device=x.device) if positions is None else positions
        return x + super().forward(positions)
