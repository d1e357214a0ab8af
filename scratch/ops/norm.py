"""Batch normalisation."""

import numpy as np

from scratch.checks import has_shape, is_eps, one_float_dtype
from scratch.contract import op
from scratch.fast.channels import Channels
from scratch.fast.reduce import column_sums
from scratch.fast.threads import Part, elementwise, in_blocks
from scratch.module import Array, Backward

Normalised = tuple[Array, Array | None, Array | None]


@op
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
    """Compute y = weight x̂ + bias, x̂ = (x - mean) / √(var + eps), for each channel of x (N, C, ...).

    In training, mean and biased variance are those of the batch (Ioffe & Szegedy 2015, algorithm 1); else they are the running
    statistics. weight, bias and the statistics are (C,). The value is (y, running_mean, running_var). In training, the new
    running statistics are (1 - momentum) running + momentum batch, with the unbiased variance of the batch.

    The backward takes dy alone. With dx̂ = dy weight and means over the batch:

        dx = (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)) / √(var + eps) in training, else dx̂ / √(var + eps)
        dweight = Σ dy x̂    dbias = Σ dy
    """
    _check(x, weight, bias, running_mean, running_var, training, eps)
    count, channels = x.size // x.shape[1] or 1, Channels(x)
    rows, along_channels = channels.rows(x), channels.along
    centred, y = np.empty_like(rows), np.empty_like(rows)
    if training:
        mean, var = _statistics(channels, rows, centred, count)
        if running_mean is not None and running_var is not None:
            running_mean = (1 - momentum) * running_mean + momentum * mean
            running_var = (1 - momentum) * running_var + momentum * var * (count / (count - 1))
    else:
        mean, var = np.asarray(running_mean), np.asarray(running_var)
        in_blocks(lambda part: np.subtract(rows[part], along_channels(mean), out=centred[part]), rows)
    inv_std = 1 / np.sqrt(var + eps)
    scale = along_channels(inv_std if weight is None else inv_std * weight)

    def forward(part: Part) -> None:
        np.multiply(centred[part], scale, out=y[part])
        if bias is not None:
            y[part] += along_channels(bias)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,) * 5) -> tuple[Array | None, ...]:
        dy_rows, dx = channels.rows(dy), np.empty_like(rows)

        def sums(part: Part) -> tuple[Array, Array]:
            return channels.sums(dy_rows[part]), channels.sums(dy_rows[part] * centred[part])

        def spread(part: Part) -> None:
            if training:  # x also affects y through the batch's mean and variance
                np.multiply(centred[part], through_var, out=dx[part])
                np.subtract(dy_rows[part], dx[part], out=dx[part])
                dx[part] -= through_mean
                dx[part] *= scale
            else:
                np.multiply(dy_rows[part], scale, out=dx[part])

        dbias, dscale = (column_sums(np.stack(parts)) for parts in zip(*in_blocks(sums, rows), strict=True))
        dweight = dscale * inv_std
        through_mean, through_var = along_channels(dbias / count), along_channels(inv_std * dweight / count)
        in_blocks(spread, dx)
        return channels.images(dx), None if weight is None else dweight, None if bias is None else dbias, None, None

    in_blocks(forward, y)
    return (channels.images(y), running_mean, running_var), backward


def _check(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    training: bool,
    eps: float,
) -> None:
    """Raise ValueError unless the arrays and options fit each other."""
    one_float_dtype("batch_norm", x=x, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
    if x.ndim < 2 or x.shape[1] < 1:
        raise ValueError(f"batch_norm: expected x (N, C, ...), got {x.shape}; C is at least 1")
    is_eps("batch_norm", eps)
    if training and eps == 0:
        raise ValueError("batch_norm: eps is 0, expected more than 0 when training, since a batch's variance may be 0")
    if (running_mean is None) != (running_var is None):
        given, missing = ("running_mean", "running_var") if running_var is None else ("running_var", "running_mean")
        raise ValueError(f"batch_norm: {given} came without {missing}, expected both or neither")
    for name, array in dict(weight=weight, bias=bias, running_mean=running_mean, running_var=running_var).items():
        has_shape("batch_norm", name, array, (x.shape[1],))
    if training and x.size // x.shape[1] < 2:
        raise ValueError(f"batch_norm: expected more than one value a channel when training, got x of shape {x.shape}")
    if not training and (running_mean is None or running_var is None):
        raise ValueError("batch_norm: got no running_mean and running_var, expected both when not training")


def _statistics(channels: Channels, rows: Array, centred: Array, count: int) -> tuple[Array, Array]:
    """Return mean and biased variance (C,) of the rows' channels, of `count` values each, and write rows - mean into `centred`.

    Distances are measured from a first estimate, the mean of some rows, so that a mean far from zero costs no accuracy.
    """
    first = rows[: -(-len(rows) // 16)]
    near = channels.sums(first) / (first.size // channels.shape[1])  # within four standard deviations of the mean

    def distances(part: Part) -> Array:
        return channels.sums(rows[part] - channels.along(near))

    def centre(part: Part) -> Array:
        np.subtract(rows[part], channels.along(near), out=centred[part])
        centred[part] -= channels.along(left)
        return channels.sums(centred[part] * centred[part])

    left = column_sums(np.stack(in_blocks(distances, rows))) / count
    return near + left, column_sums(np.stack(in_blocks(centre, rows))) / count


@op
def frozen_batch_norm(
    x: Array, weight: Array, bias: Array, running_mean: Array, running_var: Array, eps: float = 1e-5
) -> tuple[Array, Backward]:
    """Compute y = scale x + shift for x (N, C, ...), scale = weight / √(running_var + eps), shift = bias - running_mean scale.

    dx = scale dy. weight, bias, running_mean and running_var (C,) are constants, as in torchvision.ops.FrozenBatchNorm2d.
    """
    numbers = dict(weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
    one_float_dtype("frozen_batch_norm", x=x, **numbers)
    if x.ndim < 2 or x.shape[1] < 1:
        raise ValueError(f"frozen_batch_norm: expected x (N, C, ...), got {x.shape}; C is at least 1")
    is_eps("frozen_batch_norm", eps)
    for name, array in numbers.items():
        has_shape("frozen_batch_norm", name, array, (x.shape[1],))
    scale = weight / np.sqrt(running_var + eps)
    factor, shift = (v.reshape(1, -1, *(1,) * (x.ndim - 2)) for v in (scale, bias - running_mean * scale))

    def forward(y: Array, x: Array) -> None:
        np.multiply(x, factor, out=y)
        y += shift

    def backward(dy: Array) -> tuple[Array, None, None, None, None]:
        return elementwise(lambda dx, dy: np.multiply(dy, factor, out=dx), dy), None, None, None, None

    return elementwise(forward, x), backward
