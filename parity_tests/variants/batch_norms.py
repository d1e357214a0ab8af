"""Batch norm in training and in use, and frozen batch norm."""

import numpy as np

from parity_tests.variants import sums
from parity_tests.variants.variant import variant

EVAL = "batch_norm-eval"
TRAINED = "batch_norm-train batch_norm-rows batch_norm-plain"


def _along(v, x):
    """Return numbers of channels in a shape that broadcasts to x."""
    return v.reshape(-1, *[1] * (x.ndim - 2))


def _running(running_mean, running_var, mean, var, momentum, count):
    if running_mean is None:
        return None, None
    mean, var = mean.astype(running_mean.dtype), var.astype(running_var.dtype) * count / (count - 1)
    return running_mean + momentum * (mean - running_mean), running_var + momentum * (var - running_var)


def _affine(x, x_hat, weight, bias):
    y = x_hat if weight is None else x_hat * _along(weight, x)
    return y if bias is None else y + _along(bias, x)


def _gradients(x, x_hat, inv_std, weight, bias, training, dy):
    """Return all gradients of a batch norm, those of the mean and the variance among them."""
    axes = (0, *range(2, x.ndim))
    dbias, dweight = dy.sum(axis=axes), (dy * x_hat).sum(axis=axes)
    scale = inv_std if weight is None else inv_std * _along(weight, x)
    if training:
        count = x.size // x.shape[1]
        dy = dy - _along(dbias, x) / count - x_hat * (_along(dweight, x) / count)
    return (dy * scale).astype(x.dtype), None if weight is None else dweight, None if bias is None else dbias, None, None


