"""Layer norm, RMS norm and group norm."""

import numpy as np

from parity_tests.variants import sums
from parity_tests.variants.variant import variant


def _last_axes(x, shape):
    return tuple(range(x.ndim - len(shape), x.ndim))


def _first_axes(x, shape):
    return tuple(range(x.ndim - len(shape)))


def _affine(x, x_hat, weight, bias, through, shape):
    """Return y and its backward from the normalised numbers and the backward of the normalisation."""
    y = x_hat if weight is None else x_hat * weight
    y = y if bias is None else y + bias
    batch = _first_axes(x, shape)

    def backward(dy, needs=()):
        dx = through(dy if weight is None else dy * weight)
        dweight = None if weight is None else (dy * x_hat).sum(axis=batch)
        return dx, dweight, None if bias is None else dy.sum(axis=batch)

    return y, backward


def _through_norm(x_hat, std, axes):
    """Return the backward of (x - mean) / std, as three terms."""
    return lambda d: (d - d.mean(axes, keepdims=True) - x_hat * (d * x_hat).mean(axes, keepdims=True)) / std


@variant("ops.layer_norm", also="LayerNorm LayerNorm-two-axes TransformerEncoderLayer")
def layer_norm_in_two_passes(x, weight=None, bias=None, *, normalized_shape, eps=1e-5):
    """Use np.mean and np.var."""
    axes = _last_axes(x, normalized_shape)
    std = np.sqrt(np.var(x, axis=axes, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=axes, keepdims=True)) / std
    return _affine(x, x_hat, weight, bias, _through_norm(x_hat, std, axes), normalized_shape)


@variant("ops.layer_norm", also="LayerNorm LayerNorm-no-bias gpt-one-layer")
def layer_norm_by_welford(x, weight=None, bias=None, *, normalized_shape, eps=1e-5):
    """Update mean and sum of squares with one number after the other (Welford 1962)."""
    axes, rows = _last_axes(x, normalized_shape), x.reshape(-1, int(np.prod(normalized_shape)))
    mean, squares = np.zeros_like(rows[:, 0]), np.zeros_like(rows[:, 0])
    for k, column in enumerate(rows.T, start=1):
        distance = column - mean
        mean = mean + distance / x.dtype.type(k)
        squares = squares + distance * (column - mean)
    std = np.sqrt(squares / x.dtype.type(rows.shape[1]) + x.dtype.type(eps))
    column_of = (*x.shape[: axes[0]], *[1] * len(axes))
    x_hat = (x - mean.reshape(column_of)) / std.reshape(column_of)
    return _affine(x, x_hat, weight, bias, _through_norm(x_hat, std.reshape(column_of), axes), normalized_shape)


@variant("ops.layer_norm", also="LayerNorm LayerNorm-plain vit-mean")
def layer_norm_by_shifted_moments(x, weight=None, bias=None, *, normalized_shape, eps=1e-5):
    """Compute mean(d²) - mean(d)² for the distances d from the first number of each row."""
    axes = _last_axes(x, normalized_shape)
    first = x[(..., *[slice(0, 1)] * len(axes))]
    d = x - first
    mean = d.mean(axes, keepdims=True)
    var = (d * d).mean(axes, keepdims=True) - mean * mean
    inv_std = (var + x.dtype.type(eps)) ** x.dtype.type(-0.5)
    x_hat = (d - mean) * inv_std
    return _affine(x, x_hat, weight, bias, _through_norm(x_hat, 1 / inv_std, axes), normalized_shape)


@variant("ops.layer_norm", also="LayerNorm DETREncoderLayer")
def layer_norm_in_float64(x, weight=None, bias=None, *, normalized_shape, eps=1e-5):
    """Compute all of it in float64, with sums from the last number to the first."""
    axes, wide = _last_axes(x, normalized_shape), x.astype(np.float64)
    centred = wide - np.flip(wide, axes).mean(axes, keepdims=True)
    std = np.sqrt(np.flip(centred**2, axes).mean(axes, keepdims=True) + eps)
    x_hat = centred / std
    w, b = (None if v is None else v.astype(np.float64) for v in (weight, bias))
    y, wide_backward = _affine(x, x_hat, w, b, _through_norm(x_hat, std, axes), normalized_shape)

    def backward(dy, needs=()):
        return tuple(d if d is None else d.astype(x.dtype) for d in wide_backward(dy.astype(np.float64)))

    return y.astype(x.dtype), backward


