"""What a task makes small: a loss that both backends have, and the share of right answers beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import reference.ops
from scratch import ops
from scratch.module import Array, Backward

IGNORED = -100  # a label that counts for nothing


@dataclass(frozen=True)
class Objective:
    """A loss of a model's predictions and a batch's targets, (*predictions, *targets), such as set_loss of both packages.

    numpy     the loss, or its parts, which are summed, and their backward, as an op of scratch.ops
    torch     the same in PyTorch
    accuracy  a share from 0 to 1, of arrays or tensors; None where answers are not right or wrong one by one
    """

    numpy: Callable[..., tuple[Any, Backward]]
    torch: Callable[..., Any]
    accuracy: Callable[..., float] | None = None

    def numpy_loss(self, predictions: tuple[Any, ...], targets: tuple[Any, ...]) -> tuple[float, Sequence[Any]]:
        """The loss and the gradient of each prediction."""
        parts, backward = self.numpy(*predictions, *targets)
        parts = parts if isinstance(parts, tuple) else (parts,)
        gradients = backward(*(np.ones_like(part) for part in parts))
        return sum(map(float, parts)), gradients[: len(predictions)]

    def torch_loss(self, predictions: tuple[Any, ...], targets: tuple[Any, ...]) -> torch.Tensor:
        """The loss, with its graph."""
        parts = self.torch(*predictions, *targets)
        return sum(parts[1:], parts[0]) if isinstance(parts, tuple) else parts

    def share_right(self, predictions: tuple[Any, ...], targets: tuple[Any, ...]) -> float:
        """The accuracy; nan where there is none."""
        return math.nan if self.accuracy is None else self.accuracy(*predictions, *targets)


def cross_entropy(label_smoothing: float = 0.0) -> Objective:
    """Of logits (..., classes) for labels (...) or probabilities (..., classes).

    With several heads, each of which has its labels, it is the sum of theirs; the accuracy is that of the first.
    """
    options = dict(label_smoothing=label_smoothing)
    return Objective(
        partial(_cross_entropy_numpy, **options),
        partial(_cross_entropy_torch, **options),
        lambda *given: accuracy(*_heads(given)[0]),
    )


def cross_entropy_of_pixels(label_smoothing: float = 0.0, dice: float = 0.0) -> Objective:
    """Of logits (N, classes, H, W) for labels (N, H, W), and so many times the Dice loss of their probabilities."""
    options = dict(label_smoothing=label_smoothing, dice=dice)
    return Objective(partial(_pixels_numpy, **options), partial(_pixels_torch, **options), partial(accuracy, dim=1))


def accuracy(logits: Any, labels: Any, dim: int = -1) -> float:
    """The share of labels that are the largest of their logits along `dim`, of those that count, in either backend.

    In place of labels there may be probabilities, of which the largest is the label.
    """
    if labels.ndim == logits.ndim:
        labels = labels.argmax(dim)
    counted = labels != IGNORED
    return float(((logits.argmax(dim) == labels) & counted).sum()) / max(1, int(counted.sum()))


def _cross_entropy_numpy(*given: Array, label_smoothing: float) -> tuple[tuple[Array, ...], Backward]:
    heads = _heads(given)
    losses, backwards = zip(*(ops.cross_entropy(*_rows(*head), label_smoothing=label_smoothing) for head in heads), strict=True)

    def backward(*dlosses: Array) -> list[Array]:
        return [
            backward(dloss)[0].reshape(logits.shape) for backward, dloss, (logits, _) in zip(backwards, dlosses, heads, strict=True)
        ]

    return losses, backward


def _cross_entropy_torch(*given: torch.Tensor, label_smoothing: float) -> tuple[torch.Tensor, ...]:
    return tuple(F.cross_entropy(*_rows(*head), label_smoothing=label_smoothing) for head in _heads(given))


def _pixels_numpy(logits: Array, labels: Array, label_smoothing: float, dice: float) -> tuple[Any, Backward]:
    entropy, entropy_backward = ops.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    if not dice:
        return entropy, entropy_backward
    p, softmax_backward = ops.softmax(logits, dim=1)
    overlap, overlap_backward = ops.dice_loss(p, labels)

    def backward(dentropy: Array, doverlap: Array) -> list[Array]:
        dp, _ = overlap_backward(dice * doverlap)
        return [entropy_backward(dentropy)[0] + softmax_backward(dp)]  # two paths meet

    return (entropy, dice * overlap), backward


def _pixels_torch(logits: torch.Tensor, labels: torch.Tensor, label_smoothing: float, dice: float) -> Any:
    entropy = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return (entropy, dice * reference.ops.dice_loss(logits.softmax(1), labels)) if dice else entropy


def _heads(given: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    """The logits and labels of each head, of all logits followed by all labels."""
    half = len(given) // 2
    return list(zip(given[:half], given[half:], strict=True))


def _rows(logits: Any, labels: Any) -> tuple[Any, Any]:
    """Logits (M, classes) with their labels (M,) or probabilities (M, classes)."""
    return logits.reshape(-1, logits.shape[-1]), labels.reshape(-1, *labels.shape[logits.ndim - 1 :])
