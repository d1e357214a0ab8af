"""Scaled dot-product attention, its weights, and additive attention."""

import math

import numpy as np
from scipy.special import logsumexp

from parity_tests.variants.variant import variant

UNGROUPED = "attention attention-spread attention-one-head attention-two-axes attention-causal* attention-scale attention-ragged \
attention-masked* attention-bias attention-bias-* attention-dropout attention-dropout-ragged"
CAUSAL = "attention-causal attention-causal-*"
LAYERS = "MultiheadAttention-causal MultiheadAttention-grouped"


def _scale(query, scale):
    return query.dtype.type(1 / math.sqrt(query.shape[-1]) if scale is None else scale)


def _added(query, key, attn_mask, is_causal, causal_offset):
    """Return a mask to add, -inf where a query may not attend a key."""
    L, S = query.shape[-2], key.shape[-2]
    added = np.zeros((L, S), query.dtype)
    if is_causal:
        added[np.triu(np.ones((L, S), bool), k=1 + causal_offset)] = -np.inf
    if attn_mask is None:
        return added
    if attn_mask.dtype == bool:
        attn_mask = np.where(attn_mask, 0, -np.inf).astype(query.dtype)
    return added + attn_mask


def _softmax(scores):
    """Return the softmax along the last axis; a row of -inf is 0."""
    highest = scores.max(axis=-1, keepdims=True, initial=np.finfo(scores.dtype).min)
    e = np.exp(scores - highest)
    total = e.sum(axis=-1, keepdims=True)
    return np.divide(e, total, out=np.zeros_like(e), where=total > 0)


def _each(query, key):
    return query.shape[-3] // key.shape[-3] if query.ndim > 2 else 1


