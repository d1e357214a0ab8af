"""Cross-entropy over classes.

The class axis is the second, as in torch: input (N, C, ...) with labels (N, ...), or one sample (C,) with one label ().
"""

import numpy as np

from scratch.checks import one_float_dtype
from scratch.contract import op
from scratch.fast.threads import Part, in_blocks
from scratch.module import Array, Backward
from scratch.ops.class_rows import class_axis, class_rows, counted_labels, inverse, reduced, unrows
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
        raise ValueError(
            f"cross_entropy: ignore_index is {ignore_index}, expected a negative number where the target holds probabilities"
        )
    rows = class_rows("cross_entropy", input, target, weight, reduction, by_labels)
    M, C = rows.shape
    class_weight = np.ones(C, input.dtype) if weight is None else weight
    if by_labels:
        labels, counted = counted_labels("cross_entropy", target, C, ignore_index)
        label_weight = class_weight[labels] * counted
        divisor = label_weight.sum()
        scale = inverse(divisor, counted) if reduction == "mean" else 1.0
        loss, drows = _with_labels(rows, labels, label_weight, counted, class_weight, label_smoothing, scale)

        def backward(dy: Array) -> tuple[Array, Array | None, None]:
            whole = reduction != "none" and dy == 1  # usually the backward pass starts at the loss
            return unrows(drows if whole else drows * dy.reshape(-1, 1), input), None, None

        return reduced(loss, reduction, divisor, input), backward

    soft = (1 - label_smoothing) * np.moveaxis(target, class_axis(input), -1).reshape(M, C) + label_smoothing / max(C, 1)
    log_p, _ = log_softmax(rows)
    loss = -((soft * log_p) @ class_weight)

    def backward_of_probabilities(dy: Array) -> tuple[Array, Array | None, None]:
        of_mean = dy / input.dtype.type(max(M, 1)) if reduction == "mean" else dy
        scale = (dy.reshape(M) if reduction == "none" else np.broadcast_to(of_mean, M))[:, None]
        drows = (np.exp(log_p) * (soft @ class_weight)[:, None] - soft * class_weight) * scale
        dtarget = (label_smoothing - 1) * class_weight * log_p * scale
        return unrows(drows, input), unrows(dtarget, input), None

    return reduced(loss, reduction, input.dtype.type(M), input), backward_of_probabilities


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
