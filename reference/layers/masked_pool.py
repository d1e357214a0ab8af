"""Pooling over sequences of unequal length as layers: x (B, T, C) and lengths (B,) to (B, C)."""

from torch import Tensor, nn

from reference.ops import masked_max, masked_mean


class MaskedMean(nn.Module):
    """The mean over the steps that are there."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return masked_mean(x, lengths)


class MaskedMax(nn.Module):
    """The maximum over the steps that are there; of equal maxima the first gets the gradient."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return masked_max(x, lengths)
