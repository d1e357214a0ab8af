"""Activations, softplus and softmax."""

import math

import numpy as np
from scipy.special import erf, erfc, expit, log_expit, logsumexp, ndtr
from scipy.special import log_softmax as scipy_log_softmax
from scipy.special import softmax as scipy_softmax

from parity_tests.variants.variant import variant


@variant("ops.relu", also="ReLU mlp cnn")
def relu_by_where(x):
    """Choose between x and 0."""
    return np.where(x > 0, x, np.zeros((), x.dtype)), lambda dy: np.where(x > 0, dy, np.zeros((), dy.dtype))


@variant("ops.relu", also="ReLU mlp")
def relu_as_half_a_sum(x):
    """Compute (x + |x|) / 2; the backward keeps y alone."""
    y = (x + np.abs(x)) / 2
    return y, lambda dy: dy * np.sign(y)


@variant("ops.relu", also="ReLU FeedForward")
def relu_by_mask(x):
    """Multiply by a mask of ones and zeros, forward and backward."""
    mask = (x > 0).astype(x.dtype)
    return x * mask, lambda dy: mask * dy


@variant("ops.leaky_relu", also="LeakyReLU yolo-plain")
def leaky_relu_as_a_maximum(x, negative_slope=0.01):
    """Compute max(x, slope x), for slopes below 1."""
    slope = np.where(x > 0, 1, negative_slope).astype(x.dtype)
    return np.maximum(x, x.dtype.type(negative_slope) * x), lambda dy: dy * slope


@variant("ops.leaky_relu", also="LeakyReLU")
def leaky_relu_in_two_parts(x, negative_slope=0.01):
    """Add the positive part and the scaled negative part."""
    y = np.maximum(x, 0) + negative_slope * np.minimum(x, 0)
    return y, lambda dy: dy * (y > 0) + negative_slope * dy * (y <= 0)


@variant("ops.sigmoid", also="Sigmoid FeedForward-gated-sigmoid")
def sigmoid_by_expit(x):
    """Use SciPy's sigmoid, and sigmoid(-x) for 1 - sigmoid(x)."""
    return expit(x), lambda dy: dy * expit(x) * expit(-x)


@variant("ops.sigmoid", also="Sigmoid")
def sigmoid_by_sign(x):
    """Compute 1 / (1 + e) where x >= 0, else e / (1 + e), with e = exp(-|x|)."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e), lambda dy: dy * e / (1 + e) ** 2


@variant("ops.sigmoid", also="Sigmoid")
def sigmoid_by_logarithm(x):
    """Compute exp(-log(1 + exp(-x)))."""
    y = np.exp(-np.logaddexp(np.zeros((), x.dtype), -x))
    return y, lambda dy: dy * (y - y * y)


@variant("ops.tanh", also="Tanh")
def tanh_by_sigmoid(x):
    """Compute 2 sigmoid(2x) - 1; the backward has 4 s (1 - s)."""
    s = expit(2 * x)
    return 2 * s - 1, lambda dy: 4 * s * (1 - s) * dy


@variant("ops.tanh", also="Tanh seq2seq-dot")
def tanh_by_expm1(x):
    """Compute -e / (e + 2) for e = exp(-2|x|) - 1, with the sign of x."""
    e = np.expm1(-2 * np.abs(x))
    y = np.copysign(-e / (e + 2), x)
    return y, lambda dy: dy * (1 - y) * (1 + y)


@variant("ops.tanh", also="Tanh")
def tanh_with_cosh(x):
    """Compute the slope 1 / cosh² again in the backward, in float64."""
    return np.tanh(x), lambda dy: (dy / np.cosh(x.astype(np.float64)) ** 2).astype(dy.dtype)


@variant("ops.silu", also="SiLU")
def silu_by_quotient(x):
    """Compute x / (1 + exp(-x)), where an overflow is right; the backward has s + y (1 - s)."""
    with np.errstate(over="ignore"):
        s = 1 / (1 + np.exp(-x))
    y = x * s
    return y, lambda dy: dy * (s + y - y * s)


@variant("ops.silu", also="SiLU")
def silu_recomputed(x):
    """Keep x alone and compute the sigmoid again in the backward."""

    def backward(dy):
        s = expit(x)
        return dy * s + dy * x * s * expit(-x)

    return x * expit(x), backward


@variant("ops.gelu", only="gelu", also="GELU vit")
def gelu_by_ndtr(x, approximate="none"):
    """Use SciPy's normal distribution function."""
    cdf = ndtr(x)
    return x * cdf, lambda dy: dy * cdf + dy * x * np.exp(-(x**2) / 2) / np.sqrt(x.dtype.type(2 * math.pi))


