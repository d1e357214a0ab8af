"""Boolean masks of attention: true where a query may attend a key. They have no gradient.

A wrong mask can hide behind the softmax, where what it lets through weighs little: these are compared as they are.
"""

import numpy as np

from scratch.contract import op
from scratch.module import Array, Backward


@op
def causal_mask(L: int, S: int | None = None, offset: int = 0) -> tuple[Array, Backward]:
    """(L, S), S = L where it is not given: query i may attend the keys up to i + offset, as many as were there before it."""
    if L < 0 or (S is not None and S < 0) or offset < 0:
        raise ValueError(f"causal_mask: expected sizes and an offset of at least 0, got L {L}, S {S} and offset {offset}")
    return np.tri(L, S, offset, dtype=bool), lambda dmask: None


@op
def padding_mask(lengths: Array, T: int) -> tuple[Array, Backward]:
    """(B, 1, 1, T) of lengths (B,): the keys within its length, for every query and head; none where a length is 0."""
    if T < 0:
        raise ValueError(f"padding_mask: T is {T}, expected at least 0")
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        raise ValueError(f"padding_mask: expected lengths (B,) of whole numbers, got {lengths.dtype} of shape {lengths.shape}")
    if lengths.size and (lengths.min() < 0 or lengths.max() > T):
        raise ValueError(f"padding_mask: expected lengths from 0 to {T}, got {lengths.min()} to {lengths.max()}")
    return (np.arange(T) < lengths[:, None])[:, None, None], lambda dmask: None
