"""Cross-entropy over classes."""

import numpy as np

from scratch.module import Array, Backward
from scratch.ops.definitions.softmax import log_softmax


def cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> tuple[Array, Backward]:
    """Compute loss = -Σ_c weight_c q_c log p_c for p = softmax(input) and q = (1 - ε) target + ε / C, with ε = label_smoothing.

    dinput = p Σ_c weight_c q_c - weight q, which is p - q without weights; dtarget = -(1 - ε) weight log p.
    """
    axis = min(input.ndim - 1, 1)
    x = np.moveaxis(input, axis, -1)
    C, by_labels = x.shape[-1], np.issubdtype(target.dtype, np.integer)
    w = np.ones(C, x.dtype) if weight is None else weight
    hot = (target[..., None] == np.arange(C)).astype(x.dtype) if by_labels else np.moveaxis(target, axis, -1)
    counted = target[..., None] != ignore_index if by_labels else np.ones_like(hot[..., :1], dtype=bool)
    q = np.where(counted, (1 - label_smoothing) * hot + label_smoothing / C, 0).astype(x.dtype)
    log_p, log_softmax_backward = log_softmax(np.where(counted, x, 0))
    loss, divisor = -(w * q * log_p).sum(axis=-1), (w * hot * counted).sum() if by_labels else counted.sum().astype(x.dtype)

    def backward(dy: Array) -> tuple[Array, Array | None, None]:
        scale = (dy / divisor if reduction == "mean" else dy)[..., None]
        dx = np.where(counted, log_softmax_backward(-w * q * scale), 0)
        dtarget = None if by_labels else np.moveaxis((label_smoothing - 1) * w * log_p * scale, -1, axis)
        return np.moveaxis(dx, -1, axis), dtarget, None

    return loss if reduction == "none" else loss.sum() / divisor if reduction == "mean" else loss.sum(), backward
