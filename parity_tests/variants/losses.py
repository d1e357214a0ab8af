"""Losses over classes and over numbers."""

import numpy as np
from scipy.special import expit, log_expit, logsumexp
from scipy.special import softmax as scipy_softmax

from parity_tests.variants import sums
from parity_tests.variants.variant import variant

LABELS = "cross_entropy-mean cross_entropy-sum cross_entropy-none cross_entropy-weighted-* cross_entropy-pixels-* \
cross_entropy-one-sample"
SOFT = "cross_entropy-soft-*"


def _reduced(loss, reduction):
    """Return the reduced loss in its dtype, and the scale of every upstream gradient."""
    if reduction == "none":
        return loss, lambda dy: dy
    whole = loss.sum(dtype=loss.dtype)
    if reduction == "sum":
        return whole, lambda dy: dy
    return whole / loss.dtype.type(loss.size), lambda dy: dy / loss.dtype.type(loss.size)


def _pair_loss(loss, slope, reduction):
    """Return a loss between input and target whose gradients are opposite."""
    y, scaled = _reduced(loss, reduction)

    def backward(dy=1.0):
        dinput = (slope * scaled(dy)).astype(loss.dtype)
        return dinput, -dinput

    return y, backward


@variant("ops.mse_loss", also="MSELoss")
def mse_loss_by_powers(input, target, reduction="mean"):
    """Use a power, and divide the slope before it meets the upstream gradient."""
    return _pair_loss((target - input) ** 2, 2 * (input - target), reduction)


@variant("ops.mse_loss", only="mse_loss-mean mse_loss-sum", also="MSELoss")
def mse_loss_by_dot_product(input, target, reduction="mean"):
    """Take the dot product of the difference with itself."""
    d = (input - target).ravel()
    count = d.dtype.type(d.size if reduction == "mean" else 1)

    def backward(dy=1.0):
        dinput = (d * (2 * dy / count)).reshape(input.shape).astype(d.dtype)
        return dinput, -dinput

    return np.dot(d, d) / count, backward


@variant("ops.mse_loss", only="mse_loss-mean", also="MSELoss")
def mse_loss_compensated(input, target, reduction="mean"):
    """Add the squares by Kahan's method."""
    d = input - target

    def backward(dy=1.0):
        dinput = (dy * d / d.dtype.type(d.size / 2)).astype(d.dtype)
        return dinput, -dinput

    return sums.compensated((d * d).ravel()) / d.dtype.type(d.size), backward


@variant("ops.mse_loss", only="mse_loss-mean mse_loss-sum", also="MSELoss")
def mse_loss_one_by_one(input, target, reduction="mean"):
    """Add the squares one after the other."""
    d = (input - target).ravel()
    count = d.dtype.type(d.size if reduction == "mean" else 1)

    def backward(dy=1.0):
        dinput = (2 * d / count * dy).reshape(input.shape).astype(d.dtype)
        return dinput, -dinput

    return sums.one_by_one(d**2) / count, backward


@variant("ops.l1_loss", also="L1Loss")
def l1_loss_by_where(input, target, reduction="mean"):
    """Choose the sign of each difference."""
    d = input - target
    return _pair_loss(np.where(d >= 0, d, -d), np.where(d > 0, 1, np.where(d < 0, -1, 0)).astype(d.dtype), reduction)


@variant("ops.l1_loss", also="L1Loss")
def l1_loss_by_maximum(input, target, reduction="mean"):
    """Subtract the smaller number from the larger one."""
    slope = (input > target).astype(input.dtype) - (input < target).astype(input.dtype)
    return _pair_loss(np.maximum(input, target) - np.minimum(input, target), slope, reduction)


@variant("ops.smooth_l1_loss", also="SmoothL1Loss", but="*-beta-0")
def smooth_l1_loss_by_clipping(input, target, reduction="mean", beta=1.0):
    """Compute c (|d| - c / 2) for c = min(|d|, beta), all divided by beta."""
    d = input - target
    c = np.minimum(np.abs(d), beta)
    return _pair_loss(c * (np.abs(d) - c / 2) / beta, np.sign(d) * c / beta, reduction)


