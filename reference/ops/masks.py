"""Boolean attention masks, true where a query may attend a key."""

import torch
from torch import Tensor


def causal_mask(L: int, S: int | None = None, offset: int = 0) -> Tensor:
    """Return a mask (L, S) by which query i may attend the keys up to i + offset."""
    return torch.ones(L, L if S is None else S, dtype=torch.bool).tril(offset)


def padding_mask(lengths: Tensor, T: int) -> Tensor:
    """Return a mask (B, 1, 1, T), true in the first `lengths` (B,) of T positions."""
    return (torch.arange(T, device=lengths.device) < lengths[:, None])[:, None, None]
