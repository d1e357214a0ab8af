"""Cross-entropy and negative log-likelihood over classes.

The class axis is the second, as in torch: input (N, C, ...) with labels (N, ...), or one sample (C,) with one label ().
"""

import math

import numpy as np

from scratch.checks import are_labels, has_shape, one_float_dtype, one_of
from scratch.contract import op
from scratch.fast.threads import Part, in_blocks
from scratch.module import Array, Backward
from scratch.ops.softmax import log_softmax


@op
def cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> tuple[Array, Backward]:
    """Compute loss = -Σ_c weight_c q_c log p_c for p = softmax(input), as torch.nn.functional.cross_entropy.

    q = (1 - ε) target + ε / C with ε = label_smoothing (Szegedy et al. 2016, section 7). target holds integer labels (one-hot
    in the formula), or probabilities in the input's shape. weight (C,) scales each class and is a constant. Labels equal to
    ignore_index have no effect. "mean" divides by the sum of weight at the labels that count, or for probabilities by
    the number of samples. With dy divided likewise:

        dinput = dy (p Σ_c weight_c q_c - weight q), without weights dy (p - q)
        dtarget = -dy (1 - ε) weight log p for probabilities
    """
    one_float_dtype("cross_entropy", input=input, weight=weight)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is {label_smoothing}, expected 0 to 1")
    by_labels = np.issubdtype(target.dtype, np.integer)
    if not by_labels and ignore_index >= 0:
        raise ValueError(f"cross_entropy: ignore_index is {ignore_index}, expected none where the target holds probabilities")
    rows = _rows("cross_entropy", input, target, weight, reduction, by_labels)
    M, C = rows.shape
    class_weight = np.ones(C, input.dtype) if weight is None else weight
    if by_labels:
        labels, counted = _counted_labels("cross_entropy", target, C, ignore_index)
        label_weight = class_weight[labels] * counted
        divisor = label_weight.sum()
        scale = _inverse(divisor, counted) if reduction == "mean" else 1.0
        loss, drows = _with_labels(rows, labels, label_weight, counted, class_weight, label_smoothing, scale)

        def backward(dy: Array) -> tuple[Array, Array | None, None]:
            whole = reduction != "none" and dy == 1  # usually the backward pass starts at the loss
            return _unrows(drows if whole else drows * dy.reshape(-1, 1), input), None, None

        return _reduce(loss, reduction, divisor, input), backward

    soft = (1 - label_smoothing) * np.moveaxis(target, _class_axis(input), -1).reshape(M, C) + label_smoothing / max(C, 1)
    log_p, _ = log_softmax(rows)
    loss = -((soft * log_p) @ class_weight)

    def backward_of_probabilities(dy: Array) -> tuple[Array, Array | None, None]:
        of_mean = dy / input.dtype.type(max(M, 1)) if reduction == "mean" else dy
        scale = (dy.reshape(M) if reduction == "none" else np.broadcast_to(of_mean, M))[:, None]
        drows = (np.exp(log_p) * (soft @ class_weight)[:, None] - soft * class_weight) * scale
        dtarget = (label_smoothing - 1) * class_weight * log_p * scale
        return _unrows(drows, input), _unrows(dtarget, input), None

    return _reduce(loss, reduction, input.dtype.type(M), input), backward_of_probabilities


