"""Root mean square normalisation (Zhang & Sennrich 2019)."""

from torch import Tensor
from torch.nn import functional as F


def rms_norm(x: Tensor, weight: Tensor | None = None, *, normalized_shape: tuple[int, ...], eps: float | None = None) -> Tensor:
    """Call F.rms_norm, with the tensors as the first arguments."""
    return F.rms_norm(x, normalized_shape, weight, eps)
