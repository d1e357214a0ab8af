"""Attention of a decoder to an encoder's memory: query (B, T, ...), key and value (B, S, ...) to (B, T, ...).

A boolean attn_mask broadcasts to (B, T, S) and is true where a query may attend a key. With the identity matrix as value, the
layers return their attention weights.
"""

from typing import Any

from scratch.layers.init import fan_in_uniform
from scratch.layers.linear import Linear
from scratch.module import Array, Backward, Module, apply
from scratch.ops.additive_attention import additive_attention
from scratch.ops.attention import scaled_dot_product_attention


class DotAttention(Module):
    """Attention with the dot product of query and key as score, without a scale (Luong, Pham & Manning 2015, section 3.1)."""

    def forward(self, query: Array, key: Array, value: Array, attn_mask: Array | None = None) -> tuple[Array, Backward]:
        y, backward = scaled_dot_product_attention(query, key, value, attn_mask, scale=1.0)
        return y, lambda dy: backward(dy)[:4]


class AdditiveAttention(Module):
    """Attention with the scores weight · tanh(W_q query + W_k key) (Bahdanau, Cho & Bengio 2015, appendix A.1.2)."""

    def __init__(self, query_size: int, key_size: int, hidden_size: int):
        self.query = Linear(query_size, hidden_size, bias=False)
        self.key = Linear(key_size, hidden_size, bias=False)
        self.weight = fan_in_uniform((hidden_size,), hidden_size)

    def forward(self, query: Array, key: Array, value: Array, attn_mask: Array | None = None) -> tuple[Array, Backward]:
        mapped_query, query_backward = self.query(query)
        mapped_key, key_backward = self.key(key)
        y, attention_backward = apply(additive_attention, mapped_query, mapped_key, value, self.weight, attn_mask)

        def backward(dy: Array) -> Any:
            dquery, dkey, dvalue, *_ = attention_backward(dy)
            return query_backward(dquery), key_backward(dkey), dvalue, None

        return y, backward
