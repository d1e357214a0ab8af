"""Multi-head self-attention with one projection matrix."""

import numpy as np

from scratch.checks import divides, is_sequence
from scratch.layers.init import fan_in_uniform, xavier_uniform_
from scratch.layers.linear import Linear
from scratch.module import Array, Backward, Module, Parameter, apply
from scratch.ops.attention import attention_weights, scaled_dot_product_attention
from scratch.ops.linear import linear


class SelfAttention(Module):
    """Self-attention of x (B, T, embed_dim) in num_heads heads (Vaswani et al. 2017, section 3.2.2).

    The parameters have the names, shapes and initial distributions of torch.nn.MultiheadAttention: one array holds those of
    queries, keys and values, so that one matrix product computes all three. MultiheadAttention of this package has three
    arrays, for queries and keys from different sequences.
    """

    def __init__(self, embed_dim: int, num_heads: int):
        divides("SelfAttention", "num_heads", num_heads, "embed_dim", embed_dim)
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.in_proj_weight = fan_in_uniform((3 * embed_dim, embed_dim), embed_dim)
        xavier_uniform_(self.in_proj_weight)
        self.in_proj_bias = Parameter(np.zeros(3 * embed_dim, np.float32))
        self.out_proj = Linear(embed_dim, embed_dim)
        self.out_proj.bias = Parameter(np.zeros(embed_dim, np.float32))

    def forward(self, x: Array) -> tuple[Array, Backward]:
        (query, key, value), in_backward = self._projected(x)
        B, T, width = x.shape
        attended, attention_backward = scaled_dot_product_attention(query, key, value)
        y, out_backward = self.out_proj(attended.swapaxes(1, 2).reshape(B, T, width))

        def backward(dy: Array) -> Array:
            dattended = out_backward(dy).reshape(B, T, self.num_heads, width // self.num_heads).swapaxes(1, 2)
            dquery, dkey, dvalue, *_ = attention_backward(dattended)
            return in_backward(dquery, dkey, dvalue)

        return y, backward

    def attend(self, x: Array) -> Array:
        """Return the attention weights (B, num_heads, T, T) of a call."""
        (query, key, _), _ = self._projected(x)
        weights, _ = attention_weights(query, key)
        return weights

    def _projected(self, x: Array) -> tuple[Array, Backward]:
        """Return queries, keys and values (3, B, num_heads, T, head_dim)."""
        is_sequence("SelfAttention", "x", x, self.embed_dim)
        B, T, width = x.shape
        projected, linear_backward = apply(linear, x, self.in_proj_weight, self.in_proj_bias)
        heads = projected.reshape(B, T, 3, self.num_heads, width // self.num_heads).transpose(2, 0, 3, 1, 4)

        def backward(*dheads: Array) -> Array:
            return linear_backward(np.stack([d.swapaxes(1, 2) for d in dheads], axis=2).reshape(B, T, 3 * width))

        return heads, backward
