"""Boolean attention masks: true where a query may attend a key. They have no gradient.

They are ops of their own because a wrong mask can hide behind a softmax, where a wrongly attended key may weigh little.
"""

import numpy as np

from scratch.contract import op
from scratch.module import Array, Backward


@op
def causal_mask(L: int, S: int | None = None, offset: int = 0) -> tuple[Array, Backward]:
    """Return the mask (L, S) with which query i may attend the keys up to i + offset; S is L by default.

    `offset` is the number of keys before the first query, as in a key-value cache. There is no gradient.
    """
    if L < 0 or (S is not None and S < 0) or offset < 0:
        raise ValueError(f"causal_mask: expected sizes and an offset of at least 0, got L {L}, S {S} and offset {offset}")
    return np.tri(L, S, offset, dtype=bool), lambda dmask: None


@op
def padding_mask(lengths: Array, T: int) -> tuple[Array, Backward]:
    """Return the mask (B, 1, 1, T) with which every query and head may attend the first lengths (B,) keys. No gradient."""
    if T < 0:
        raise ValueError(f"padding_mask: T is {T}, expected at least 0")
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        raise ValueError(f"padding_mask: expected lengths (B,) of whole numbers, got {lengths.dtype} of shape {lengths.shape}")
    if lengths.size and (lengths.min() < 0 or lengths.max() > T):
        raise ValueError(f"padding_mask: expected lengths from 0 to {T}, got {lengths.min()} to {lengths.max()}")
    return (np.arange(T) < lengths[:, None])[:, None, None], lambda dmask: None
