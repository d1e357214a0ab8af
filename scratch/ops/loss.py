"""Losses between an input and a target of the same shape; both have a gradient.

`reduction` is "mean", "sum" or "none", as in torch.nn.functional. The formulas of the backward are those of "sum"; for "mean",
gradients are divided by the number of elements. The upstream gradient dy is 1 by default, unless reduction is "none".
"""

import math

import numpy as np

from scratch.checks import broadcasts_to, has_shape, one_float_dtype, one_of
from scratch.contract import op
from scratch.module import Array, Backward
from scratch.ops.boxes import are_boxes, giou


@op
def mse_loss(input: Array, target: Array, reduction: str = "mean") -> tuple[Array, Backward]:
    """Compute d² for d = input - target; dinput = 2 d dy, dtarget = -dinput."""
    _check_pair("mse_loss", input, target)
    difference = input - target
    return _reduced("mse_loss", input, difference * difference, 2 * difference, reduction)


@op
def l1_loss(input: Array, target: Array, reduction: str = "mean") -> tuple[Array, Backward]:
    """Compute |d| for d = input - target; dinput = sign(d) dy, dtarget = -dinput. The gradient is 0 where d is 0 or NaN."""
    _check_pair("l1_loss", input, target)
    difference = input - target
    sign = np.sign(difference)
    return _reduced("l1_loss", input, np.abs(difference), np.where(sign == sign, sign, 0), reduction)


@op
def smooth_l1_loss(input: Array, target: Array, reduction: str = "mean", beta: float = 1.0) -> tuple[Array, Backward]:
    """Compute d² / (2 beta) where |d| < beta, else |d| - beta / 2, for d = input - target (Girshick 2015, equation 3).

    dinput = d / beta dy where |d| < beta, else sign(d) dy; dtarget = -dinput. With beta = 0, this is l1_loss.
    """
    _check_pair("smooth_l1_loss", input, target)
    if not 0 <= beta < math.inf:
        raise ValueError(f"smooth_l1_loss: beta is {beta}, expected a finite number of 0 or more")
    if beta == 0:
        return l1_loss(input, target, reduction)
    difference = input - target
    distance = np.abs(difference)
    loss = np.where(distance < beta, 0.5 / beta * difference * difference, distance - 0.5 * beta)
    return _reduced("smooth_l1_loss", input, loss, np.clip(difference / beta, -1, 1), reduction)


@op
def binary_cross_entropy_with_logits(
    input: Array, target: Array, weight: Array | None = None, pos_weight: Array | None = None, reduction: str = "mean"
) -> tuple[Array, Backward]:
    """Compute -weight (pos_weight target log s + (1 - target) log(1 - s)) for s = sigmoid(input).

    weight and pos_weight broadcast to the input's shape and are constants.

        dinput = weight ((1 - target) s - pos_weight target (1 - s)) dy
        dtarget = weight (log(1 - s) - pos_weight log s) dy
    """
    op = "binary_cross_entropy_with_logits"
    one_float_dtype(op, input=input, target=target, weight=weight, pos_weight=pos_weight)
    has_shape(op, "target", target, input.shape)
    broadcasts_to(op, "weight", weight, input.shape)
    broadcasts_to(op, "pos_weight", pos_weight, input.shape)
    softplus = np.maximum(-input, 0) + np.log1p(np.exp(-np.abs(input)))  # -log s, without overflow
    sigmoid = 0.5 * np.tanh(0.5 * input) + 0.5
    scale = 1 if pos_weight is None else 1 + (pos_weight - 1) * target  # the factor of -log s
    loss = (1 - target) * input + scale * softplus
    slope = (1 - target) - scale * (1 - sigmoid)
    dtarget = -input + (0 if pos_weight is None else (pos_weight - 1) * softplus)
    if weight is not None:
        loss, slope, dtarget = loss * weight, slope * weight, dtarget * weight
    y, backward = _reduced(op, input, loss, slope, reduction, dtarget)
    return y, lambda dy: (*backward(dy), None, None)


