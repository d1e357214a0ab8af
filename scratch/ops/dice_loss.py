"""The Dice loss: how far a segmentation is from overlapping with the true one."""

import math

import numpy as np

from scratch.checks import has_shape, one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward


@op
def dice_loss(input: Array, target: Array, smooth: float = 1.0) -> tuple[Array, Backward]:
    """1 - the mean over the classes of (2 Σ p t + smooth) / (Σ p² + Σ t² + smooth) (Milletari, Navab & Ahmadi 2016, section 3).

    The sums run over all pixels of the batch. p is the input's probability (N, C, ...) of a class, after a softmax or sigmoid;
    t is 1 where target (N, ...) holds the class's label and 0 elsewhere, or a target's own share of it (N, C, ...). The paper
    has no smooth, which makes 1 of a class that is neither there nor predicted. Shares have a gradient, labels have none.
    """
    one_float_dtype("dice_loss", input=input)
    if input.ndim < 2:
        raise ValueError(f"dice_loss: expected input (N, C, ...), got {input.shape}")
    if not 0 <= smooth < math.inf:
        raise ValueError(f"dice_loss: smooth is {smooth}, expected 0 or more")
    by_labels = np.issubdtype(target.dtype, np.integer)
    p = np.moveaxis(input, 1, -1)
    t = _one_hot(target, input) if by_labels else _shares(target, input)
    pixels = tuple(range(p.ndim - 1))
    overlap = 2 * (p * t).sum(axis=pixels) + smooth
    total = (p * p).sum(axis=pixels) + (t * t).sum(axis=pixels) + smooth
    loss = (1 - overlap / total).mean()

    def backward(dy: Array) -> tuple[Array, Array | None]:
        by_overlap = -2 * dy / (total * len(total))
        by_total = -by_overlap * (overlap / total)
        dinput = by_overlap * t + by_total * p
        return np.moveaxis(dinput, -1, 1), None if by_labels else np.moveaxis(by_overlap * p + by_total * t, -1, 1)

    return loss, backward


def _one_hot(labels: Array, input: Array) -> Array:
    """Labels (N, ...) as shares (N, ..., C) of 0 and 1, in the input's dtype."""
    N, C, *image = input.shape
    has_shape("dice_loss", "target", labels, (N, *image))
    if labels.size and (labels.min() < 0 or labels.max() >= C):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"dice_loss: label {wrong} is out of range: expected 0 to {C - 1}")
    return (labels[..., None] == np.arange(C)).astype(input.dtype)


def _shares(target: Array, input: Array) -> Array:
    """Shares (N, C, ...) as (N, ..., C)."""
    one_float_dtype("dice_loss", input=input, target=target)
    has_shape("dice_loss", "target", target, input.shape)
    return np.moveaxis(target, 1, -1)
