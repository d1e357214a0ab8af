"""Normalisation."""

import numpy as np

from scratch.module import Array, Backward
from scratch.ops.checks import has_shape, one_float_dtype

Normalised = tuple[Array, Array | None, Array | None]


def batch_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Normalised, Backward]:
    """Normalise each channel of x (N, C, ...) over all other axes (Ioffe & Szegedy 2015, algorithm 1).

    The value is (y, running_mean, running_var). In training the batch's own mean and biased variance normalise, and the
    running statistics come back moved towards them by `momentum`, the variance as its unbiased estimate; otherwise the
    running statistics normalise and come back as they are. The backward takes dy alone.
    """
    one_float_dtype("batch_norm", x=x, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
    if x.ndim < 2:
        raise ValueError(f"batch_norm: expected x (N, C, ...), got {x.shape}")
    for name, array in dict(weight=weight, bias=bias, running_mean=running_mean, running_var=running_var).items():
        has_shape("batch_norm", name, array, (x.shape[1],))
    batch_axes = (0, *range(2, x.ndim))
    count = x.size // x.shape[1]
    if training and count < 2:
        raise ValueError(f"batch_norm: expected more than one value a channel when training, got x of shape {x.shape}")
    if not training and (running_mean is None or running_var is None):
        raise ValueError("batch_norm: running_mean and running_var are needed when not training")

    def along_channels(statistic: Array) -> Array:
        return statistic.reshape(1, -1, *(1,) * (x.ndim - 2))

    if training:
        mean = x.mean(axis=batch_axes)
        centred = x - along_channels(mean)
        var = (centred * centred).mean(axis=batch_axes)
        if running_mean is not None and running_var is not None:
            running_mean = (1 - momentum) * running_mean + momentum * mean
            running_var = (1 - momentum) * running_var + momentum * var * (count / (count - 1))
    else:
        centred, var = x - along_channels(np.asarray(running_mean)), np.asarray(running_var)
    inv_std = along_channels(1 / np.sqrt(var + eps))
    x_hat = centred
    x_hat *= inv_std
    y = x_hat if weight is None else x_hat * along_channels(weight)
    if bias is not None:
        y = y + along_channels(bias)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,) * 5) -> tuple[Array | None, ...]:
        dbias = dy.sum(axis=batch_axes)
        dweight = (dy * x_hat).sum(axis=batch_axes)
        scale = inv_std if weight is None else inv_std * along_channels(weight)
        if training:  # x also reaches y through the batch's mean and variance
            dx = scale * (dy - along_channels(dbias / count) - x_hat * along_channels(dweight / count))
        else:
            dx = scale * dy
        return dx, None if weight is None else dweight, None if bias is None else dbias, None, None

    return (y, running_mean, running_var), backward
