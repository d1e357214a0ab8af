"""Multi-head attention."""

from typing import Any

import torch
from torch import Tensor, nn

from reference.ops import attention_weights, scaled_dot_product_attention

Past = tuple[Tensor, Tensor]


class MultiheadAttention(nn.Module):
    """Multi-head attention with a key-value cache.

    It maps query (B, L, embed_dim), key (B, S, kdim) and value (B, S, vdim) to y (B, L, embed_dim) and the projected (keys,
    values). These are the cache: a later call takes them as `past`, and puts them before its own keys and values. Where key
    and value are None, it attends the cache alone.

    Unlike nn.MultiheadAttention, it takes masks as F.scaled_dot_product_attention does, and has num_kv_heads, which may be
    fewer than num_heads (grouped-query attention).
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        scale: float | None = None,
    ):
        super().__init__()
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        self.head_dim = embed_dim // num_heads if head_dim is None else head_dim
        self.dropout, self.scale, self.grouped = dropout, scale, num_kv_heads != num_heads
        self.q_proj = nn.Linear(embed_dim, num_heads * self.head_dim, bias)
        self.k_proj = nn.Linear(embed_dim if kdim is None else kdim, num_kv_heads * self.head_dim, bias)
        self.v_proj = nn.Linear(embed_dim if vdim is None else vdim, num_kv_heads * self.head_dim, bias)
        self.out_proj = nn.Linear(num_heads * self.head_dim, embed_dim, bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        attn_mask: Tensor | None = None,
        is_causal: bool = False,
        past: Past | None = None,
    ) -> tuple[Tensor, Past]:
        past_keys, past_values = (None, None) if past is None else past
        keys, values = self._continued(self.k_proj, key, past_keys), self._continued(self.v_proj, value, past_values)
        attended = scaled_dot_product_attention(
            self._heads(self.q_proj(query)),
            keys,
            values,
            attn_mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=is_causal,
            scale=self.scale,
            enable_gqa=self.grouped,
            causal_offset=0 if past_keys is None else past_keys.shape[2],
        )
        return self.out_proj(attended.transpose(1, 2).flatten(2)), (keys.detach(), values.detach())

    def attend(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        attn_mask: Tensor | None = None,
        is_causal: bool = False,
        past: Past | None = None,
    ) -> Tensor:
        """Return the attention weights (B, num_heads, L, S) of a call, without dropout."""
        past_keys = None if past is None else past[0]
        queries, keys = self._heads(self.q_proj(query)), self._continued(self.k_proj, key, past_keys)
        offset = 0 if past_keys is None else past_keys.shape[2]
        return attention_weights(queries, keys, attn_mask, is_causal, self.scale, self.grouped, offset)

    def _heads(self, x: Tensor) -> Tensor:
        """Split the heads: (B, T, heads * head_dim) to (B, heads, T, head_dim)."""
        return x.unflatten(2, (-1, self.head_dim)).transpose(1, 2)

    def _continued(self, projection: nn.Module, x: Tensor | None, past: Tensor | None) -> Any:
        """Return the cached keys or values, followed by those of x."""
        if x is None or past is None:
            return past if x is None else self._heads(projection(x))
        return torch.cat([past, self._heads(projection(x))], dim=2)
