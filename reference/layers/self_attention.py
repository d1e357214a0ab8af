"""Multi-head self-attention."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reference.ops import attention_weights


class SelfAttention(nn.Module):
    """Self-attention of x (B, T, embed_dim) with the parameters of nn.MultiheadAttention."""

    def __init__(self, embed_dim: int, num_heads: int):
        super().__init__()
        if min(num_heads, embed_dim) < 1 or embed_dim % num_heads:
            raise ValueError(
                f"SelfAttention: num_heads {num_heads} does not divide embed_dim {embed_dim}; each head has an equal share of it"
            )
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * embed_dim, embed_dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dim))
        self.out_proj = nn.Linear(embed_dim, embed_dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        attended = F.scaled_dot_product_attention(*self._projected(x))
        return self.out_proj(attended.transpose(1, 2).flatten(2))

    def attend(self, x: Tensor) -> Tensor:
        """Return the attention weights (B, num_heads, T, T)."""
        query, key, _ = self._projected(x)
        return attention_weights(query, key)

    def _projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values (B, num_heads, T, head_dim)."""
        projected = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        query, key, value = (part.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for part in projected.chunk(3, dim=2))
        return query, key, value
