"""The Dice loss of a segmentation: 1 minus its overlap with the true one."""

import math

import numpy as np

from scratch.checks import has_shape, one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward


@op
def dice_loss(input: Array, target: Array, smooth: float = 1.0) -> tuple[Array, Backward]:
    """Compute 1 - mean over classes of A / B (Milletari, Navab & Ahmadi 2016, section 3).

    For each class, A = 2 Σ p t + smooth and B = Σ p² + Σ t² + smooth. The sums run over all pixels of the batch. p is the input
    (N, C, ...), the probability of each class after a softmax or sigmoid. t is the target: labels (N, ...) as one-hot vectors,
    or fractions (N, C, ...). With `smooth`, which the paper lacks, a class that is neither there nor predicted has A / B = 1.

    With C classes, dp = 2 dy (p A / B - t) / (B C). Fractions have dt = 2 dy (t A / B - p) / (B C), labels have no gradient.
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
    """Return labels (N, ...) as one-hot vectors (N, ..., C) in the input's dtype."""
    N, C, *image = input.shape
    has_shape("dice_loss", "target", labels, (N, *image))
    if labels.size and (labels.min() < 0 or labels.max() >= C):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"dice_loss: label {wrong} is out of range: expected 0 to {C - 1}")
    return (labels[..., None] == np.arange(C)).astype(input.dtype)


def _shares(target: Array, input: Array) -> Array:
    """Return fractions (N, C, ...) as (N, ..., C)."""
    one_float_dtype("dice_loss", input=input, target=target)
    has_shape("dice_loss", "target", target, input.shape)
    return np.moveaxis(target, 1, -1)
