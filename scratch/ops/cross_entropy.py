"""Cross-entropy and negative log-likelihood over classes.

The class axis is the second, as in torch: input (N, C, ...) with labels (N, ...), or one sample (C,) with a label ().
"""

import numpy as np

from scratch.module import Array, Backward
from scratch.ops.checks import has_shape, one_float_dtype, one_of


def cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> tuple[Array, Backward]:
    """-log softmax(input) at the target, as torch.nn.functional.cross_entropy.

    target holds integer labels, or probabilities in an array of the input's shape. weight (C,) scales each class;
    labels equal to ignore_index count for nothing; label_smoothing moves that share of each target to the uniform
    distribution (Szegedy et al. 2016, section 7). "mean" divides by the weight of the labels that count, or for
    probabilities by the number of samples. Probabilities have a gradient too; weight is taken as a constant.
    """
    one_float_dtype("cross_entropy", input=input, weight=weight)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is {label_smoothing}, expected 0 to 1")
    by_labels = np.issubdtype(target.dtype, np.integer)
    rows = _rows("cross_entropy", input, target, weight, reduction, by_labels)
    M, C = rows.shape
    class_weight = np.ones(C, input.dtype) if weight is None else weight
    log_p = rows - rows.max(axis=1, keepdims=True)
    p = np.exp(log_p)
    total = p.sum(axis=1, keepdims=True)
    log_p -= np.log(total)
    p /= total

    if by_labels:
        labels, counted = _counted_labels("cross_entropy", target, C, ignore_index)
        label_weight = class_weight[labels] * counted
        on_label, elsewhere = 1 - label_smoothing, label_smoothing / C
        loss = -on_label * label_weight * log_p[np.arange(M), labels]
        if label_smoothing:
            loss -= elsewhere * counted * (log_p @ class_weight)
        divisor = label_weight.sum()
    else:
        soft = (1 - label_smoothing) * np.moveaxis(target, _class_axis(input), -1).reshape(M, C) + label_smoothing / C
        loss = -((soft * log_p) @ class_weight)
        divisor = input.dtype.type(M)

    def backward(dy: Array) -> tuple[Array, Array | None, None]:
        scale = _row_scale(dy, reduction, divisor, M)
        if by_labels:
            mass = on_label * label_weight + elsewhere * class_weight.sum() * counted  # what each row's target weighs in all
            drows = p * (mass * scale)[:, None]
            drows[np.arange(M), labels] -= on_label * label_weight * scale
            if label_smoothing:
                drows -= elsewhere * class_weight * (counted * scale)[:, None]
            return _unrows(drows, input), None, None
        drows = (p * (soft @ class_weight)[:, None] - soft * class_weight) * scale[:, None]
        dtarget = (label_smoothing - 1) * class_weight * log_p * scale[:, None]
        return _unrows(drows, input), _unrows(dtarget, input), None

    return _reduce(loss, reduction, divisor, input), backward


def nll_loss(
    input: Array, target: Array, weight: Array | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> tuple[Array, Backward]:
    """-weight[target] * input[target] for log-probabilities, as torch.nn.functional.nll_loss."""
    one_float_dtype("nll_loss", input=input, weight=weight)
    rows = _rows("nll_loss", input, target, weight, reduction, by_labels=True)
    M, C = rows.shape
    labels, counted = _counted_labels("nll_loss", target, C, ignore_index)
    label_weight = counted.astype(input.dtype) if weight is None else weight[labels] * counted
    divisor = label_weight.sum()
    loss = -label_weight * rows[np.arange(M), labels]

    def backward(dy: Array) -> tuple[Array, None, None]:
        drows = np.zeros_like(rows)
        drows[np.arange(M), labels] = -label_weight * _row_scale(dy, reduction, divisor, M)
        return _unrows(drows, input), None, None

    return _reduce(loss, reduction, divisor, input), backward


def _class_axis(input: Array) -> int:
    return 0 if input.ndim == 1 else 1


def _rows(op: str, input: Array, target: Array, weight: Array | None, reduction: str, by_labels: bool) -> Array:
    """The input as rows of classes (M, C), once everything is found to fit."""
    one_of(op, "reduction", reduction, ("mean", "sum", "none"))
    if input.ndim == 0:
        raise ValueError(f"{op}: expected input (N, C, ...) or (C,), got a scalar")
    axis = _class_axis(input)
    has_shape(op, "target", target, input.shape[:axis] + input.shape[axis + 1 :] if by_labels else input.shape)
    if not by_labels:
        one_float_dtype(op, input=input, target=target)
    has_shape(op, "weight", weight, (input.shape[axis],))
    return np.moveaxis(input, axis, -1).reshape(-1, input.shape[axis])


def _unrows(rows: Array, input: Array) -> Array:
    """Rows of classes in the input's own shape."""
    axis = _class_axis(input)
    return np.moveaxis(rows.reshape(*input.shape[:axis], *input.shape[axis + 1 :], input.shape[axis]), -1, axis)


def _counted_labels(op: str, target: Array, classes: int, ignore_index: int) -> tuple[Array, Array]:
    """The labels in a row, 0 where ignored, and which of them count."""
    labels = target.reshape(-1)
    counted = labels != ignore_index
    labels = np.where(counted, labels, 0)
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"{op}: label {wrong} is out of range: expected 0 to {classes - 1}, or ignore_index {ignore_index}")
    return labels, counted


def _reduce(loss: Array, reduction: str, divisor: Array, input: Array) -> Array:
    if reduction == "none":
        axis = _class_axis(input)
        return loss.reshape(input.shape[:axis] + input.shape[axis + 1 :])
    with np.errstate(invalid="ignore"):  # nothing to count: 0 / 0 is nan, as in torch
        return loss.sum() / divisor if reduction == "mean" else loss.sum()


def _row_scale(dy: Array, reduction: str, divisor: Array, rows: int) -> Array:
    """The gradient of the reduced loss with respect to each row's loss; 0 where no row counts, as in torch."""
    if reduction == "none":
        return dy.reshape(rows)
    return np.broadcast_to(dy / (divisor or 1) if reduction == "mean" else dy, rows)
