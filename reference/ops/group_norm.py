"""Group normalisation (Wu & He 2018)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def group_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, *, num_groups: int, eps: float = 1e-5
) -> Tensor:
    """Call F.group_norm, with the tensors as the first arguments."""
    if weight is None and bias is not None:  # torch refuses a bias alone
        weight = torch.ones_like(bias)
    return F.group_norm(x, num_groups, weight, bias, eps)