@op
def nll_loss(
    input: Array, target: Array, weight: Array | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> tuple[Array, Backward]:
    """Compute loss = -weight[target] input[target] for log-probabilities, as torch.nn.functional.nll_loss.

    Shapes, weight, ignore_index and reduction are those of cross_entropy. dinput = -dy weight[target] at the target, else 0.
    """
    one_float_dtype("nll_loss", input=input, weight=weight)
    rows = _rows("nll_loss", input, target, weight, reduction, by_labels=True)
    M, C = rows.shape
    labels, counted = _counted_labels("nll_loss", target, C, ignore_index)
    label_weight = counted.astype(input.dtype) if weight is None else weight[labels] * counted
    divisor = label_weight.sum()
    loss = -label_weight * np.where(counted, rows[np.arange(M), labels], 0)

    def backward(dy: Array) -> tuple[Array, None, None]:
        drows = np.zeros_like(rows)
        scale = dy.reshape(M) if reduction == "none" else dy * _inverse(divisor, counted) if reduction == "mean" else dy
        drows[np.arange(M), labels] = np.where(counted, -label_weight * scale, rows.dtype.type(0))
        return _unrows(drows, input), None, None

    return _reduce(loss, reduction, divisor, input), backward


def _with_labels(
    rows: Array, labels: Array, label_weight: Array, counted: Array, class_weight: Array, smoothing: float, scale: float
) -> tuple[Array, Array]:
    """Return the loss of each row and its gradient times `scale`, block by block, so that memory is read once.

    With z = row - max(row) and mass = Σ_c weight_c q_c, loss = mass log Σ exp(z) - Σ_c weight_c q_c z_c.
    """
    on_label, elsewhere = (1 - smoothing) * label_weight, smoothing / max(rows.shape[1], 1) * counted.astype(rows.dtype)
    mass = on_label + elsewhere * class_weight.sum()
    loss, drows = np.empty_like(mass), np.empty(rows.shape, rows.dtype)

    def block(part: Part) -> None:
        z = np.subtract(rows[part], rows[part].max(axis=1, keepdims=True, initial=-np.inf), out=drows[part])
        label = np.arange(len(z)), labels[part]
        on_target = on_label[part] * z[label]
        if smoothing:
            on_target += elsewhere[part] * (z @ class_weight)
        exp = np.exp(z, out=z)
        total = np.einsum("mc->m", exp)
        loss[part] = mass[part] * np.log(total) - on_target
        exp *= (scale * mass[part] / total)[:, None]
        exp[label] -= scale * on_label[part]
        if smoothing:
            exp -= scale * elsewhere[part, None] * class_weight
        broken = ~counted[part] & ~np.isfinite(loss[part] + scale / total)
        if broken.any():  # an ignored row has no effect, not even with NaN
            loss[part][broken], exp[broken] = 0, 0

    in_blocks(block, drows)
    return loss, drows


def _class_axis(input: Array) -> int:
    """Return the axis of the classes."""
    return 0 if input.ndim == 1 else 1


def _rows(op: str, input: Array, target: Array, weight: Array | None, reduction: str, by_labels: bool) -> Array:
    """Return the input as rows of classes (M, C), or raise ValueError where something does not fit."""
    one_of(op, "reduction", reduction, ("mean", "sum", "none"))
    if input.ndim == 0:
        raise ValueError(f"{op}: expected input (N, C, ...) or (C,), got a scalar")
    axis = _class_axis(input)
    has_shape(op, "target", target, input.shape[:axis] + input.shape[axis + 1 :] if by_labels else input.shape)
    if not by_labels:
        one_float_dtype(op, input=input, target=target)
    has_shape(op, "weight", weight, (input.shape[axis],))
    return np.moveaxis(input, axis, -1).reshape(math.prod((*input.shape[:axis], *input.shape[axis + 1 :])), input.shape[axis])


def _unrows(rows: Array, input: Array) -> Array:
    """Return rows of classes in the shape of the input."""
    axis = _class_axis(input)
    return np.moveaxis(rows.reshape(*input.shape[:axis], *input.shape[axis + 1 :], input.shape[axis]), -1, axis)


def _counted_labels(op: str, target: Array, classes: int, ignore_index: int) -> tuple[Array, Array]:
    """Return the labels as one row, with 0 where ignored, and a mask of those that count."""
    are_labels(op, target)
    labels = target.reshape(-1)
    counted = labels != ignore_index
    labels = np.where(counted, labels, 0)
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"{op}: label {wrong} is out of range: expected 0 to {classes - 1}, or ignore_index {ignore_index}")
    return labels, counted


def _reduce(loss: Array, reduction: str, divisor: Array, input: Array) -> Array:
    """Return the losses of the rows as one number, or in the shape of the samples for "none"."""
    if reduction == "none":
        axis = _class_axis(input)
        return loss.reshape(input.shape[:axis] + input.shape[axis + 1 :])
    with np.errstate(invalid="ignore"):  # where no label counts, 0 / 0 is NaN, as in torch
        return loss.sum() / divisor if reduction == "mean" else loss.sum()


def _inverse(divisor: Array, counted: Array) -> float:
    """Return 1 / divisor; for 0, return NaN if a row counts although its weight is 0, else 0, as in torch."""
    if divisor:
        return 1 / float(divisor)
    return math.nan if counted.any() else 0.0
