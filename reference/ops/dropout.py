"""Inverted dropout (Srivastava et al. 2014, section 10) with a given mask."""

from torch import Tensor


def dropout(x: Tensor, keep: Tensor, p: float) -> Tensor:
    """Return x / (1 - p) where the boolean mask `keep` is true, else 0; torch's own dropout draws the mask itself."""
    return x * keep * (1 / (1 - p) if p < 1 else 0)