@variant("ops.smooth_l1_loss", also="SmoothL1Loss")
def smooth_l1_loss_by_masks(input, target, reduction="mean", beta=1.0):
    """Write each part only where it holds."""
    d = input - target
    loss, slope, near = np.abs(d) - input.dtype.type(beta / 2), np.sign(d), np.abs(d) < beta
    loss[near] = np.square(d[near]) / (2 * beta)
    slope[near] = d[near] / beta
    return _pair_loss(loss, slope, reduction)


def _binary(log_loss, input, target, weight, pos_weight, reduction):
    """Return the binary cross-entropy whose two logarithms are -log sigmoid(z) and -log sigmoid(-z) of log_loss."""
    missed, alarm = log_loss(input), log_loss(-input)
    p = 1 if pos_weight is None else pos_weight
    w = 1 if weight is None else weight
    y, scaled = _reduced((w * (p * target * missed + (1 - target) * alarm)).astype(input.dtype), reduction)

    def backward(dy=1.0):
        d = scaled(dy) * w
        dinput = d * ((1 - target) * expit(input) - p * target * expit(-input))
        return dinput.astype(input.dtype), (d * (p * missed - alarm)).astype(input.dtype), None, None

    return y, backward


@variant("ops.binary_cross_entropy_with_logits", also="BCEWithLogitsLoss BCEWithLogitsLoss-plain")
def binary_cross_entropy_by_log_expit(input, target, weight=None, pos_weight=None, reduction="mean"):
    """Write the formula of the textbook with SciPy's log of the sigmoid."""
    return _binary(lambda z: -log_expit(z), input, target, weight, pos_weight, reduction)


@variant("ops.binary_cross_entropy_with_logits", also="BCEWithLogitsLoss")
def binary_cross_entropy_by_logaddexp(input, target, weight=None, pos_weight=None, reduction="mean"):
    """Compute log(1 + exp(-z)) by logaddexp."""
    return _binary(lambda z: np.logaddexp(z.dtype.type(0), -z), input, target, weight, pos_weight, reduction)


@variant(
    "ops.binary_cross_entropy_with_logits",
    only="binary_cross_entropy_with_logits-mean binary_cross_entropy_with_logits-sum \
binary_cross_entropy_with_logits-none",
    also="BCEWithLogitsLoss-plain",
)
def binary_cross_entropy_by_one_softplus(input, target, weight=None, pos_weight=None, reduction="mean"):
    """Compute max(z, 0) - z t + log(1 + exp(-|z|)), as TensorFlow does, with the slope s - t."""
    e = np.exp(-np.abs(input))
    y, scaled = _reduced(np.maximum(input, 0) - input * target + np.log1p(e), reduction)

    def backward(dy=1.0):
        s = np.where(input >= 0, 1, e) / (1 + e)
        d = scaled(dy)
        return ((s - target) * d).astype(input.dtype), (-input * d).astype(input.dtype), None, None

    return y, backward


@variant("ops.sigmoid_focal_loss")
def sigmoid_focal_loss_by_classes(input, target, alpha=0.25, gamma=2.0, reduction="mean"):
    """Compute p_t and alpha_t as torchvision does."""
    s, sign = expit(input), 1 - 2 * target
    entropy = -target * log_expit(input) - (1 - target) * log_expit(-input)
    missed = 1 - (s * target + (1 - s) * (1 - target))
    a = 1 if alpha is None else (1 - alpha) + target * (2 * alpha - 1)
    power = missed**gamma
    y, scaled = _reduced((a * entropy * power).astype(input.dtype), reduction)

    def backward(dy=1.0):
        d = scaled(dy)
        per_missed = gamma * missed ** (gamma - 1) * entropy if gamma else 0
        dinput = a * (power * (s - target) + per_missed * sign * s * expit(-input))
        dtarget = a * (per_missed * (1 - 2 * s) - power * input)
        dtarget = dtarget if alpha is None else dtarget + (2 * alpha - 1) * power * entropy
        return (d * dinput).astype(input.dtype), (d * dtarget).astype(input.dtype)

    return y, backward


def _rows(input):
    """Return the input as rows of classes, and a function that puts rows back."""
    axis = min(input.ndim - 1, 1)
    last = np.moveaxis(input, axis, -1)
    return last.reshape(-1, last.shape[-1]), lambda rows: np.moveaxis(rows.reshape(last.shape), -1, axis)


def _samples(input):
    axis = min(input.ndim - 1, 1)
    return (*input.shape[:axis], *input.shape[axis + 1 :])


