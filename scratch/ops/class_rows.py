"""Functions that the losses over classes share: inputs as rows of classes, labels that count, and the reduction."""

import math

import numpy as np

from scratch.checks import are_labels, has_shape, one_float_dtype, one_of
from scratch.module import Array


def class_axis(input: Array) -> int:
    """Return the axis of the classes."""
    return 0 if input.ndim == 1 else 1


def class_rows(op: str, input: Array, target: Array, weight: Array | None, reduction: str, by_labels: bool) -> Array:
    """Return the input as rows of classes (M, C), or raise ValueError where something does not fit."""
    one_of(op, "reduction", reduction, ("mean", "sum", "none"))
    if input.ndim == 0:
        raise ValueError(f"{op}: expected input (N, C, ...) or (C,), got a scalar")
    axis = class_axis(input)
    has_shape(op, "target", target, input.shape[:axis] + input.shape[axis + 1 :] if by_labels else input.shape)
    if not by_labels:
        one_float_dtype(op, input=input, target=target)
    has_shape(op, "weight", weight, (input.shape[axis],))
    return np.moveaxis(input, axis, -1).reshape(math.prod((*input.shape[:axis], *input.shape[axis + 1 :])), input.shape[axis])


def unrows(rows: Array, input: Array) -> Array:
    """Return rows of classes in the shape of the input."""
    axis = class_axis(input)
    return np.moveaxis(rows.reshape(*input.shape[:axis], *input.shape[axis + 1 :], input.shape[axis]), -1, axis)


def counted_labels(op: str, target: Array, classes: int, ignore_index: int) -> tuple[Array, Array]:
    """Return the labels as one row, with 0 where ignored, and a mask of those that count."""
    are_labels(op, target)
    labels = target.reshape(-1)
    if labels.size and not classes:
        raise ValueError(f"{op}: expected at least one class, got {labels.size} labels and an input without classes")
    counted = labels != ignore_index
    labels = np.where(counted, labels, 0)
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"{op}: label {wrong} is out of range: expected 0 to {classes - 1}, or ignore_index {ignore_index}")
    return labels, counted


def reduced(loss: Array, reduction: str, divisor: Array, input: Array) -> Array:
    """Return the losses of the rows as one number, or in the shape of the samples for "none"."""
    if reduction == "none":
        axis = class_axis(input)
        return loss.reshape(input.shape[:axis] + input.shape[axis + 1 :])
    with np.errstate(invalid="ignore"):  # where no label counts, 0 / 0 is NaN, as in torch
        return loss.sum() / divisor if reduction == "mean" else loss.sum()


def inverse(divisor: Array, counted: Array) -> float:
    """Return 1 / divisor; for 0, return NaN if a row counts although its weight is 0, else 0, as in torch."""
    if divisor:
        return 1 / float(divisor)
    return math.nan if counted.any() else 0.0