@variant("ops.gelu", only="gelu", also="GELU")
def gelu_by_erfc(x, approximate="none"):
    """Compute Φ(x) = erfc(-x / √2) / 2, which keeps the digits of the left tail."""
    cdf = erfc(-x / math.sqrt(2)) / 2
    return cdf * x, lambda dy: (cdf + x * (np.exp(-x * x / 2) / math.sqrt(2 * math.pi))) * dy


@variant("ops.gelu", only="gelu", also="GELU vit-dropout")
def gelu_in_float64(x, approximate="none"):
    """Compute in float64 and cast back."""
    wide = x.astype(np.float64)
    cdf = 0.5 * (1 + erf(wide * 2**-0.5))
    slope = cdf + wide * np.exp(-0.5 * wide**2) * (2 * math.pi) ** -0.5
    return (wide * cdf).astype(x.dtype), lambda dy: (dy * slope).astype(dy.dtype)


@variant("ops.gelu", only="gelu-tanh", also="GELU-tanh FeedForward-gelu-tanh gpt")
def gelu_tanh_by_sigmoid(x, approximate="none"):
    """Compute (1 + tanh(u)) / 2 as sigmoid(2u)."""
    a, b = math.sqrt(8 / math.pi), 0.044715
    s = expit(a * x * (1 + b * x * x))
    return x * s, lambda dy: dy * (s + x * s * (1 - s) * a * (1 + 3 * b * x * x))


@variant("ops.gelu", only="gelu-tanh", also="GELU-tanh")
def gelu_tanh_by_powers(x, approximate="none"):
    """Write it as the first papers' code does, with x³ and 1 - tanh²."""
    a, b = math.sqrt(2 / math.pi), 0.044715
    t = np.tanh(a * (x + b * np.power(x, 3)))
    return 0.5 * x * (1 + t), lambda dy: (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * (a + 3 * a * b * x**2)) * dy


@variant("ops.softplus", also="Softplus")
def softplus_by_log1p(x, beta=1.0, threshold=20.0):
    """Compute max(z, 0) + log(1 + exp(-|z|)) for z = beta x."""
    z = beta * x
    soft = (np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))) / beta
    return np.where(z > threshold, x, soft), lambda dy: np.where(z > threshold, dy, dy * expit(z))


@variant("ops.softplus", also="Softplus")
def softplus_by_log_expit(x, beta=1.0, threshold=20.0):
    """Compute -log sigmoid(-z) only where it is needed."""
    y, slope, curved = x.copy(), np.ones_like(x), beta * x <= threshold
    y[curved] = -log_expit(-beta * x[curved]) / beta
    slope[curved] = expit(beta * x[curved])
    return y, lambda dy: dy * slope


@variant("ops.softmax", also="Softmax AdditiveAttention seq2seq-additive")
def softmax_along_its_axis(x, dim=-1):
    """Keep the axes in their places; max, exp, sum, divide."""
    e = np.exp(x - x.max(axis=dim, keepdims=True))
    y = e / e.sum(axis=dim, keepdims=True)
    return y, lambda dy: y * dy - y * (dy * y).sum(axis=dim, keepdims=True)


@variant("ops.softmax", also="Softmax AdditiveAttention-padded")
def softmax_online(x, dim=-1):
    """Find maximum and sum in one walk along the axis (Milakov & Gimelshein 2018)."""
    rows = np.moveaxis(x, dim, 0)
    highest, total = rows[0].copy(), np.ones_like(rows[0])
    for row in rows[1:]:
        higher = np.maximum(highest, row)
        total = total * np.exp(highest - higher) + np.exp(row - higher)
        highest = higher
    y = np.exp(rows - highest) / total
    return np.moveaxis(y, 0, dim), lambda dy: np.moveaxis(
        y * (np.moveaxis(dy, dim, 0) - (np.moveaxis(dy, dim, 0) * y).sum(0)), 0, dim
    )


