"""Scaled dot-product attention in blocks of queries: each thread holds only one block of the attention weights at a time.

The forward pass keeps two numbers for each query: its highest score and the sum of its exponentials. From these the backward
computes a block's weights again (Rabe & Staats 2021; Dao et al. 2022, section 3.1). So memory is linear in the length.
"""

import math
from typing import Any

import numpy as np

from scratch.fast.reduce import sum_to_shape
from scratch.fast.threads import get_num_threads, in_parallel
from scratch.module import Array, Backward

BLOCK = 128  # queries at a time: more do not fit in the cache, fewer make the matrix products slow
SCORES = 1 << 17  # scores at a time: blocks of short sequences have several heads, as each call of NumPy costs time
Place = tuple[int | slice, ...]
Share = tuple[list[Place], Place]


def suits_blocks(query: Array) -> bool:
    """Return whether there is more than one block of queries; for fewer, one product for all heads is quicker."""
    return query.shape[-2] > BLOCK


class Blocks:
    """The attention of blocks of queries: its inputs, its output y, and two numbers for each query.

    `at` is an index of query heads, `rows` the queries of a block, `seen` the keys that some query of the block may attend to.
    """

    def __init__(
        self,
        query: Array,
        key: Array,
        value: Array,
        attn_mask: Array | None,
        keep: Array | None,
        kept: np.floating,
        is_causal: bool,
        scale: float,
        causal_offset: int,
    ):
        self.query, self.key, self.value, self.attn_mask, self.keep, self.kept = query, key, value, attn_mask, keep, kept
        self.is_causal, self.scale, self.causal_offset = is_causal, scale, causal_offset
        L, (S, V) = query.shape[-2], value.shape[-2:]
        self.y, self.highest, self.total = (np.empty_like(query, shape=(*query.shape[:-1], n)) for n in (V, 1, 1))
        self.triangle = np.where(np.tri(BLOCK, dtype=bool), 0, -np.inf).astype(query.dtype)
        self.ones = np.ones((S, 1), query.dtype)  # sums as products, as in reduce.py
        self.rows = [slice(start, min(start + BLOCK, L)) for start in range(0, L, BLOCK)]

    def seen_by(self, rows: slice) -> slice:
        """Return the keys that some of these queries may attend to."""
        S = self.key.shape[-2]
        return slice(0, min(rows.stop + self.causal_offset, S) if self.is_causal else S)

    def scores(self, scaled: Array, keys: Array, at: Place, rows: slice, seen: slice) -> Array:
        """Compute the scores of one block from the scaled queries, with minus infinity where a query may not attend."""
        s: Array = scaled[..., rows, :] @ keys[..., seen, :].swapaxes(-1, -2)
        mask = None if self.attn_mask is None else _part(self.attn_mask, (*at, rows, seen))
        if mask is not None and mask.dtype == bool:
            np.copyto(s, -np.inf, where=~mask)
        elif mask is not None:
            s += mask
        if self.is_causal:
            corner = s[..., rows.start + self.causal_offset :]
            corner += self.triangle[: corner.shape[-2], : corner.shape[-1]]
        return s

    def forward(self, share: Share) -> None:
        """Write y of some heads, and for each query the highest score and the sum of its exponentials."""
        heads, group = share
        keys, values = self.key[group], self.value[group]
        for at in heads:
            scaled = self.query[at] * self.scale
            for rows in self.rows:
                seen = self.seen_by(rows)
                weights = self.scores(scaled, keys, at, rows, seen)
                high = weights.max(axis=-1, keepdims=True, initial=-np.inf)
                high[high == -np.inf] = 0  # the query may attend no key
                weights -= high
                np.exp(weights, out=weights)
                sums = weights @ self.ones[seen]
                sums[sums == 0] = 1
                self.highest[(*at, rows)], self.total[(*at, rows)] = high, sums
                if self.keep is not None:
                    weights *= self.keep[(*at, rows, seen)]
                np.multiply(weights @ values[..., seen, :], self.kept / sums, out=self.y[(*at, rows)])

    def backward(self, share: Share, dy: Array, dquery: Array, dkey: Array, dvalue: Array, dbias: Array | None) -> None:
        """Write the gradient of some heads' query, and add to those of key, value and the added mask."""
        heads, group = share
        keys, values = self.key[group], self.value[group]
        for at in heads:
            scaled, dvalues = self.query[at] * self.scale, dy[at] * (self.kept / self.total[at])
            through_total = np.einsum("...v,...v->...", dy[at], self.y[at])[..., None] / self.total[at]
            for rows in self.rows:
                seen = self.seen_by(rows)
                weights = self.scores(scaled, keys, at, rows, seen)  # not yet divided by their total
                weights -= self.highest[(*at, rows)]
                np.exp(weights, out=weights)
                dscores = dvalues[..., rows, :] @ values[..., seen, :].swapaxes(-1, -2)
                dropped = weights
                if self.keep is not None:
                    dropped = weights * self.keep[(*at, rows, seen)]
                    dscores *= self.keep[(*at, rows, seen)]
                dvalue[(*group, seen)] += dropped.swapaxes(-1, -2) @ dvalues[..., rows, :]
                dscores -= through_total[..., rows, :]
                dscores *= weights
                np.multiply(dscores @ keys[..., seen, :], self.scale, out=dquery[(*at, rows)])
                dkey[(*group, seen)] += dscores.swapaxes(-1, -2) @ scaled[..., rows, :]
                if dbias is not None:
                    part = _part(dbias, (*at, rows, seen))
                    part += sum_to_shape(dscores, part.shape)


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
    """Compute scaled_dot_product_attention of arrays that fit each other; key and value may have fewer heads (grouped queries).

    The backward is the same: dscores = weights * (dweights - sum of dy * y). Here the second term is a sum over V, not over S,
    because the sum of dweights * weights over the keys is the sum of dy * y.
    """
    kept = query.dtype.type(1 if keep is None else 1 / (1 - dropout_p) if dropout_p < 1 else 0)
    blocks = Blocks(query, key, value, attn_mask, keep, kept, is_causal, scale, causal_offset)
    shares = _shares(query, key)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,) * 5) -> tuple[Array | None, ...]:
        dquery, dkey, dvalue = np.empty_like(query), np.zeros_like(key), np.zeros_like(value)
        if attn_mask is None or attn_mask.dtype == bool or not needs[3]:
            in_parallel(lambda share: blocks.backward(share, dy, dquery, dkey, dvalue, None), shares)
            return dquery, dkey, dvalue, None, None
        dbias = np.zeros_like(attn_mask)
        for share in shares:  # one after the other, since heads may add to the same part of dbias
            blocks.backward(share, dy, dquery, dkey, dvalue, dbias)
        return dquery, dkey, dvalue, dbias, None

    in_parallel(blocks.forward, shares)
    return blocks.y, backward


def _shares(query: Array, key: Array) -> list[Share]:
    """Return the shares of work, at least one for each thread: sets of query heads, and the key heads that serve them.

    A set has one query head for each key head. It has as many heads as keep the scores of a block of queries below SCORES.
    Each set is an index for the axes before the last two.
    """
    if key.ndim == 2:
        return [([()], ())]
    *batch, H, S, _ = key.shape
    samples, each = list(np.ndindex(*batch)), query.shape[-3] // max(H, 1)
    parts = max(math.ceil(H * BLOCK * S / SCORES), math.ceil(get_num_threads() / max(len(samples), 1)))
    length = max(math.ceil(H / parts), 1)
    return [
        (
            [(*sample, slice(first * each + i, min(first + length, H) * each, each)) for i in range(each)],
            (*sample, slice(first, first + length)),
        )
        for sample in samples
        for first in range(0, H, length)
    ]


def _part(array: Array, block: Any) -> Array:
    """Return the view of an array that broadcasts to one block of the weights."""
    places = block[len(block) - array.ndim :]
    whole = [slice(None) if isinstance(place, slice) else 0 for place in places]
    chosen: Any = (..., *(w if n == 1 else place for n, place, w in zip(array.shape, places, whole, strict=True)))
    return array[chosen]