@variant("ops.layer_norm", also="LayerNorm bert")
def layer_norm_recomputed(x, weight=None, bias=None, *, normalized_shape, eps=1e-5):
    """Keep x alone; the backward computes the statistics again, and goes through variance and mean one by one."""
    axes, N = _last_axes(x, normalized_shape), int(np.prod(normalized_shape))

    def parts():
        centred = x - x.sum(axes, keepdims=True) / N
        return centred, (centred**2).sum(axes, keepdims=True) / N + x.dtype.type(eps)

    def backward(dy, needs=()):
        centred, var = parts()
        batch, d = _first_axes(x, normalized_shape), dy if weight is None else dy * weight
        dvar = (-0.5 * d * centred * var**-1.5).sum(axes, keepdims=True)
        dcentred = d / np.sqrt(var) + 2 / N * dvar * centred
        dx = dcentred - dcentred.sum(axes, keepdims=True) / N
        dweight = None if weight is None else (dy * (centred / np.sqrt(var))).sum(batch)
        return dx.astype(x.dtype), dweight, None if bias is None else dy.sum(batch)

    centred, var = parts()
    y = centred / np.sqrt(var)
    y = y if weight is None else weight * y
    return y if bias is None else bias + y, backward


@variant("ops.layer_norm", also="LayerNorm")
def layer_norm_by_projection(x, weight=None, bias=None, *, normalized_shape, eps=1e-5):
    """Centre with the matrix 1 - 1/N, and multiply by it again in the backward."""
    N = int(np.prod(normalized_shape))
    rows = x.reshape(-1, N)
    centring = np.eye(N, dtype=x.dtype) - x.dtype.type(1 / N)
    centred = rows @ centring
    inv_std = 1 / np.sqrt(np.einsum("mn,mn->m", centred, centred) / N + eps).astype(x.dtype)[:, None]
    x_hat = centred * inv_std

    def through(d):
        d = d.reshape(-1, N)
        return ((d - x_hat * np.einsum("mn,mn->m", d, x_hat)[:, None] / N) @ centring * inv_std).reshape(x.shape)

    return _affine(x, x_hat.reshape(x.shape), weight, bias, through, normalized_shape)


@variant("ops.layer_norm", also="LayerNorm gpt-deep vit-deep")
def layer_norm_one_by_one(x, weight=None, bias=None, *, normalized_shape, eps=1e-5):
    """Add the numbers of a row, and the rows of a gradient, one after the other."""
    N = int(np.prod(normalized_shape))
    columns, count = x.reshape(-1, N).T, x.dtype.type(N)
    centred = columns - sums.one_by_one(columns) / count
    inv_std = 1 / np.sqrt(sums.one_by_one(centred**2) / count + x.dtype.type(eps))
    x_hat = (centred * inv_std).T
    y = x_hat if weight is None else x_hat * weight.reshape(N)
    y = y if bias is None else y + bias.reshape(N)

    def backward(dy, needs=()):
        rows = dy.reshape(-1, N)
        d = (rows if weight is None else rows * weight.reshape(N)).T
        dx = (d - (sums.one_by_one(d) + x_hat.T * sums.one_by_one(d * x_hat.T)) / count) * inv_std
        dweight = None if weight is None else sums.one_by_one(rows * x_hat).reshape(normalized_shape)
        return dx.T.reshape(x.shape), dweight, None if bias is None else sums.one_by_one(rows).reshape(normalized_shape)

    return y.reshape(x.shape), backward


@variant("ops.rms_norm", also="RMSNorm RMSNorm-two-axes RMSNorm-eps")
def rms_norm_by_mean_of_squares(x, weight=None, *, normalized_shape, eps=None):
    """Write it as Llama's code does, with the inverse root kept."""
    axes, eps = _last_axes(x, normalized_shape), np.finfo(x.dtype).eps if eps is None else eps
    inv = 1 / np.sqrt(np.mean(np.square(x), axis=axes, keepdims=True) + x.dtype.type(eps))
    x_hat = x * inv

    def backward(dy, needs=()):
        d = dy if weight is None else dy * weight
        dx = d * inv - x * inv**3 * np.mean(d * x, axis=axes, keepdims=True)
        return dx, None if weight is None else np.sum(dy * x_hat, axis=_first_axes(x, normalized_shape))

    return x_hat if weight is None else weight * x_hat, backward


@variant("ops.rms_norm", also="RMSNorm RMSNorm-plain")
def rms_norm_by_vector_norm(x, weight=None, *, normalized_shape, eps=None):
    """Divide by the Euclidean norm of each row, with eps as one more number of it."""
    N, eps = int(np.prod(normalized_shape)), float(np.finfo(x.dtype).eps if eps is None else eps)
    rows = x.reshape(-1, N)
    more = np.full((len(rows), 1), (N * eps) ** 0.5, x.dtype)
    norm = np.linalg.norm(np.concatenate([rows, more], axis=1), axis=1, keepdims=True)
    unit, root = rows / norm, x.dtype.type(N**0.5)

    def backward(dy, needs=()):
        dy_rows = dy.reshape(-1, N)
        d = root * (dy_rows if weight is None else dy_rows * weight.reshape(N))
        dx = (d - unit * (d * unit).sum(axis=1, keepdims=True)) / norm
        return dx.reshape(x.shape), None if weight is None else root * (dy_rows * unit).sum(axis=0).reshape(weight.shape)

    y = (root * unit).reshape(x.shape)
    return y if weight is None else y * weight, backward


