"""Attention of a decoder to an encoder's memory: query (B, T, ...), key and value (B, S, ...) to a value (B, T, ...)."""

import torch
from torch import Tensor, nn

from reference.ops import additive_attention, scaled_dot_product_attention


class DotAttention(nn.Module):
    """Attention by the dot product of query and key, without scaling (Luong, Pham & Manning 2015, section 3.1)."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        return scaled_dot_product_attention(query, key, value, attn_mask, scale=1.0)


class AdditiveAttention(nn.Module):
    """Attention by the score weight · tanh(W query + U key) (Bahdanau, Cho & Bengio 2015, appendix A.1.2)."""

    def __init__(self, query_size: int, key_size: int, hidden_size: int):
        super().__init__()
        self.query = nn.Linear(query_size, hidden_size, bias=False)
        self.key = nn.Linear(key_size, hidden_size, bias=False)
        self.weight = nn.Parameter(torch.empty(hidden_size).uniform_(-(hidden_size**-0.5), hidden_size**-0.5))

    def forward(self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        return additive_attention(self.query(query), self.key(key), value, self.weight, attn_mask)