def _repeated(x, each):
    return x if each == 1 else np.concatenate([x[..., h // each : h // each + 1, :, :] for h in range(x.shape[-3] * each)], axis=-3)


def _summed(dx, each):
    return dx if each == 1 else np.add.reduceat(dx, np.arange(0, dx.shape[-3], each), axis=-3)


def _to_mask(dscores, attn_mask):
    """Return the gradient of a floating-point mask, summed to its shape; None for others."""
    if attn_mask is None or attn_mask.dtype == bool:
        return None
    more = dscores.ndim - attn_mask.ndim
    dmask = dscores.sum(axis=tuple(range(more)))
    for axis, n in enumerate(attn_mask.shape):
        dmask = dmask.sum(axis=axis, keepdims=True) if n == 1 else dmask
    return dmask


def _dropped(weights, keep, dropout_p):
    """Return the factors of dropout for the weights, 1 without dropout."""
    if keep is None:
        return weights.dtype.type(1)
    return np.where(keep, 0 if dropout_p == 1 else 1 / (1 - dropout_p), 0).astype(weights.dtype)


@variant("ops.scaled_dot_product_attention", also=f"{LAYERS} gpt")
def attention_by_einsum(
    query, key, value, attn_mask=None, keep=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False, causal_offset=0
):
    """Use einsum, and scale the query before the product."""
    each, factor = _each(query, key), _scale(query, scale)
    q, k, v = query * factor, _repeated(key, each), _repeated(value, each)
    weights = _softmax(np.einsum("...le,...se->...ls", q, k) + _added(query, key, attn_mask, is_causal, causal_offset))
    drop = _dropped(weights, keep, dropout_p)

    def backward(dy, needs=()):
        dweights = np.einsum("...lv,...sv->...ls", dy, v) * drop
        dscores = weights * (dweights - np.einsum("...ls,...ls->...l", dweights, weights)[..., None])
        dquery = np.einsum("...ls,...se->...le", dscores, k) * factor
        dkey = _summed(np.einsum("...ls,...le->...se", dscores, q), each)
        dvalue = _summed(np.einsum("...ls,...lv->...sv", weights * drop, dy), each)
        return dquery, dkey, dvalue, _to_mask(dscores, attn_mask), None

    return np.einsum("...ls,...sv->...lv", weights * drop, v), backward


@variant("ops.scaled_dot_product_attention", also=f"{LAYERS} MultiheadAttention-ragged")
def attention_by_log_sum_exp(
    query, key, value, attn_mask=None, keep=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False, causal_offset=0
):
    """Keep y and one number for each query; the backward computes the weights again and uses Σ dy y (Dao et al. 2022)."""
    each, factor = _each(query, key), _scale(query, scale)
    k, v = _repeated(key, each), _repeated(value, each)

    def scores():
        return factor * (query @ np.swapaxes(k, -1, -2)) + _added(query, key, attn_mask, is_causal, causal_offset)

    def weights():
        return np.exp(scores() - np.where(blind, 0, total))

    with np.errstate(divide="ignore"):
        total = logsumexp(scores(), axis=-1, keepdims=True)
    blind = np.isneginf(total)
    drop = _dropped(query, keep, dropout_p)
    y = (weights() * drop) @ v

    def backward(dy, needs=()):
        w = weights()
        dscores = w * ((dy @ np.swapaxes(v, -1, -2)) * drop - (dy * y).sum(axis=-1, keepdims=True))
        dkey = _summed(np.swapaxes(dscores, -1, -2) @ (factor * query), each)
        return (
            (factor * dscores) @ k,
            dkey,
            _summed(np.swapaxes(w * drop, -1, -2) @ dy, each),
            _to_mask(dscores, attn_mask),
            None,
        )

    return y, backward


@variant("ops.scaled_dot_product_attention", also="MultiheadAttention-masked gpt-one-layer")
def attention_in_float64(
    query, key, value, attn_mask=None, keep=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False, causal_offset=0
):
    """Compute all of it in float64 and cast back."""
    mask = attn_mask if attn_mask is None or attn_mask.dtype == bool else attn_mask.astype(np.float64)
    q, k, v = (a.astype(np.float64) for a in (query, key, value))
    y, wide_backward = attention_by_einsum(q, k, v, mask, keep, dropout_p, is_causal, scale, enable_gqa, causal_offset)

    def backward(dy, needs=()):
        return tuple(None if d is None else d.astype(query.dtype) for d in wide_backward(dy.astype(np.float64)))

    return y.astype(query.dtype), backward


@variant("ops.scaled_dot_product_attention", only=UNGROUPED, also="MultiheadAttention-ragged MultiheadAttention-bias")
def attention_head_by_head(
    query, key, value, attn_mask=None, keep=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False, causal_offset=0
):
    """Loop over all heads of all sequences."""
    leading, factor = query.shape[:-2], _scale(query, scale)
    whole = np.broadcast_to(_added(query, key, attn_mask, is_causal, causal_offset), (*leading, query.shape[-2], key.shape[-2]))
    drop = np.broadcast_to(_dropped(query, keep, dropout_p), whole.shape)
    weights = np.zeros(whole.shape, query.dtype)
    y = np.zeros((*query.shape[:-1], value.shape[-1]), query.dtype)
    for head in np.ndindex(leading):
        weights[head] = _softmax(query[head] @ key[head].T * factor + whole[head])
        y[head] = np.dot(weights[head] * drop[head], value[head])

    def backward(dy, needs=()):
        dquery, dkey, dvalue, dscores = (np.zeros_like(a) for a in (query, key, value, weights))
        for head in np.ndindex(leading):
            dvalue[head] = (weights[head] * drop[head]).T @ dy[head]
            d = (dy[head] @ value[head].T) * drop[head]
            dscores[head] = weights[head] * d - weights[head] * np.sum(weights[head] * d, axis=1, keepdims=True)
            dquery[head], dkey[head] = factor * dscores[head] @ key[head], factor * dscores[head].T @ query[head]
        return dquery, dkey, dvalue, _to_mask(dscores, attn_mask), None

    return y, backward


@variant("ops.scaled_dot_product_attention", also="MultiheadAttention-grouped MultiheadAttention gpt")
def attention_online(
    query, key, value, attn_mask=None, keep=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False, causal_offset=0
):
    """Walk over tiles of four keys with a running maximum, as FlashAttention does."""
    each, factor = _each(query, key), _scale(query, scale)
    k, v = _repeated(key, each), _repeated(value, each)
    shape = (*query.shape[:-1], key.shape[-2])
    added = np.broadcast_to(_added(query, key, attn_mask, is_causal, causal_offset), shape)
    drop = np.broadcast_to(_dropped(query, keep, dropout_p), shape)
    tiles = [slice(s, s + 4) for s in range(0, key.shape[-2], 4)]
    lowest = np.finfo(query.dtype).min
    highest, total = np.full(shape[:-1], lowest, query.dtype)[..., None], np.zeros((*shape[:-1], 1), query.dtype)
    y = np.zeros((*query.shape[:-1], value.shape[-1]), query.dtype)
    for tile in tiles:
        scores = query @ k[..., tile, :].swapaxes(-1, -2) * factor + added[..., tile]
        higher = np.maximum(highest, scores.max(axis=-1, keepdims=True))
        shrink, e = np.exp(highest - higher), np.exp(scores - higher)
        total = total * shrink + e.sum(axis=-1, keepdims=True)
        y = y * shrink + (e * drop[..., tile]) @ v[..., tile, :]
        highest = higher
    total[total == 0] = 1
    y /= total

    def backward(dy, needs=()):
        dquery, dk, dv = (np.zeros_like(a) for a in (query, k, v))
        dscores, through_sum = np.zeros(shape, query.dtype), np.sum(dy * y, axis=-1, keepdims=True)
        for tile in tiles:
            w = np.exp(query @ k[..., tile, :].swapaxes(-1, -2) * factor + added[..., tile] - highest) / total
            dv[..., tile, :] = (w * drop[..., tile]).swapaxes(-1, -2) @ dy
            d = w * (dy @ v[..., tile, :].swapaxes(-1, -2) * drop[..., tile] - through_sum)
            dquery += factor * (d @ k[..., tile, :])
            dk[..., tile, :] = factor * (d.swapaxes(-1, -2) @ query)
            dscores[..., tile] = d
        return dquery, _summed(dk, each), _summed(dv, each), _to_mask(dscores, attn_mask), None

    return y, backward


@variant(
    "ops.scaled_dot_product_attention",
    only="attention-causal attention-causal-fewer-queries attention-causal-offset",
    also="MultiheadAttention-causal",
)
def attention_of_growing_slices(
    query, key, value, attn_mask=None, keep=None, dropout_p=0.0, is_causal=True, scale=None, enable_gqa=False, causal_offset=0
):
    """Give each query only the keys that it may attend, without a mask."""
    factor, S = _scale(query, scale), key.shape[-2]
    ends = [min(i + 1 + causal_offset, S) for i in range(query.shape[-2])]
    rows = [_softmax(np.einsum("...e,...se->...s", query[..., i, :], key[..., :n, :]) * factor) for i, n in enumerate(ends)]
    y = np.stack([np.einsum("...s,...sv->...v", w, value[..., :n, :]) for w, n in zip(rows, ends, strict=True)], axis=-2)

    def backward(dy, needs=()):
        dquery, dkey, dvalue = (np.zeros_like(a) for a in (query, key, value))
        for i, (w, n) in enumerate(zip(rows, ends, strict=True)):
            d = np.einsum("...v,...sv->...s", dy[..., i, :], value[..., :n, :])
            d = factor * w * (d - (d * w).sum(axis=-1, keepdims=True))
            dvalue[..., :n, :] += w[..., None] * dy[..., i, None, :]
            dkey[..., :n, :] += d[..., None] * query[..., i, None, :]
            dquery[..., i, :] = (d[..., None] * key[..., :n, :]).sum(axis=-2)
        return dquery, dkey, dvalue, None, None

    return y, backward


@variant(
    "ops.scaled_dot_product_attention",
    only="attention-grouped attention-dropout-grouped attention-blocks-grouped",
    also="MultiheadAttention-grouped MultiheadAttention-one-key-head",
)
def attention_with_an_axis_of_groups(
    query, key, value, attn_mask=None, keep=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False, causal_offset=0
):
    """Give the query an axis for the heads of a group, so that no key is repeated."""
    factor, G, each = _scale(query, scale), key.shape[-3], _each(query, key)
    by_group = (*query.shape[:-3], G, each, *query.shape[-2:])
    q, k, v = query.reshape(by_group), key[..., None, :, :], value[..., None, :, :]
    weights_of_group = (*by_group[:-1], key.shape[-2])
    added = _added(query, key, attn_mask, is_causal, causal_offset)
    whole = np.broadcast_to(added, (*query.shape[:-1], key.shape[-2])).reshape(weights_of_group)
    drop = np.broadcast_to(_dropped(query, keep, dropout_p), (*query.shape[:-1], key.shape[-2])).reshape(weights_of_group)
    weights = _softmax(q @ k.swapaxes(-1, -2) * factor + whole)
    dropped = weights * drop

    def backward(dy, needs=()):
        d = dy.reshape(*by_group[:-1], value.shape[-1])
        dweights = d @ v.swapaxes(-1, -2) * drop
        dscores = factor * weights * (dweights - (dweights * weights).sum(axis=-1, keepdims=True))
        dkey = np.einsum("...gels,...geld->...gsd", dscores, q)
        dvalue = np.einsum("...gels,...gelv->...gsv", dropped, d)
        return (dscores @ k).reshape(query.shape), dkey, dvalue, None, None

    return (dropped @ v).reshape(*query.shape[:-1], value.shape[-1]), backward


@variant("ops.attention_weights", also="DotAttention seq2seq-dot")
def attention_weights_by_einsum(query, key, attn_mask=None, is_causal=False, scale=None, enable_gqa=False, causal_offset=0):
    """Use einsum, and the Jacobian of the softmax as two terms."""
    each, factor = _each(query, key), _scale(query, scale)
    k = _repeated(key, each)
    weights = _softmax(np.einsum("...le,...se->...ls", query, k * factor) + _added(query, key, attn_mask, is_causal, causal_offset))

    def backward(dweights, needs=()):
        product = weights * dweights
        dscores = product - weights * product.sum(axis=-1, keepdims=True)
        dkey = _summed(np.einsum("...ls,...le->...se", dscores, query) * factor, each)
        return np.einsum("...ls,...se->...le", dscores, k * factor), dkey, _to_mask(dscores, attn_mask)

    return weights, backward


@variant("ops.attention_weights", also="DotAttention-padded")
def attention_weights_in_log_space(query, key, attn_mask=None, is_causal=False, scale=None, enable_gqa=False, causal_offset=0):
    """Compute exp(scores - logsumexp)."""
    each, factor = _each(query, key), _scale(query, scale)
    k = _repeated(key, each)
    scores = query @ k.swapaxes(-1, -2) * factor + _added(query, key, attn_mask, is_causal, causal_offset)
    with np.errstate(divide="ignore"):
        total = logsumexp(scores, axis=-1, keepdims=True)
    weights = np.exp(scores - np.where(np.isneginf(total), 0, total))

    def backward(dweights, needs=()):
        dscores = (dweights - (weights[..., None, :] @ dweights[..., None])[..., 0]) * weights
        dkey = _summed(dscores.swapaxes(-1, -2) @ query, each) * factor
        return dscores @ k * factor, dkey, _to_mask(dscores, attn_mask)

    return weights, backward


@variant("ops.additive_attention", also="AdditiveAttention AdditiveAttention-padded seq2seq-additive")
def additive_attention_query_by_query(query, key, value, weight, attn_mask=None):
    """Loop over the queries, and compute the hidden layer again in the backward."""
    (B, T, _), S = query.shape, key.shape[1]
    may = np.broadcast_to(True if attn_mask is None else attn_mask, (B, T, S))
    rows = [
        _softmax(np.where(may[:, t], np.einsum("bsa,a->bs", np.tanh(query[:, t, None] + key), weight), -np.inf)) for t in range(T)
    ]
    y = np.stack([np.einsum("bs,bsv->bv", a, value) for a in rows], axis=1)

    def backward(dy, needs=()):
        dquery, dkey, dvalue, dweight = (np.zeros_like(a) for a in (query, key, value, weight))
        for t, a in enumerate(rows):
            hidden = np.tanh(query[:, t, None] + key)
            da = np.einsum("bv,bsv->bs", dy[:, t], value)
            de = a * (da - np.sum(a * da, axis=1, keepdims=True))
            dz = de[:, :, None] * (1 - hidden) * (1 + hidden) * weight
            dquery[:, t] = dz.sum(axis=1)
            dkey += dz
            dvalue += a[:, :, None] * dy[:, t, None]
            dweight += np.einsum("bs,bsa->a", de, hidden)
        return dquery, dkey, dvalue, dweight, None

    return y, backward


@variant("ops.additive_attention", also="AdditiveAttention AdditiveAttention-no-mask")
def additive_attention_in_float64(query, key, value, weight, attn_mask=None):
    """Compute in float64 by einsum."""
    q, k, v, w = (a.astype(np.float64) for a in (query, key, value, weight))
    hidden = np.tanh(np.expand_dims(q, 2) + np.expand_dims(k, 1))
    scores = np.einsum("btsa,a->bts", hidden, w)
    a = _softmax(scores if attn_mask is None else np.where(attn_mask, scores, -np.inf))

    def backward(dy, needs=()):
        da = np.einsum("btv,bsv->bts", dy, v)
        de = a * da - a * np.einsum("bts,bts->bt", a, da)[..., None]
        dz = np.einsum("bts,a,btsa->btsa", de, w, 1 - hidden**2)
        found = dz.sum(axis=2), dz.sum(axis=1), np.einsum("bts,btv->bsv", a, dy), np.einsum("bts,btsa->a", de, hidden)
        return *(d.astype(query.dtype) for d in found), None

    return np.einsum("bts,bsv->btv", a, v).astype(query.dtype), backward
