"""Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1, equation 1)."""

import math

import numpy as np

from scratch.fast.reduce import sum_to_shape
from scratch.module import Array, Backward


def attention_weights(
    query: Array,
    key: Array,
    attn_mask: Array | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    causal_offset: int = 0,
) -> tuple[Array, Backward]:
    """Compute A = softmax(S) for S = scale Q Kᵀ + mask; dS = A (dA - Σ dA A), dQ = scale dS K, dK = scale dSᵀ Q, dmask = dS."""
    (L, E), S = query.shape[-2:], key.shape[-2]
    factor = 1 / math.sqrt(E) if scale is None else scale
    each = query.shape[-3] // key.shape[-3] if enable_gqa else 1  # heads of query for each head of key
    keys = np.repeat(key, each, axis=-3) if enable_gqa else key
    scores = query @ keys.swapaxes(-1, -2) * factor
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == bool else scores + attn_mask
    if is_causal:
        scores = np.where(np.arange(S) <= np.arange(L)[:, None] + causal_offset, scores, -np.inf)
    highest = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - np.where(highest == -np.inf, 0, highest))
    weights = weights / np.maximum(weights.sum(axis=-1, keepdims=True), np.finfo(weights.dtype).tiny)

    def backward(dweights: Array) -> tuple[Array | None, ...]:
        dscores = weights * (dweights - (dweights * weights).sum(axis=-1, keepdims=True))
        dkey = _sum_of_heads(dscores.swapaxes(-1, -2) @ query * factor, each)
        dmask = None if attn_mask is None or attn_mask.dtype == bool else sum_to_shape(dscores, attn_mask.shape)
        return dscores @ keys * factor, dkey, dmask

    return weights, backward


def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    keep: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    causal_offset: int = 0,
) -> tuple[Array, Backward]:
    """Compute Y = A V for the attention weights A, after dropout; dV = Aᵀ dY, dA = dY Vᵀ."""
    weights, weights_backward = attention_weights(query, key, attn_mask, is_causal, scale, enable_gqa, causal_offset)
    each = query.shape[-3] // value.shape[-3] if enable_gqa else 1
    values = np.repeat(value, each, axis=-3) if enable_gqa else value
    mask = weights.dtype.type(1) if keep is None else keep * weights.dtype.type(1 / (1 - dropout_p) if dropout_p < 1 else 0)

    def backward(dy: Array) -> tuple[Array | None, ...]:
        dvalue = _sum_of_heads((weights * mask).swapaxes(-1, -2) @ dy, each)
        dquery, dkey, dmask = weights_backward(dy @ values.swapaxes(-1, -2) * mask)
        return dquery, dkey, dvalue, dmask, None

    return (weights * mask) @ values, backward


def _sum_of_heads(x: Array, each: int) -> Array:
    """Return the sum over each group of `each` neighbouring heads of x (..., H, S, D)."""
    return x if each == 1 else x.reshape(*x.shape[:-3], -1, each, *x.shape[-2:]).sum(axis=-3)
