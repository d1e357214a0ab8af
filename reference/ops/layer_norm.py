"""Layer normalisation (Ba, Kiros & Hinton 2016)."""

from torch import Tensor
from torch.nn import functional as F


def layer_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, normalized_shape: tuple[int, ...], eps: float = 1e-5
) -> Tensor:
    """Call F.layer_norm, with the tensors as the first arguments."""
    return F.layer_norm(x, normalized_shape, weight, bias, eps)
