"""Losses between an input and a target of the same shape."""

from torch import Tensor
from torch.nn import functional as F
from torch.overrides import wrap_torch_function

from reference.ops.boxes import giou


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, pos_weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Call F.binary_cross_entropy_with_logits, with both kinds of weights as constants."""
    weight, pos_weight = (None if w is None else w.detach() for w in (weight, pos_weight))
    return F.binary_cross_entropy_with_logits(input, target, weight, pos_weight=pos_weight, reduction=reduction)


@wrap_torch_function(lambda input, target, *others, **options: (input, target))
def sigmoid_focal_loss(
    input: Tensor, target: Tensor, alpha: float | None = 0.25, gamma: float = 2.0, reduction: str = "mean"
) -> Tensor:
    """Return torchvision's sigmoid_focal_loss: the binary cross-entropy of logits times (1 - p_t)^gamma (Lin et al. 2017)."""
    p = input.sigmoid()
    p_t = p * target + (1 - p) * (1 - target)
    loss = F.binary_cross_entropy_with_logits(input, target, reduction="none") * (1 - p_t) ** gamma
    if alpha is not None:
        loss = loss * (alpha * target + (1 - alpha) * (1 - target))
    return _reduced(loss, reduction)


@wrap_torch_function(lambda boxes1, boxes2, *others, **options: (boxes1, boxes2))
def generalized_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "mean") -> Tensor:
    """Return 1 - the generalised IoU of each box of boxes1 (..., 4) and the box at the same index of boxes2."""
    return _reduced(1 - giou(boxes1, boxes2), reduction)


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    """Return the loss itself, its mean or its sum."""
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()
