"""Negative log-likelihood over classes."""

import numpy as np

from scratch.module import Array, Backward


def nll_loss(
    input: Array, target: Array, weight: Array | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> tuple[Array, Backward]:
    """Compute loss = -weight[target] input[target]; dinput = -weight[target] at the target, else 0."""
    axis = min(input.ndim - 1, 1)
    x = np.moveaxis(input, axis, -1)
    hot = ((target[..., None] == np.arange(x.shape[-1])) & (target[..., None] != ignore_index)).astype(x.dtype)
    weighted = hot if weight is None else hot * weight
    loss, divisor = -np.where(hot, weighted * x, 0).sum(axis=-1), weighted.sum()

    def backward(dy: Array) -> tuple[Array, None, None]:
        scale = (dy / divisor if reduction == "mean" else dy)[..., None]
        return np.moveaxis(-weighted * scale, -1, axis), None, None

    return loss if reduction == "none" else loss.sum() / divisor if reduction == "mean" else loss.sum(), backward