@variant("ops.batch_norm", also="BatchNorm1d* BatchNorm2d* cnn-deep cifar-resnet-a")
def batch_norm_by_axes(x, weight=None, bias=None, running_mean=None, running_var=None, training=False, momentum=0.1, eps=1e-5):
    """Use np.mean and np.var over all axes but that of the channels."""
    mean, var, axes = running_mean, running_var, (0, *range(2, x.ndim))
    if training:
        mean, var = x.mean(axis=axes), x.var(axis=axes)
        running_mean, running_var = _running(running_mean, running_var, mean, var, momentum, x.size // x.shape[1])
    inv_std = 1 / np.sqrt(_along(var, x) + x.dtype.type(eps))
    x_hat = (x - _along(mean, x)) * inv_std
    backward = lambda dy, needs=(): _gradients(x, x_hat, inv_std, weight, bias, training, dy)  # noqa: E731
    return (_affine(x, x_hat, weight, bias), running_mean, running_var), backward


@variant("ops.batch_norm", only=TRAINED, also="BatchNorm1d BatchNorm2d vgg-13-bn")
def batch_norm_of_merged_images(
    x, weight=None, bias=None, running_mean=None, running_var=None, training=False, momentum=0.1, eps=1e-5
):
    """Merge the mean and the squares of one image after the other (Chan, Golub & LeVeque 1979)."""
    pixels = x.reshape(*x.shape[:2], -1)
    mean, squares, seen = np.zeros_like(pixels[0, :, 0]), np.zeros_like(pixels[0, :, 0]), 0
    for image in pixels:
        distance, more = image.mean(axis=1) - mean, image.shape[1]
        squares += image.var(axis=1) * more + distance**2 * (seen * more / (seen + more))
        mean, seen = mean + distance * (more / (seen + more)), seen + more
    var = squares / seen
    running_mean, running_var = _running(running_mean, running_var, mean, var, momentum, seen)
    inv_std = 1 / np.sqrt(_along(var, x) + x.dtype.type(eps))
    x_hat = (x - _along(mean, x)) * inv_std
    backward = lambda dy, needs=(): _gradients(x, x_hat, inv_std, weight, bias, True, dy)  # noqa: E731
    return (_affine(x, x_hat, weight, bias), running_mean, running_var), backward


@variant("ops.batch_norm", only=TRAINED, also="BatchNorm1d-sequences BatchNorm2d-averaging resnet-10")
def batch_norm_in_float64(x, weight=None, bias=None, running_mean=None, running_var=None, training=False, momentum=0.1, eps=1e-5):
    """Compute the statistics in float64 with the ddof of NumPy, and the value in float64."""
    wide, axes = x.astype(np.float64), (0, *range(2, x.ndim))
    count = x.size // x.shape[1]
    mean = wide.sum(axis=axes) / count
    var = np.std(wide, axis=axes, ddof=1) ** 2 * (count - 1) / count
    running_mean, running_var = _running(running_mean, running_var, mean, var, momentum, x.size // x.shape[1])
    inv_std = (var + eps) ** -0.5
    x_hat = (wide - _along(mean, x)) * _along(inv_std, x)
    y = _affine(x, x_hat, weight, bias).astype(x.dtype)

    def backward(dy, needs=()):
        dx, *others = _gradients(x, x_hat, _along(inv_std, x), weight, bias, True, dy.astype(np.float64))
        return dx, *(None if d is None else d.astype(x.dtype) for d in others)

    return (y, running_mean, running_var), backward


@variant("ops.batch_norm", only=TRAINED, also="BatchNorm2d BatchNorm2d-untracked")
def batch_norm_of_a_matrix(x, weight=None, bias=None, running_mean=None, running_var=None, training=False, momentum=0.1, eps=1e-5):
    """Move the channels to the front and normalise the rows of a matrix; the value is not contiguous."""
    rows = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)
    count = x.dtype.type(rows.shape[1])
    mean = rows.sum(axis=1) / count
    centred = rows - mean[:, None]
    var = np.einsum("cm,cm->c", centred, centred) / count
    running_mean, running_var = _running(running_mean, running_var, mean, var, momentum, rows.shape[1])
    inv_std = 1 / np.sqrt(var + x.dtype.type(eps))
    gamma = np.ones_like(mean) if weight is None else weight
    y = centred * (inv_std * gamma)[:, None] + (0 if bias is None else bias[:, None])
    shape = (x.shape[1], len(x), *x.shape[2:])

    def backward(dy, needs=()):
        d = np.moveaxis(dy, 1, 0).reshape(rows.shape)
        dbias, dscale = np.einsum("cm->c", d), np.einsum("cm,cm->c", d, centred)
        dx = d - (dbias / count)[:, None] - centred * (dscale * inv_std**2 / count)[:, None]
        dx = np.moveaxis((dx * (gamma * inv_std)[:, None]).reshape(shape), 0, 1)
        return dx, None if weight is None else dscale * inv_std, None if bias is None else dbias, None, None

    return (np.moveaxis(y.reshape(shape), 0, 1), running_mean, running_var), backward


@variant("ops.batch_norm", only=TRAINED, also="BatchNorm1d-sequences BatchNorm2d vgg-13-bn resnet-18-small yolo-deep unet-deep")
def batch_norm_one_by_one(x, weight=None, bias=None, running_mean=None, running_var=None, training=False, momentum=0.1, eps=1e-5):
    """Add the numbers of a channel one after the other, forward and backward."""
    numbers = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
    count = x.dtype.type(len(numbers))
    mean = sums.one_by_one(numbers) / count
    var = sums.one_by_one((numbers - mean) ** 2) / count
    running_mean, running_var = _running(running_mean, running_var, mean, var, momentum, len(numbers))
    inv_std = 1 / np.sqrt(var + x.dtype.type(eps))
    x_hat = (numbers - mean) * inv_std

    def back(rows):
        return np.moveaxis(rows.reshape(len(x), *x.shape[2:], -1), -1, 1)

    def backward(dy, needs=()):
        d = np.moveaxis(dy, 1, -1).reshape(numbers.shape)
        dbias, dweight = sums.one_by_one(d), sums.one_by_one(d * x_hat)
        dx = (d - (dbias + x_hat * dweight) / count) * (inv_std if weight is None else inv_std * weight)
        return back(dx), None if weight is None else dweight, None if bias is None else dbias, None, None

    return (_affine(x, back(x_hat), weight, bias), running_mean, running_var), backward


@variant("ops.batch_norm", only=EVAL, also="BatchNorm1d-eval BatchNorm2d-eval cnn-deep-eval")
def batch_norm_folded(x, weight, bias, running_mean, running_var, training=False, momentum=0.1, eps=1e-5):
    """Fold the running statistics into one scale and one shift, as exporters do."""
    inv_std = 1 / np.sqrt(running_var + x.dtype.type(eps))
    scale = weight * inv_std
    y = x * _along(scale, x) + _along(bias - running_mean * scale, x)

    def backward(dy, needs=()):
        axes = (0, *range(2, x.ndim))
        dbias = dy.sum(axis=axes)
        dweight = (np.sum(dy * x, axis=axes) - running_mean * dbias) * inv_std
        return dy * _along(scale, x), dweight, dbias, None, None

    return (y, running_mean, running_var), backward


@variant("ops.frozen_batch_norm", also="FrozenBatchNorm2d detr-one-layer")
def frozen_batch_norm_centred(x, weight, bias, running_mean, running_var, eps=1e-5):
    """Subtract the mean first and divide by the root."""
    root = np.sqrt(_along(running_var, x) + x.dtype.type(eps))
    y = (x - _along(running_mean, x)) / root * _along(weight, x) + _along(bias, x)
    return y, lambda dy, needs=(): (dy * _along(weight, x) / root, None, None, None, None)


@variant("ops.frozen_batch_norm", also="FrozenBatchNorm2d")
def frozen_batch_norm_as_a_product(x, weight, bias, running_mean, running_var, eps=1e-5):
    """Multiply the channels by a diagonal matrix."""
    scale = weight * (running_var + x.dtype.type(eps)) ** x.dtype.type(-0.5)
    matrix = np.diag(scale)
    y = np.einsum("oc,nc...->no...", matrix, x) + _along(bias - scale * running_mean, x)
    return y, lambda dy, needs=(): (np.einsum("oc,no...->nc...", matrix, dy), None, None, None, None)
