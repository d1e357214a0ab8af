"""Multi-head attention."""

from typing import Any

import numpy as np

from scratch.checks import has_shape, is_probability
from scratch.layers.linear import Linear
from scratch.module import Array, Backward, Module, apply
from scratch.ops.attention import attention_weights, scaled_dot_product_attention
from scratch.random import generator

Past = tuple[Array, Array]


class MultiheadAttention(Module):
    """Multi-head attention (Vaswani et al. 2017, section 3.2.2), as torch.nn.MultiheadAttention with batch_first.

    With fewer num_kv_heads than num_heads, each head of keys and values serves a group of query heads (Ainslie et al. 2023).
    head_dim, the width of a head, is embed_dim / num_heads by default. Inputs are query (B, L, embed_dim), key (B, S, kdim),
    value (B, S, vdim), a mask that broadcasts to (B, num_heads, L, S), boolean (true: may attend) or added, and is_causal.

    The value is (y (B, L, embed_dim), (keys, values)), where keys and values (B, num_kv_heads, S, head_dim) are a key-value cache
    for later calls. A later call takes them as `past`: they come before its own keys and values, or replace them where key and
    value are None. They are constants there.
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
        self.embed_dim, self.num_heads, self.dropout, self.scale = embed_dim, num_heads, dropout, scale
        self.kdim, self.vdim = (embed_dim if width is None else width for width in (kdim, vdim))
        self.num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if min(embed_dim, num_heads, self.kdim, self.vdim, self.num_kv_heads, 1 if head_dim is None else head_dim) < 1:
            raise ValueError(
                f"MultiheadAttention: expected positive sizes, got embed_dim {embed_dim}, num_heads {num_heads}, kdim {kdim}, "
                f"vdim {vdim}, num_kv_heads {num_kv_heads}, head_dim {head_dim}"
            )
        if head_dim is None and embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: num_heads {num_heads} does not divide embed_dim {embed_dim}; give head_dim")
        if num_heads % self.num_kv_heads:
            raise ValueError(f"MultiheadAttention: num_kv_heads {num_kv_heads} does not divide num_heads {num_heads}")
        is_probability("MultiheadAttention", "dropout", dropout)
        self.head_dim = embed_dim // num_heads if head_dim is None else head_dim
        self.q_proj = Linear(embed_dim, num_heads * self.head_dim, bias)
        self.k_proj = Linear(self.kdim, self.num_kv_heads * self.head_dim, bias)
        self.v_proj = Linear(self.vdim, self.num_kv_heads * self.head_dim, bias)
        self.out_proj = Linear(num_heads * self.head_dim, embed_dim, bias)

    def forward(
        self,
        query: Array,
        key: Array | None = None,
        value: Array | None = None,
        attn_mask: Array | None = None,
        is_causal: bool = False,
        past: Past | None = None,
    ) -> tuple[tuple[Array, Past], Backward]:
        past_keys, past_values = self._checked(query, key, value, past)
        queries, queries_backward = self._heads(self.q_proj, query)
        keys, keys_backward = self._continued(self.k_proj, key, past_keys)
        values, values_backward = self._continued(self.v_proj, value, past_values)
        keep = None
        if self.training and self.dropout > 0:
            keep = generator().random((*queries.shape[:3], keys.shape[2])) >= self.dropout
        options = self._options(is_causal, past_keys) | {"dropout_p": self.dropout if keep is not None else 0.0}
        attended, attention_backward = apply(scaled_dot_product_attention, queries, keys, values, attn_mask, keep, **options)
        y, out_backward = self.out_proj(_side_by_side(attended))

        def backward(dy: Array) -> tuple[Array | None, ...]:
            dattended = self._split(out_backward(dy))
            dqueries, dkeys, dvalues, *dmask = attention_backward(dattended)
            gradients = queries_backward(dqueries), keys_backward(dkeys), values_backward(dvalues)
            return *gradients, dmask[0] if attn_mask is not None else None, None, None

        return (y, (keys, values)), backward

    def attend(
        self,
        query: Array,
        key: Array | None = None,
        value: Array | None = None,
        attn_mask: Array | None = None,
        is_causal: bool = False,
        past: Past | None = None,
    ) -> Array:
        """Return the attention weights (B, num_heads, L, S) of a call, before dropout."""
        past_keys, _ = self._checked(query, key, value, past)
        queries, _ = self._heads(self.q_proj, query)
        keys, _ = self._continued(self.k_proj, key, past_keys)
        weights, _ = attention_weights(queries, keys, attn_mask, **self._options(is_causal, past_keys))
        return weights

    def _heads(self, projection: Linear, x: Array) -> tuple[Array, Backward]:
        """Return x (B, T, C) projected and split into heads (B, heads, T, head_dim)."""
        y, backward = projection(x)
        return self._split(y), lambda dheads: backward(_side_by_side(dheads))

    def _continued(self, projection: Linear, x: Array | None, past: Array | None) -> tuple[Array, Backward]:
        """Return the heads of x, with those of the past before them."""
        if x is None:
            return np.asarray(past), lambda dheads: None
        heads, backward = self._heads(projection, x)
        if past is None:
            return heads, backward
        return np.concatenate([past, heads], axis=2), lambda dheads: backward(dheads[:, :, past.shape[2] :])

    def _options(self, is_causal: bool, past_keys: Array | None) -> dict[str, Any]:
        """Return the options of the attention op."""
        grouped, offset = self.num_kv_heads != self.num_heads, 0 if past_keys is None else past_keys.shape[2]
        return {"is_causal": is_causal, "scale": self.scale, "enable_gqa": grouped, "causal_offset": offset}

    def _split(self, x: Array) -> Array:
        """Return x (B, T, heads * head_dim) as (B, heads, T, head_dim)."""
        B, T, width = x.shape
        return x.reshape(B, T, width // self.head_dim, self.head_dim).swapaxes(1, 2)

    def _checked(
        self, query: Array, key: Array | None, value: Array | None, past: Past | None
    ) -> tuple[Array, Array] | tuple[None, None]:
        """Return the keys and values of the past, or a pair of None; raise ValueError where a shape is wrong."""
        if (key is None) != (value is None) or (key is None and past is None):
            raise ValueError("MultiheadAttention: expected key and value, or past in their place")
        for name, x, width in (("query", query, self.embed_dim), ("key", key, self.kdim), ("value", value, self.vdim)):
            if x is not None and (x.ndim != 3 or x.shape[2] != width):
                raise ValueError(f"MultiheadAttention: expected {name} (B, T, {width}), got {x.shape}")
        if key is not None and value is not None and not len(query) == len(key) == len(value):
            raise ValueError(
                f"MultiheadAttention: expected one batch, got query {query.shape}, key {key.shape} and value {value.shape}"
            )
        if past is None:
            return None, None
        if not isinstance(past, tuple | list) or len(past) != 2:
            raise ValueError(f"MultiheadAttention: expected past to be keys and values, got a {type(past).__name__}")
        for name, heads in zip(("the keys of past", "the values of past"), past, strict=True):
            expected = len(query), self.num_kv_heads, *past[0].shape[2:3], self.head_dim
            has_shape("MultiheadAttention", name, heads, expected)
        return past


def _side_by_side(heads: Array) -> Array:
    """Return heads (B, heads, T, head_dim) as (B, T, heads * head_dim)."""
    B, H, T, D = heads.shape
    return heads.swapaxes(1, 2).reshape(B, T, H * D)
