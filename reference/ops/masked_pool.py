"""Pooling over sequences of different lengths."""

import torch
from torch import Tensor


def masked_mean(x: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean over the first lengths (B,) steps of x (B, T, C)."""
    return x.masked_fill(_beyond(x, lengths), 0).sum(dim=1) / lengths[:, None]


def masked_max(x: Tensor, lengths: Tensor) -> Tensor:
    """Return the maximum over the first lengths (B,) steps of x (B, T, C)."""
    return x.masked_fill(_beyond(x, lengths), -torch.inf).max(dim=1).values


def _beyond(x: Tensor, lengths: Tensor) -> Tensor:
    """Return a mask (B, T, 1), true at the padding of x (B, T, C), which begins at lengths (B,)."""
    return (torch.arange(x.shape[1], device=x.device) >= lengths[:, None])[:, :, None]