def _label_loss(input, target, weight, ignore_index, smoothing, reduction, log_softmax):
    """Return a cross-entropy with labels, from a function that computes the logarithms of the probabilities of rows."""
    rows, back = _rows(input)
    C, labels = rows.shape[1], target.reshape(-1)
    counted = labels != ignore_index
    w = np.ones(C, input.dtype) if weight is None else weight
    log_p = log_softmax(rows)
    hot = np.zeros_like(rows)
    hot[counted, labels[counted]] = 1
    share = counted.astype(input.dtype)[:, None] / input.dtype.type(C)
    q = (input.dtype.type(1 - smoothing) * hot + input.dtype.type(smoothing) * share) * w
    loss = -np.einsum("mc,mc->m", q, log_p)
    divisor = (hot @ w).sum() if reduction == "mean" else input.dtype.type(1)

    def backward(dy=1.0):
        scale = np.asarray(dy / divisor, input.dtype).reshape(-1, 1)
        return back(scale * (q.sum(axis=1, keepdims=True) * np.exp(log_p) - q)), None, None

    return loss.reshape(_samples(input)) if reduction == "none" else loss.sum() / divisor, backward


@variant("ops.cross_entropy", only=LABELS, also="CrossEntropyLoss CrossEntropyLoss-plain set_loss")
def cross_entropy_by_one_hot_rows(input, target, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    """Make the labels one-hot rows, and contract them with the log-probabilities."""

    def log_softmax(rows):
        return rows - logsumexp(rows, axis=1, keepdims=True)

    return _label_loss(input, target, weight, ignore_index, label_smoothing, reduction, log_softmax)


@variant("ops.cross_entropy", only=LABELS, also="CrossEntropyLoss")
def cross_entropy_in_float64(input, target, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    """Compute in float64 and cast back."""

    def log_softmax(rows):
        centred = rows - rows.max(axis=1, keepdims=True)
        return centred - np.log(np.exp(centred).sum(axis=1, keepdims=True))

    w = None if weight is None else weight.astype(np.float64)
    y, wide = _label_loss(input.astype(np.float64), target, w, ignore_index, label_smoothing, reduction, log_softmax)
    return y.astype(input.dtype), lambda dy=1.0: (wide(dy)[0].astype(input.dtype), None, None)


@variant(
    "ops.cross_entropy",
    only="cross_entropy-mean cross_entropy-weighted-mean cross_entropy-pixels-mean cross_entropy-one-sample",
    also="CrossEntropyLoss-plain detr_loss-no-objects",
)
def cross_entropy_sample_by_sample(input, target, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    """Loop over the samples that count; each label takes logsumexp minus its logit."""
    rows, back = _rows(input)
    C, labels = rows.shape[1], target.reshape(-1)
    w = np.ones(C, input.dtype) if weight is None else weight
    counted = [(m, row, label) for m, (row, label) in enumerate(zip(rows, labels, strict=True)) if label != ignore_index]
    divisor = np.sum([w[label] for _, _, label in counted], dtype=input.dtype)
    total = input.dtype.type(0)
    for _, row, label in counted:
        nll = logsumexp(row) - row
        total += (1 - label_smoothing) * w[label] * nll[label] + label_smoothing / C * (w @ nll)

    def backward(dy=1.0):
        drows = np.zeros_like(rows)
        for m, row, label in counted:
            q = label_smoothing / C * w
            q[label] += (1 - label_smoothing) * w[label]
            drows[m] = (scipy_softmax(row) * q.sum() - q) * (dy / divisor)
        return back(drows), None, None

    return total / divisor, backward


@variant("ops.cross_entropy", only=SOFT)
def cross_entropy_of_probabilities(input, target, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    """Keep the axis of the classes in its place."""
    C, M = input.shape[1], input.size // input.shape[1]
    along = (1, C, *[1] * (input.ndim - 2))
    w = np.ones(along, input.dtype) if weight is None else weight.reshape(along)
    q = w * (target + label_smoothing * (1 / C - target))
    log_p = input - logsumexp(input, axis=1, keepdims=True)
    loss = -(q * log_p).sum(axis=1)
    divisor = input.dtype.type(M if reduction == "mean" else 1)

    def backward(dy=1.0):
        scale = np.asarray(dy / divisor, input.dtype)
        scale = scale[:, None] if reduction == "none" else scale
        dinput = scale * (scipy_softmax(input, axis=1) * q.sum(axis=1, keepdims=True) - q)
        return dinput, -(1 - label_smoothing) * w * log_p * scale, None

    return loss if reduction == "none" else loss.sum() / divisor, backward


@variant("ops.nll_loss", also="NLLLoss NLLLoss-plain")
def nll_loss_by_one_hot_rows(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """Multiply by one-hot rows that hold the weights."""
    rows, back = _rows(input)
    w, labels = np.ones(rows.shape[1], input.dtype) if weight is None else weight, target.reshape(-1)
    hot = (labels[:, None] == np.arange(rows.shape[1])) * w * (labels != ignore_index)[:, None]
    loss = -(hot * rows).sum(axis=1)
    divisor = hot.sum() if reduction == "mean" else input.dtype.type(1)

    def backward(dy=1.0):
        return back(-hot * np.asarray(dy / divisor, input.dtype).reshape(-1, 1)), None, None

    return loss.reshape(_samples(input)) if reduction == "none" else loss.sum() / divisor, backward


@variant("ops.nll_loss", also="NLLLoss")
def nll_loss_by_take_along_axis(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """Take the numbers of the labels along the axis of the classes."""
    axis = min(input.ndim - 1, 1)
    counted = np.expand_dims(target != ignore_index, axis)
    labels = np.where(counted, np.expand_dims(target, axis), 0)
    w = counted.astype(input.dtype) if weight is None else np.where(counted, weight[labels], 0)
    loss = -w * np.take_along_axis(input, labels, axis)
    divisor = w.sum() if reduction == "mean" else input.dtype.type(1)

    def backward(dy=1.0):
        dinput = np.zeros_like(input)
        upstream = np.expand_dims(dy, axis) if reduction == "none" else dy
        np.put_along_axis(dinput, labels, -w * upstream / divisor, axis)
        return dinput, None, None

    return loss.squeeze(axis) if reduction == "none" else loss.sum() / divisor, backward


@variant("ops.dice_loss")
def dice_loss_class_by_class(input, target, smooth=1.0):
    """Loop over the classes, with dot products."""
    C, by_labels = input.shape[1], target.dtype.kind in "iu"
    losses, of_class = [], []
    for c in range(C):
        p, t = input[:, c].ravel(), ((target == c).astype(input.dtype) if by_labels else target[:, c]).ravel()
        overlap, total = 2 * (p @ t) + smooth, p @ p + t @ t + smooth
        losses.append(1 - overlap / total)
        of_class.append((p, t, overlap, total))

    def backward(dy=1.0):
        dinput, dtarget = np.zeros_like(input), np.zeros_like(input)
        for c, (p, t, overlap, total) in enumerate(of_class):
            dp, dt = ((2 * a * overlap / total**2 - 2 * b / total) * dy / C for a, b in ((p, t), (t, p)))
            dinput[:, c], dtarget[:, c] = dp.reshape(input[:, c].shape), dt.reshape(input[:, c].shape)
        return dinput, None if by_labels else dtarget

    return np.mean(losses, dtype=input.dtype), backward


@variant("ops.dice_loss")
def dice_loss_by_einsum(input, target, smooth=1.0):
    """Flatten the pixels and contract by einsum, in float64."""
    C, by_labels = input.shape[1], target.dtype.kind in "iu"
    p = np.moveaxis(input, 1, 0).reshape(C, -1).astype(np.float64)
    t = target.ravel() == np.arange(C)[:, None] if by_labels else np.moveaxis(target, 1, 0).reshape(C, -1)
    t = t.astype(np.float64)
    overlap = 2 * np.einsum("cm,cm->c", p, t) + smooth
    total = np.einsum("cm,cm->c", p, p) + np.einsum("cm,cm->c", t, t) + smooth
    shape = (C, len(input), *input.shape[2:])

    def backward(dy=1.0):
        a, b = (2 * overlap / total**2 / C * dy)[:, None], (2 / total / C * dy)[:, None]
        dp, dt = (np.moveaxis(d.reshape(shape), 0, 1).astype(input.dtype) for d in (a * p - b * t, a * t - b * p))
        return dp, None if by_labels else dt

    return (1 - overlap / total).mean().astype(input.dtype), backward
