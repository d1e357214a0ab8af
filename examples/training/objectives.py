"""Objectives of training: a loss that both backends can compute, and the accuracy beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

import reference.ops
from examples.data.batches import IGNORED
from scratch import ops
from scratch.module import Array, Backward


@dataclass(frozen=True)
class Objective:
    """A loss of (*predictions, *targets) in both backends, such as set_loss of scratch and of reference.

    numpy     an op of scratch.ops: it returns the loss, or a tuple of terms to add, and the backward
    torch     the same function in PyTorch
    accuracy  the share of right predictions, of arrays or tensors; None if no prediction is simply right or wrong
    """

    numpy: Callable[..., tuple[Any, Backward]]
    torch: Callable[..., Any]
    accuracy: Callable[..., float] | None = None

    def numpy_loss(self, predictions: tuple[Any, ...], targets: tuple[Any, ...]) -> tuple[float, Sequence[Any]]:
        """Return the loss and the gradient of each prediction."""
        terms, backward = self.numpy(*predictions, *targets)
        terms = terms if isinstance(terms, tuple) else (terms,)
        gradients = backward(*(np.ones_like(term) for term in terms))
        return sum(map(float, terms)), gradients[: len(predictions)]

    def torch_loss(self, predictions: tuple[Any, ...], targets: tuple[Any, ...]) -> Tensor:
        """Return the loss as a tensor with its graph."""
        terms = self.torch(*predictions, *targets)
        return reduce(Tensor.add, terms) if isinstance(terms, tuple) else terms

    def share_right(self, predictions: tuple[Any, ...], targets: tuple[Any, ...]) -> float:
        """Return the accuracy; nan if there is none."""
        return math.nan if self.accuracy is None else self.accuracy(*predictions, *targets)


def cross_entropy(label_smoothing: float = 0.0) -> Objective:
    """Return the cross-entropy of logits (..., classes) with labels (...) or probabilities (..., classes).

    For a model with several heads it is the sum over the heads, and the accuracy is that of the first head.
    """
    options = dict(label_smoothing=label_smoothing)
    return Objective(
        partial(_cross_entropy_numpy, **options),
        partial(_cross_entropy_torch, **options),
        lambda *given: accuracy(*_heads(given)[0]),
    )


def cross_entropy_of_pixels(label_smoothing: float = 0.0, dice: float = 0.0) -> Objective:
    """Return the cross-entropy of logits (N, classes, H, W) with labels (N, H, W), plus `dice` times the Dice loss."""
    options: dict[str, Any] = dict(label_smoothing=label_smoothing, dice=dice)
    return Objective(partial(_pixels_numpy, **options), partial(_pixels_torch, **options), partial(accuracy, dim=1))


def accuracy(logits: Any, labels: Any, dim: int = -1) -> float:
    """Return the share of counted labels that are the argmax of their logits along `dim`, in either backend.

    Probabilities may take the place of labels; their argmax is then the label.
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


def _cross_entropy_torch(*given: Tensor, label_smoothing: float) -> tuple[Tensor, ...]:
    return tuple(F.cross_entropy(*_rows(*head), label_smoothing=label_smoothing) for head in _heads(given))


def _pixels_numpy(logits: Array, labels: Array, label_smoothing: float, dice: float) -> tuple[Any, Backward]:
    entropy, entropy_backward = ops.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    if not dice:
        return entropy, entropy_backward
    p, softmax_backward = ops.softmax(logits, dim=1)
    overlap, overlap_backward = ops.dice_loss(p, labels)

    def backward(dentropy: Array, doverlap: Array) -> list[Array]:
        dp, _ = overlap_backward(dice * doverlap)
        return [entropy_backward(dentropy)[0] + softmax_backward(dp)]  # the logits have two paths to the loss

    return (entropy, dice * overlap), backward


def _pixels_torch(logits: Tensor, labels: Tensor, label_smoothing: float, dice: float) -> Any:
    entropy = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return (entropy, dice * reference.ops.dice_loss(logits.softmax(1), labels)) if dice else entropy


def _heads(given: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    """Pair the logits of each head with its labels; all logits come before all labels."""
    half = len(given) // 2
    return list(zip(given[:half], given[half:], strict=True))


def _rows(logits: Any, labels: Any) -> tuple[Any, Any]:
    """Flatten to logits (M, classes) and labels (M,) or probabilities (M, classes)."""
    return logits.reshape(-1, logits.shape[-1]), labels.reshape(-1, *labels.shape[logits.ndim - 1 :])