@variant("ops.rms_norm", also="RMSNorm")
def rms_norm_row_by_row(x, weight=None, *, normalized_shape, eps=None):
    """Loop over the rows, in float64."""
    N, eps = int(np.prod(normalized_shape)), float(np.finfo(x.dtype).eps if eps is None else eps)
    rows, scale = x.reshape(-1, N).astype(np.float64), np.ones(N) if weight is None else weight.reshape(N).astype(np.float64)
    roots = [(row @ row / N + eps) ** 0.5 for row in rows]
    y = np.stack([row / root * scale for row, root in zip(rows, roots, strict=True)])

    def backward(dy, needs=()):
        dx, dweight = [], np.zeros(N)
        for row, root, d in zip(rows, roots, dy.reshape(-1, N), strict=True):
            x_hat = row / root
            dx.append((d * scale - x_hat * (d * scale @ x_hat) / N) / root)
            dweight += d * x_hat
        dx = np.stack(dx).reshape(x.shape).astype(x.dtype)
        return dx, None if weight is None else dweight.reshape(weight.shape).astype(x.dtype)

    return y.reshape(x.shape).astype(x.dtype), backward


def _per_channel(v, x):
    return v.reshape(1, -1, *[1] * (x.ndim - 2))


def _group_norm(x, weight, bias, x_hat, through):
    """Return y and its backward from normalised numbers in the shape of x and the backward of the normalisation."""
    y = x_hat if weight is None else x_hat * _per_channel(weight, x)
    y = y if bias is None else y + _per_channel(bias, x)

    def backward(dy, needs=()):
        axes = (0, *range(2, x.ndim))
        dx = through(dy if weight is None else dy * _per_channel(weight, x))
        return dx, None if weight is None else np.sum(dy * x_hat, axis=axes), None if bias is None else np.sum(dy, axis=axes)

    return y, backward


@variant("ops.group_norm", also="GroupNorm GroupNorm-plain")
def group_norm_by_reshape(x, weight=None, bias=None, *, num_groups, eps=1e-5):
    """Normalise the rows of a matrix with one row for each group."""
    rows = x.reshape(len(x) * num_groups, -1)
    std = np.sqrt(rows.var(axis=1, keepdims=True) + x.dtype.type(eps))
    x_hat = (rows - rows.mean(axis=1, keepdims=True)) / std
    through = _through_norm(x_hat, std, (1,))
    return _group_norm(x, weight, bias, x_hat.reshape(x.shape), lambda d: through(d.reshape(rows.shape)).reshape(x.shape))


@variant("ops.group_norm", also="GroupNorm")
def group_norm_group_by_group(x, weight=None, bias=None, *, num_groups, eps=1e-5):
    """Loop over slices of the channels."""
    size, axes = x.shape[1] // num_groups, tuple(range(1, x.ndim))
    slices = [slice(g * size, (g + 1) * size) for g in range(num_groups)]
    x_hat, backwards = np.empty_like(x), []
    for group in slices:
        centred = x[:, group] - np.average(x[:, group], axis=axes, keepdims=True)
        std = np.sqrt(np.average(centred**2, axis=axes, keepdims=True) + x.dtype.type(eps))
        x_hat[:, group] = centred / std
        backwards.append(_through_norm(x_hat[:, group], std, axes))

    def through(d):
        return np.concatenate([b(d[:, group]) for group, b in zip(slices, backwards, strict=True)], axis=1)

    return _group_norm(x, weight, bias, x_hat, through)


@variant("ops.group_norm", also="GroupNorm")
def group_norm_by_merged_channels(x, weight=None, bias=None, *, num_groups, eps=1e-5):
    """Merge mean and variance of the channels of a group (Chan, Golub & LeVeque 1979)."""
    pixels = x.reshape(len(x), num_groups, x.shape[1] // num_groups, -1)
    means, variances = pixels.mean(axis=3), pixels.var(axis=3)
    mean = means.mean(axis=2, keepdims=True)[..., None]
    var = (variances + (means - mean[..., 0]) ** 2).mean(axis=2, keepdims=True)[..., None]
    std = np.sqrt(var + x.dtype.type(eps))
    x_hat = (pixels - mean) / std
    through = _through_norm(x_hat, std, (2, 3))
    return _group_norm(x, weight, bias, x_hat.reshape(x.shape), lambda d: through(d.reshape(pixels.shape)).reshape(x.shape))
