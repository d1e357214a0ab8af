"""Batch normalisation (Ioffe & Szegedy 2015, algorithm 1), and the step that all normalisations share."""

import numpy as np

from scratch.module import Array, Backward


def standardise(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Backward]:
    """Compute x̂ = (x - mean) / √(var + eps) over some axes, dx = (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)) / √(var + eps)."""
    std = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=axes, keepdims=True)) / std

    def backward(dx_hat: Array) -> Array:
        through_var = x_hat * (dx_hat * x_hat).mean(axis=axes, keepdims=True)
        return (dx_hat - dx_hat.mean(axis=axes, keepdims=True) - through_var) / std

    return x_hat, backward


def batch_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[tuple[Array, Array | None, Array | None], Backward]:
    """Compute y = weight x̂ + bias for each channel of x (N, C, ...); dweight = Σ dy x̂, dbias = Σ dy, dx̂ = dy weight."""
    axes, channels = (0, *range(2, x.ndim)), (1, -1, *[1] * (x.ndim - 2))
    gamma, beta = (np.asarray(v, x.dtype).reshape(channels) for v in (1 if weight is None else weight, 0 if bias is None else bias))
    if training:
        x_hat, x_backward = standardise(x, axes, eps)
        if running_mean is not None and running_var is not None:
            running_mean = (1 - momentum) * running_mean + momentum * x.mean(axis=axes)
            running_var = (1 - momentum) * running_var + momentum * x.var(axis=axes, ddof=1)
    else:
        std = np.sqrt(np.asarray(running_var) + eps).reshape(channels)
        x_hat, x_backward = (x - np.asarray(running_mean).reshape(channels)) / std, lambda dx_hat: dx_hat / std

    def backward(dy: Array) -> tuple[Array | None, ...]:
        dweight, dbias = (None if v is None else d.sum(axis=axes) for v, d in ((weight, dy * x_hat), (bias, dy)))
        return x_backward(dy * gamma), dweight, dbias, None, None

    return (gamma * x_hat + beta, running_mean, running_var), backward


def frozen_batch_norm(
    x: Array, weight: Array, bias: Array, running_mean: Array, running_var: Array, eps: float = 1e-5
) -> tuple[Array, Backward]:
    """Compute y = weight (x - running_mean) / √(running_var + eps) + bias, dx = dy weight / √(running_var + eps)."""
    gamma, beta, mean, var = (v.reshape(1, -1, *[1] * (x.ndim - 2)) for v in (weight, bias, running_mean, running_var))
    scale = gamma / np.sqrt(var + eps)
    return (x - mean) * scale + beta, lambda dy: (dy * scale, None, None, None, None)
