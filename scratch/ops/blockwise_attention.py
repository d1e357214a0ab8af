"""Scaled dot-product attention in blocks of queries, which never holds more of the weights than one block in each thread.

The forward pass keeps two numbers for each query, its highest score and the sum of its exponentials, from which the backward
makes a block's weights again (Rabe & Staats 2021; Dao et al. 2022, section 3.1), so that memory is linear in the length.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

import scratch.ops.memory  # noqa: F401  for its effect
from scratch.module import Array, Backward
from scratch.ops.reduce import sum_to_shape
from scratch.ops.threads import in_parallel

BLOCK = 128  # queries at a time: more fall out of the cache, fewer starve the matrix products
Head = tuple[int, ...]


def suits_blocks(query: Array) -> bool:
    """Whether there is more than one block of queries; of fewer, one product serves all heads at once."""
    return query.shape[-2] > BLOCK


def blockwise_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None,
    keep: Array | None,
    dropout_p: float,
    is_causal: bool,
    scale: float,
    causal_offset: int,
) -> tuple[Array, Backward]:
    """scaled_dot_product_attention of arrays that fit each other; where key and value have fewer heads, of grouped queries."""
    L, (S, V) = query.shape[-2], value.shape[-2:]
    groups = list(np.ndindex(key.shape[:-2]))  # the heads of key and value
    each = query[..., 0, 0].size // max(len(groups), 1)  # heads of query that one of them serves
    y = np.empty_like(query, shape=(*query.shape[:-1], V))
    highest, total = (np.empty((*query.shape[:-1], 1), query.dtype) for _ in range(2))
    bias = attn_mask if attn_mask is not None and attn_mask.dtype != bool else None
    triangle = np.where(np.tri(BLOCK, dtype=bool), query.dtype.type(0), -np.inf)
    ones = np.ones((S, 1), query.dtype)  # sums as products, as in reduce.py
    kept = query.dtype.type(1 if keep is None else 1 / (1 - dropout_p) if dropout_p < 1 else 0)

    def blocks(group: Head) -> Iterator[tuple[Any, Any, Any]]:
        """The places of a head's blocks: in query, in key, and in the weights."""
        for head in [(*group[:-1], group[-1] * each + i) for i in range(each)] if group else [group]:
            for start in range(0, L, BLOCK):
                stop = min(start + BLOCK, L)
                rows, keys = slice(start, stop), slice(0, min(stop + causal_offset, S) if is_causal else S)
                yield (*head, rows), (*group, keys), (*head, rows, keys)

    def scores(at: Any, seen: Any, block: Any) -> Array:
        s = (query[at] * scale) @ key[seen].T
        if bias is not None:
            s += _part(bias, block)
        elif attn_mask is not None:
            np.copyto(s, -np.inf, where=~_part(attn_mask, block))
        if is_causal:
            corner = s[:, at[-1].start + causal_offset :]
            corner += triangle[: len(corner), : corner.shape[1]]
        return s

    def forward(group: Head) -> None:
        for at, seen, block in blocks(group):
            weights = scores(at, seen, block)
            high = weights.max(axis=-1, keepdims=True, initial=-np.inf)
            high[high == -np.inf] = 0  # a query that may attend nothing
            weights -= high
            np.exp(weights, out=weights)
            sums = weights @ ones[seen[-1]]
            sums[sums == 0] = 1
            highest[at], total[at] = high, sums
            if keep is not None:
                weights *= keep[block]
            np.multiply(weights @ value[seen], kept / sums, out=y[at])

    def backward(dy: Array, needs: tuple[bool, ...] = (True,) * 5) -> tuple[Array | None, ...]:
        dquery, dkey, dvalue = np.empty_like(query), np.zeros_like(key), np.zeros_like(value)
        dbias = np.zeros_like(bias) if bias is not None and needs[3] else None

        def backward_of(group: Head) -> None:
            for at, seen, block in blocks(group):
                weights = scores(at, seen, block)  # times their total
                weights -= highest[at]
                np.exp(weights, out=weights)
                drows = dy[at] * (kept / total[at])
                dscores = drows @ value[seen].T
                dropped = weights
                if keep is not None:
                    dropped = weights * keep[block]
                    dscores *= keep[block]
                dvalue[seen] += dropped.T @ drows
                dscores -= np.einsum("lv,lv->l", dy[at], y[at])[:, None] / total[at]  # through the total
                dscores *= weights
                np.multiply(dscores @ key[seen], scale, out=dquery[at])
                dkey[seen] += dscores.T @ (query[at] * scale)
                if dbias is not None:
                    part = _part(dbias, block)
                    part += sum_to_shape(dscores, part.shape)

        if dbias is None:
            in_parallel(backward_of, groups)
        else:  # which heads may share
            for group in groups:
                backward_of(group)
        return dquery, dkey, dvalue, dbias, None

    in_parallel(forward, groups)
    return y, backward


def _part(array: Array, block: Any) -> Array:
    """The view of an array that broadcasts to the weights which meets a block of them."""
    places = block[len(block) - array.ndim :]
    whole = [slice(None) if isinstance(place, slice) else 0 for place in places]
    chosen: Any = (..., *(w if n == 1 else place for n, place, w in zip(array.shape, places, whole, strict=True)))
    return array[chosen]
