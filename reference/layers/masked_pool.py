"""Pooling layers for sequences of different lengths: x (B, T, C) and lengths (B,) to (B, C)."""

from torch import Tensor, nn

from reference.ops import masked_max, masked_mean


class MaskedMean(nn.Module):
    """Mean over the steps before each length."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return masked_mean(x, lengths)


class MaskedMax(nn.Module):
    """Maximum over the steps before each length; the first of equal maxima gets the gradient."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return masked_max(x, lengths)
