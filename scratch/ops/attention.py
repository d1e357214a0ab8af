"""Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1)."""

import math

import numpy as np

from scratch.checks import has_shape, is_bool, is_mask, is_probability, one_float_dtype
from scratch.contract import op
from scratch.fast.blockwise_attention import blockwise_attention, suits_blocks
from scratch.fast.reduce import sum_to_shape
from scratch.module import Array, Backward
from scratch.ops.dropout import dropout


@op
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
    """Compute y = A value for A = attention_weights(query, key, ...).

    query (..., L, E), key (..., S, E) and value (..., S, V) to (..., L, V). Where the boolean array `keep` (..., L, S) is given,
    dropout sets weights to 0 where it is false and divides the others by 1 - dropout_p. With A after dropout:

        dvalue = Aᵀ dy    dA = dy valueᵀ, and dquery, dkey, dattn_mask as in attention_weights

    More than 128 queries are computed in blocks (scratch.fast.blockwise_attention), so that memory is linear in L.
    """
    op = "scaled_dot_product_attention"
    check_attention(op, query, key, value, attn_mask, keep, dropout_p, scale, enable_gqa, causal_offset)
    if suits_blocks(query):
        scale = 1 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
        return blockwise_attention(query, key, value, attn_mask, keep, dropout_p, is_causal, scale, causal_offset)
    weights, weights_backward = attention_weights(query, key, attn_mask, is_causal, scale, enable_gqa, causal_offset)
    dropped, dropout_backward = (weights, None) if keep is None else dropout(weights, keep, dropout_p)
    values, values_backward = _for_every_head(value, query)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,) * 5) -> tuple[Array | None, ...]:
        dvalue = values_backward(dropped.swapaxes(-1, -2) @ dy)
        dweights = dy @ values.swapaxes(-1, -2)
        if dropout_backward is not None:
            dweights, _ = dropout_backward(dweights)
        dquery, dkey, dmask = weights_backward(dweights, (needs[0], needs[1], needs[3]))
        return dquery, dkey, dvalue, dmask, None

    return dropped @ values, backward


@op
def attention_weights(
    query: Array,
    key: Array,
    attn_mask: Array | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    causal_offset: int = 0,
) -> tuple[Array, Backward]:
    """Compute A = softmax over the keys of S = scale query keyᵀ + attn_mask: query (..., L, E) and key (..., S, E) to (..., L, S).

        dS = A (dA - Σ dA A)    dquery = scale dS key    dkey = scale dSᵀ query    dattn_mask = dS, summed to its shape

    attn_mask broadcasts to the weights. A boolean mask is true where a query may attend a key; a floating-point mask is
    added and has a gradient. With is_causal, query i may attend only the keys up to i + causal_offset. scale is 1/√E by default.
    With enable_gqa, key and value may have fewer heads (third axis from the end) than query: each of their heads serves
    a group of neighbouring query heads (Ainslie et al. 2023). The weights of a query that may attend no key are 0.
    """
    check_attention("attention_weights", query, key, None, attn_mask, None, 0.0, scale, enable_gqa, causal_offset)
    (L, E), S = query.shape[-2:], key.shape[-2]
    scale = 1 / math.sqrt(E) if scale is None else float(scale)
    keys, keys_backward = _for_every_head(key, query)
    scores = query @ keys.swapaxes(-1, -2) * scale  # (..., L, S)
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == bool else scores + attn_mask
    if is_causal:
        scores = np.where(np.tri(L, S, causal_offset, dtype=bool), scores, -np.inf)
    highest = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - np.where(highest == -np.inf, 0, highest))
    total = weights.sum(axis=-1, keepdims=True)
    weights /= np.where(total == 0, 1, total)

    def backward(dweights: Array, needs: tuple[bool, ...] = (True,) * 3) -> tuple[Array | None, ...]:
        dscores = weights * (dweights - (dweights * weights).sum(axis=-1, keepdims=True))
        dquery = dscores @ keys * scale
        dkey = keys_backward(dscores.swapaxes(-1, -2) @ query * scale)
        dmask = None
        if attn_mask is not None and attn_mask.dtype != bool and needs[2]:
            dmask = sum_to_shape(dscores, attn_mask.shape)
        return dquery, dkey, dmask

    return weights, backward


def check_attention(
    op: str,
    query: Array,
    key: Array,
    value: Array | None,
    attn_mask: Array | None,
    keep: Array | None,
    dropout_p: float,
    scale: float | None,
    enable_gqa: bool,
    causal_offset: int,
) -> None:
    """Raise ValueError unless the arrays and options fit each other."""
    one_float_dtype(op, query=query, key=key, value=value)
    if query.ndim < 2 or key.ndim != query.ndim or query.shape[-1] != key.shape[-1] or query.shape[-1] < 1:
        raise ValueError(f"{op}: expected query (..., L, E) and key (..., S, E), got {query.shape} and {key.shape}")
    if enable_gqa and query.ndim < 3:
        raise ValueError(f"{op}: expected query (..., H, L, E) with enable_gqa, got {query.shape}")
    heads, groups = (a.shape[-3] if enable_gqa else 1 for a in (query, key))
    leading = -3 if enable_gqa else -2  # the axes before this one must be the same
    if query.shape[:leading] != key.shape[:leading] or (heads % groups if groups else heads):
        expected = "heads of query divisible by those of key, all axes before" if enable_gqa else "all axes before the last two"
        raise ValueError(f"{op}: expected {expected} the same, got query {query.shape} and key {key.shape}")
    if value is not None and value.shape[:-1] != key.shape[:-1]:
        raise ValueError(f"{op}: expected value (..., S, V) with all axes but the last as in key {key.shape}, got {value.shape}")
    shape = (*query.shape[:-1], key.shape[-2])
    is_mask(op, "attn_mask", attn_mask, shape, query.dtype)
    if scale is not None and not 0 <= scale < math.inf:
        raise ValueError(f"{op}: scale is {scale}, expected a finite number of 0 or more")
    if causal_offset < 0:
        raise ValueError(f"{op}: causal_offset is {causal_offset}, expected at least 0")
    is_probability(op, "dropout_p", dropout_p)
    if dropout_p and keep is None:
        raise ValueError(f"{op}: dropout_p is {dropout_p}, expected a boolean `keep` of shape {shape} with it")
    is_bool(op, "keep", keep, "stays")
    has_shape(op, "keep", keep, shape)


def _for_every_head(x: Array, query: Array) -> tuple[Array, Backward]:
    """Return x (..., G, S, D) with each head repeated H / G times, for the heads of query (..., H, L, E); the backward sums."""
    if x.shape[:-2] == query.shape[:-2]:
        return x, lambda dy: dy
    *batch, G, S, D = x.shape
    each = query.shape[-3] // G
    return np.repeat(x, each, axis=-3), lambda dy: dy.reshape(*batch, G, each, S, D).sum(axis=-3)