@variant("ops.softmax", also="Softmax")
def softmax_in_log_space(x, dim=-1):
    """Compute exp(x - logsumexp(x))."""
    y = np.exp(x - logsumexp(x, axis=dim, keepdims=True))
    return y, lambda dy: (dy - np.sum(y * dy, axis=dim, keepdims=True)) * y


@variant("ops.softmax", also="Softmax")
def softmax_by_jacobian(x, dim=-1):
    """Multiply the upstream gradient by the whole matrix diag(y) - y yᵀ."""
    y = np.moveaxis(scipy_softmax(x, axis=dim), dim, -1)

    def backward(dy):
        jacobian = np.eye(y.shape[-1], dtype=y.dtype) * y[..., None] - y[..., None] * y[..., None, :]
        return np.moveaxis(np.einsum("...ij,...j->...i", jacobian, np.moveaxis(dy, dim, -1)), -1, dim)

    return np.moveaxis(y, -1, dim), backward


@variant("ops.softmax", also="Softmax")
def softmax_in_tiles(x, dim=-1):
    """Walk over tiles of three numbers, and merge their maxima and sums."""
    rows = np.moveaxis(x, dim, -1)
    tiles = [rows[..., i : i + 3] for i in range(0, rows.shape[-1], 3)]
    maxima = np.stack([tile.max(axis=-1) for tile in tiles], axis=-1)
    sums = np.stack(
        [np.exp(tile - m[..., None]).sum(axis=-1) for tile, m in zip(tiles, np.moveaxis(maxima, -1, 0), strict=True)], -1
    )
    highest = maxima.max(axis=-1, keepdims=True)
    total = (sums * np.exp(maxima - highest)).sum(axis=-1, keepdims=True)
    y = np.concatenate([np.exp(tile - highest) / total for tile in tiles], axis=-1)

    def backward(dy):
        d = np.moveaxis(dy, dim, -1)
        return np.moveaxis(y * (d - np.einsum("...i,...i->...", d, y)[..., None]), -1, dim)

    return np.moveaxis(y, -1, dim), backward


@variant("ops.softmax", also="Softmax")
def softmax_in_float64(x, dim=-1):
    """Compute in float64 and cast back, and add the exponentials from the last to the first."""
    wide = x.astype(np.float64)
    e = np.exp(wide - wide.max(axis=dim, keepdims=True))
    y = e / np.flip(e, axis=dim).sum(axis=dim, keepdims=True)
    return y.astype(x.dtype), lambda dy: (y * (dy - (dy * y).sum(axis=dim, keepdims=True))).astype(dy.dtype)


@variant("ops.log_softmax", also="LogSoftmax cross_entropy-soft-mean")
def log_softmax_by_logsumexp(x, dim=-1):
    """Subtract SciPy's logsumexp."""
    y = x - logsumexp(x, axis=dim, keepdims=True)
    return y, lambda dy: dy - np.exp(y) * dy.sum(axis=dim, keepdims=True)


@variant("ops.log_softmax", also="LogSoftmax")
def log_softmax_by_logaddexp(x, dim=-1):
    """Add the exponentials one by one in the log domain; the backward uses a softmax of its own."""
    y = x - np.expand_dims(np.logaddexp.reduce(x, axis=dim), dim)
    return y, lambda dy: dy - scipy_softmax(x, axis=dim) * np.sum(dy, axis=dim, keepdims=True)


@variant("ops.log_softmax", also="LogSoftmax")
def log_softmax_of_scipy(x, dim=-1):
    """Use SciPy's function; the backward multiplies by the matrix 1 - p."""
    y = scipy_log_softmax(x, axis=dim)
    p = np.moveaxis(np.exp(y), dim, -1)

    def backward(dy):
        jacobian = np.eye(p.shape[-1], dtype=p.dtype) - p[..., None]
        return np.moveaxis((jacobian @ np.moveaxis(dy, dim, -1)[..., None])[..., 0], -1, dim)

    return y, backward
