"""Additive attention (Bahdanau, Cho & Bengio 2015, appendix A.1.2)."""

import numpy as np

from scratch.checks import broadcasts_to, has_shape, is_bool, one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward
from scratch.ops.softmax import softmax


@op
def additive_attention(
    query: Array, key: Array, value: Array, weight: Array, attn_mask: Array | None = None
) -> tuple[Array, Backward]:
    """Compute y_t = Σ_s a_ts value_s, a_t = softmax over s of weight · tanh(query_t + key_s).

    query (B, T, A), key (B, S, A), value (B, S, V) and weight (A,) to (B, T, V). attn_mask is boolean, broadcasts to (B, T, S),
    and is true where a query may attend a key; a query that may attend no key has y = 0.

    With h_ts = tanh(query_t + key_s) and the scores e_ts = weight · h_ts:

        da = dy valueᵀ    de = a (da - Σ_s da a)    dz_ts = de_ts weight (1 - h_ts²)
        dquery = Σ_s dz    dkey = Σ_t dz    dvalue = aᵀ dy    dweight = Σ_bts de h
    """
    _check("additive_attention", query, key, value, weight, attn_mask)
    may_attend = np.ones((1, 1, 1), bool) if attn_mask is None else attn_mask
    hidden = np.tanh(query[:, :, None] + key[:, None])  # (B, T, S, A)
    scores = np.where(may_attend, hidden @ weight, np.finfo(hidden.dtype).min)
    weights, softmax_backward = softmax(scores)
    weights = np.where(may_attend, weights, 0)  # this changes only queries that may attend no key

    def backward(dy: Array, needs: tuple[bool, ...] = (True,) * 5) -> tuple[Array | None, ...]:
        dweights = np.where(may_attend, dy @ value.swapaxes(1, 2), 0)
        dscores = np.where(may_attend, softmax_backward(dweights), 0)
        dz = dscores[..., None] * weight * (1 - hidden * hidden)
        dweight = dscores.reshape(-1) @ hidden.reshape(dscores.size, len(weight))
        return dz.sum(axis=2), dz.sum(axis=1), weights.swapaxes(1, 2) @ dy, dweight, None

    return weights @ value, backward


def _check(op: str, query: Array, key: Array, value: Array, weight: Array, attn_mask: Array | None) -> None:
    """Raise ValueError unless the arrays fit each other."""
    one_float_dtype(op, query=query, key=key, value=value, weight=weight)
    if query.ndim != 3 or key.ndim != 3 or value.ndim != 3:
        raise ValueError(
            f"{op}: expected query (B, T, A), key (B, S, A) and value (B, S, V), got {query.shape}, {key.shape} and {value.shape}"
        )
    (B, T, A), S = query.shape, key.shape[1]
    has_shape(op, "key", key, (B, S, A))
    has_shape(op, "value", value, (B, S, value.shape[2]))
    has_shape(op, "weight", weight, (A,))
    is_bool(op, "attn_mask", attn_mask, "may attend")
    broadcasts_to(op, "attn_mask", attn_mask, (B, T, S))