@op
def sigmoid_focal_loss(
    input: Array, target: Array, alpha: float | None = 0.25, gamma: float = 2.0, reduction: str = "mean"
) -> tuple[Array, Backward]:
    """Compute a m^gamma e for logits z and targets t from 0 to 1 (Lin et al. 2017, equation 5, where m is 1 - p_t).

    With s = sigmoid(z), the probability that misses the target is m = s + t - 2 s t. The cross-entropy is e = (1 - t) z - log s.
    The weight is a = alpha t + (1 - alpha) (1 - t), or 1 if alpha is None. With k = gamma m^(gamma - 1) e:

        dinput = a (m^gamma (s - t) + k s (1 - s) (1 - 2 t)) dy
        dtarget = (a (k (1 - 2 s) - m^gamma z) + (2 alpha - 1) m^gamma e) dy
    """
    op = "sigmoid_focal_loss"
    _check_pair(op, input, target)
    if gamma < 0 or (alpha is not None and not 0 <= alpha <= 1):
        raise ValueError(f"{op}: expected alpha from 0 to 1, or None, and gamma of at least 0, got alpha {alpha} and gamma {gamma}")
    softplus = np.maximum(-input, 0) + np.log1p(np.exp(-np.abs(input)))
    sigmoid, entropy = 0.5 * np.tanh(0.5 * input) + 0.5, (1 - target) * input + softplus
    missed = sigmoid + target - 2 * sigmoid * target
    easy = missed**gamma
    per_missed = entropy * (gamma * missed ** (gamma - 1) if gamma else 0)  # the derivative of easy * entropy by `missed`
    scale, scale_slope = (1, 0) if alpha is None else (alpha * target + (1 - alpha) * (1 - target), 2 * alpha - 1)
    slope = scale * (easy * (sigmoid - target) + per_missed * sigmoid * (1 - sigmoid) * (1 - 2 * target))
    target_slope = scale_slope * easy * entropy + scale * (per_missed * (1 - 2 * sigmoid) - easy * input)
    return _reduced(op, input, scale * easy * entropy, slope, reduction, target_slope)


@op
def generalized_box_iou_loss(boxes1: Array, boxes2: Array, reduction: str = "mean") -> tuple[Array, Backward]:
    """Compute 1 - giou of each box of boxes1 (..., 4) and the box at its place in boxes2 (Rezatofighi et al. 2019, algorithm 1).

    dboxes1 and dboxes2 = those of generalized_box_iou for the upstream gradient -dy.
    """
    op = "generalized_box_iou_loss"
    are_boxes(op, boxes1=boxes1, boxes2=boxes2)
    has_shape(op, "boxes2", boxes2, boxes1.shape)
    y, giou_backward = giou(boxes1, boxes2)
    loss, backward = _reduced(op, boxes1, 1 - y, -np.ones_like(y), reduction)
    return loss, lambda dy: giou_backward(backward(dy)[0])


def _reduced(
    op: str, input: Array, loss: Array, slope: Array, reduction: str, target_slope: Array | None = None
) -> tuple[Array, Backward]:
    """Return the reduced loss and its backward, from each element's derivatives with respect to its input and its target.

    All are cast to the dtype of the input, because NumPy 1 computes with single numbers in float64.
    """
    one_of(op, "reduction", reduction, ("mean", "sum", "none"))
    dtype = input.dtype
    loss, slope = np.asarray(loss, dtype), np.asarray(slope, dtype)
    target_slope = None if target_slope is None else np.asarray(target_slope, dtype)
    with np.errstate(invalid="ignore"):  # the mean of no elements is NaN, as in torch
        y = loss if reduction == "none" else loss.sum() / dtype.type(loss.size) if reduction == "mean" else loss.sum()

    def backward(dy: Array) -> tuple[Array, Array]:
        scale = dy / dtype.type(max(loss.size, 1)) if reduction == "mean" else dy
        dinput = slope * scale
        return dinput, -dinput if target_slope is None else target_slope * scale

    return y, backward


def _check_pair(op: str, input: Array, target: Array) -> None:
    """Raise ValueError unless input and target have one dtype and one shape."""
    one_float_dtype(op, input=input, target=target)
    has_shape(op, "target", target, input.shape)
