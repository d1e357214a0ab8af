"""Pooling layers over sequences of unequal length: x (B, T, C) and lengths (B,) to (B, C)."""

from scratch.module import Array, Backward, Module
from scratch.ops.masked_pool import masked_max, masked_mean


class MaskedMean(Module):
    """The mean over the steps that are not padding."""

    def forward(self, x: Array, lengths: Array) -> tuple[Array, Backward]:
        return masked_mean(x, lengths)


class MaskedMax(Module):
    """The maximum over the steps that are not padding; of equal maxima the first gets the gradient."""

    def forward(self, x: Array, lengths: Array) -> tuple[Array, Backward]:
        return masked_max(x, lengths)
