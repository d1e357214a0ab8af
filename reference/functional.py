"""torch functions in the form of scratch.ops, where torch.nn.functional takes its arguments otherwise."""

import torch.nn.functional as F
from torch import Tensor


def batch_norm(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """F.batch_norm that returns the new running statistics rather than writing into those it was given."""
    mean, var = (None if statistic is None else statistic.detach().clone() for statistic in (running_mean, running_var))
    return F.batch_norm(x, mean, var, weight, bias, training, momentum, eps), mean, var


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, pos_weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """F.binary_cross_entropy_with_logits with weights that are constants."""
    weight, pos_weight = (None if w is None else w.detach() for w in (weight, pos_weight))
    return F.binary_cross_entropy_with_logits(input, target, weight, pos_weight=pos_weight, reduction=reduction)


def dropout(x: Tensor, keep: Tensor, p: float) -> Tensor:
    """Dropout under a given boolean mask; torch's own draws one."""
    return x * keep / (1 - p)
