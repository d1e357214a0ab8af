"""Pooling, over images and over sequences, and images of another size."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from parity_tests.variants.variant import variant


def _pair(size):
    return tuple(size) if isinstance(size, tuple | list) else (size, size)


def _padded(x, padding, value=0.0):
    (ph, pw) = _pair(padding)
    return np.pad(x, [(0, 0)] * (x.ndim - 2) + [(ph, ph), (pw, pw)], constant_values=value)


def _cropped(dpadded, padding):
    (ph, pw), (H, W) = _pair(padding), dpadded.shape[-2:]
    return dpadded[..., ph : H - ph, pw : W - pw]


def _windows(padded, kernel, stride, dilation):
    """Return a view of the windows (..., OH, OW, KH, KW)."""
    (kh, kw), (sh, sw), (dh, dw) = _pair(kernel), _pair(stride), _pair(dilation)
    seen = sliding_window_view(padded, ((kh - 1) * dh + 1, (kw - 1) * dw + 1), axis=(-2, -1))
    return seen[..., ::sh, ::sw, ::dh, ::dw]


@variant("ops.max_pool2d", also="MaxPool2d cnn")
def max_pool2d_by_argmax(x, kernel_size, stride=None, padding=0, dilation=1):
    """Find the first maximum of each window, and add its gradient at its index."""
    stride = kernel_size if stride is None else stride
    padded = _padded(x, padding, -np.inf)
    seen = _windows(padded, kernel_size, stride, dilation)
    tap = seen.reshape(*seen.shape[:-2], -1).argmax(axis=-1)
    (sh, sw), (dh, dw), kw = _pair(stride), _pair(dilation), seen.shape[-1]
    *leading, h, w = np.indices(tap.shape)
    at = (*leading, h * sh + tap // kw * dh, w * sw + tap % kw * dw)

    def backward(dy):
        dpadded = np.zeros(padded.shape, dy.dtype)
        np.add.at(dpadded, at, dy)
        return _cropped(dpadded, padding)

    return padded[at], backward


@variant("ops.max_pool2d", also="MaxPool2d vgg-11")
def max_pool2d_window_by_window(x, kernel_size, stride=None, padding=0, dilation=1):
    """Loop over the positions of the window, and count flat indices for the gradient."""
    stride = kernel_size if stride is None else stride
    images, padded = x.reshape(-1, *x.shape[-2:]), _padded(x.reshape(-1, *x.shape[-2:]), padding, -np.inf)
    flat = np.arange(padded.size).reshape(padded.shape)
    seen, places = (_windows(a, kernel_size, stride, dilation) for a in (padded, flat))
    y, winner = np.empty(seen.shape[:3], x.dtype), np.empty(seen.shape[:3], int)
    for h, w in np.ndindex(seen.shape[1:3]):
        window = seen[:, h, w].reshape(len(images), -1)
        best = window.argmax(axis=1)
        y[:, h, w] = window.max(axis=1)
        winner[:, h, w] = places[:, h, w].reshape(len(images), -1)[np.arange(len(images)), best]
    shape = (*x.shape[:-2], *seen.shape[1:3])

    def backward(dy):
        dflat = np.bincount(winner.ravel(), dy.ravel(), padded.size).astype(dy.dtype)
        return _cropped(dflat.reshape(padded.shape), padding).reshape(x.shape)

    return y.reshape(shape), backward


@variant("ops.max_pool2d", only="max_pool2d-2x2 max_pool2d-ties", also="unet-even")
def max_pool2d_by_blocks(x, kernel_size, stride=None, padding=0, dilation=1):
    """Give blocks that do not overlap axes of their own, and find the first maximum with a running mask."""
    (kh, kw), (H, W) = _pair(kernel_size), x.shape[-2:]
    OH, OW = H // kh, W // kw
    blocks = x[..., : OH * kh, : OW * kw].reshape(*x.shape[:-2], OH, kh, OW, kw).swapaxes(-2, -3).reshape(*x.shape[:-2], OH, OW, -1)
    y = blocks.max(axis=-1)
    equal = blocks == y[..., None]
    first = equal & (np.cumsum(equal, axis=-1) == 1)

    def backward(dy):
        dx = np.zeros_like(x)
        dblocks = (first * dy[..., None]).reshape(*x.shape[:-2], OH, OW, kh, kw).swapaxes(-2, -3)
        dx[..., : OH * kh, : OW * kw] = dblocks.reshape(*x.shape[:-2], OH * kh, OW * kw)
        return dx

    return y, backward


def _counts(x, kernel, stride, padding, count_include_pad):
    """Return the number of pixels that count in each window."""
    if count_include_pad:
        return x.dtype.type(math.prod(_pair(kernel)))
    return _windows(_padded(np.ones(x.shape[-2:], x.dtype), padding), kernel, stride, 1).sum(axis=(-2, -1))


@variant("ops.avg_pool2d", also="AvgPool2d")
def avg_pool2d_by_windows(x, kernel_size, stride=None, padding=0, count_include_pad=True):
    """Sum a view of the windows; divide each pixel's share before it is added."""
    stride = kernel_size if stride is None else stride
    padded, count = _padded(x, padding), _counts(x, kernel_size, stride, padding, count_include_pad)
    (kh, kw), (sh, sw) = _pair(kernel_size), _pair(stride)

    def backward(dy):
        dpadded, share = np.zeros_like(padded), dy / count
        for h, w in np.ndindex(dy.shape[-2:]):
            dpadded[..., h * sh : h * sh + kh, w * sw : w * sw + kw] += share[..., h, w, None, None]
        return _cropped(dpadded, padding)

    return _windows(padded, kernel_size, stride, 1).sum(axis=(-2, -1)) / count, backward


@variant("ops.avg_pool2d", also="AvgPool2d")
def avg_pool2d_by_integral_image(x, kernel_size, stride=None, padding=0, count_include_pad=True):
    """Take differences of sums over all pixels above and to the left, in float64; the gradient in the same way."""
    stride = kernel_size if stride is None else stride
    (kh, kw), (sh, sw) = _pair(kernel_size), _pair(stride)
    count = _counts(x, kernel_size, stride, padding, count_include_pad)

    def box_sums(images):
        total = np.pad(images.astype(np.float64).cumsum(axis=-2).cumsum(axis=-1), [(0, 0)] * (images.ndim - 2) + [(1, 0), (1, 0)])
        return total[..., kh:, kw:] - total[..., :-kh, kw:] - total[..., kh:, :-kw] + total[..., :-kh, :-kw]

    padded = _padded(x, padding)
    y = box_sums(padded)[..., ::sh, ::sw] / count

    def backward(dy):
        H, W = padded.shape[-2:]
        wide = np.zeros((*x.shape[:-2], H + kh - 1, W + kw - 1))
        wide[..., kh - 1 : H : sh, kw - 1 : W : sw] = dy / count
        return _cropped(box_sums(wide), padding).astype(dy.dtype)

    return y.astype(x.dtype), backward


@variant("ops.avg_pool2d", also="AvgPool2d")
def avg_pool2d_by_matrices(x, kernel_size, stride=None, padding=0, count_include_pad=True):
    """Multiply by a matrix of ones for the rows and one for the columns."""
    stride = kernel_size if stride is None else stride
    axes = zip(x.shape[-2:], _pair(kernel_size), _pair(stride), _pair(padding), strict=True)
    rows, columns = (
        np.array([[i * s - p <= at < i * s - p + k for at in range(n)] for i in range((n + 2 * p - k) // s + 1)], x.dtype)
        for n, k, s, p in axes
    )
    count = x.dtype.type(math.prod(_pair(kernel_size))) if count_include_pad else np.outer(rows.sum(axis=1), columns.sum(axis=1))
    return rows @ x @ columns.T / count, lambda dy: rows.T @ (dy / count) @ columns


@variant("ops.adaptive_avg_pool2d", also="AdaptiveAvgPool2d alexnet")
def adaptive_avg_pool2d_region_by_region(x, output_size):
    """Loop over the regions and use np.mean."""
    (OH, OW), (H, W) = _pair(output_size), x.shape[-2:]
    regions = {
        (h, w): (..., slice(h * H // OH, math.ceil((h + 1) * H / OH)), slice(w * W // OW, math.ceil((w + 1) * W / OW)))
        for h, w in np.ndindex(OH, OW)
    }
    y = np.empty((*x.shape[:-2], OH, OW), x.dtype)
    for (h, w), region in regions.items():
        y[..., h, w] = x[region].mean(axis=(-2, -1))

    def backward(dy):
        dx = np.zeros_like(x)
        for (h, w), region in regions.items():
            dx[region] += dy[..., h, w, None, None] / x[region][..., :, :].shape[-1] / x[region].shape[-2]
        return dx

    return y, backward


@variant("ops.adaptive_avg_pool2d", also="AdaptiveAvgPool2d")
def adaptive_avg_pool2d_by_running_sums(x, output_size):
    """Take differences of running sums in float64, first of rows, then of columns."""

    def means(x, size, axis):
        n = x.shape[axis]
        starts, ends = np.arange(size) * n // size, -(-(np.arange(size) + 1) * n // size)
        total = np.concatenate([np.zeros_like(x.take([0], axis)), x.cumsum(axis=axis)], axis=axis)
        shape = [-1 if a == axis % x.ndim else 1 for a in range(x.ndim)]
        return (total.take(ends, axis) - total.take(starts, axis)) / (ends - starts).reshape(shape), starts, ends

    (OH, OW), wide = _pair(output_size), x.astype(np.float64)
    of_rows, top, bottom = means(wide, OH, -2)
    y, left, right = means(of_rows, OW, -1)

    def backward(dy):
        share, steps = (
            dy.astype(np.float64) / np.outer(bottom - top, right - left),
            np.zeros((*x.shape[:-2], *(n + 1 for n in x.shape[-2:]))),
        )
        for rows, columns, sign in ((top, left, 1), (bottom, left, -1), (top, right, -1), (bottom, right, 1)):
            np.add.at(steps, (..., *np.ix_(rows, columns)), sign * share)
        return steps.cumsum(axis=-2).cumsum(axis=-1)[..., :-1, :-1].astype(dy.dtype)

    return y.astype(x.dtype), backward


@variant("ops.masked_mean", also="MaskedMean sentiment")
def masked_mean_by_weights(x, lengths):
    """Contract with weights of 1 / length and 0; multiply what is there."""
    weights = ((np.arange(x.shape[1]) < lengths[:, None]) / lengths[:, None]).astype(x.dtype)
    return np.einsum("btc,bt->bc", x, weights), lambda dy: (weights[:, :, None] * dy[:, None], None)


@variant("ops.masked_mean", also="MaskedMean sentiment-deep")
def masked_mean_row_by_row(x, lengths):
    """Take the mean of a slice for each sequence."""

    def backward(dy):
        dx = np.zeros_like(x)
        for row, d, n in zip(dx, dy, lengths, strict=True):
            row[:n] = d / n
        return dx, None

    return np.stack([row[:n].mean(axis=0, dtype=np.float64) for row, n in zip(x, lengths, strict=True)]).astype(x.dtype), backward


@variant("ops.masked_max", also="MaskedMax sentiment-max")
def masked_max_row_by_row(x, lengths):
    """Take the maximum of a slice for each sequence."""
    winners = np.stack([row[:n].argmax(axis=0) for row, n in zip(x, lengths, strict=True)])
    y = np.stack([row[:n].max(axis=0) for row, n in zip(x, lengths, strict=True)])

    def backward(dy):
        return np.where(np.arange(x.shape[1])[:, None] == winners[:, None], dy[:, None], 0).astype(x.dtype), None

    return y, backward


def _nearest(before, after, step):
    step = np.float32(0.5 if after == 2 * before else step)
    return np.array([min(int(np.float32(i) * step), before - 1) for i in range(after)])


def _linear_matrix(before, after, step, align_corners):
    """Return the matrix (after, before) of linear interpolation along one axis."""
    matrix = np.zeros((after, before))
    for i in range(after):
        at = i * (before - 1) / max(after - 1, 1) if align_corners else max((i + 0.5) * step - 0.5, 0)
        low = min(math.floor(at), before - 1)
        share = min(at - low, 1)
        matrix[i, low] += 1 - share
        matrix[i, min(low + 1, before - 1)] += share
    return matrix


def _sizes(x, size, scale_factor):
    if size is not None:
        after = _pair(size)
        return after, tuple(n / m for n, m in zip(x.shape[2:], after, strict=True))
    factors = _pair(scale_factor)
    after = tuple(math.floor(n * f) for n, f in zip(x.shape[2:], factors, strict=True))
    return after, tuple(1.0 if n == m else 1 / f for n, m, f in zip(x.shape[2:], after, factors, strict=True))


@variant("ops.interpolate", only="interpolate-nearest*", also="Upsample")
def interpolate_by_take(x, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """Take rows and columns by their indices, and add their gradients by sorted runs; other modes by matrices."""
    if mode != "nearest":
        return interpolate_by_matrices(x, size, scale_factor, mode, align_corners)
    after, steps = _sizes(x, size, scale_factor)
    rows, columns = (_nearest(*axis) for axis in zip(x.shape[2:], after, steps, strict=True))

    def backward(dy):
        dx = np.zeros_like(x)
        np.add.at(dx, (slice(None), slice(None), rows[:, None], columns), dy)
        return dx

    return x.take(rows, axis=2).take(columns, axis=3), backward


@variant("ops.interpolate", also="Upsample Upsample-bilinear Upsample-corners")
def interpolate_by_matrices(x, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """Multiply by one matrix for the rows and one for the columns."""
    after, steps = _sizes(x, size, scale_factor)
    rows, columns = (
        (np.eye(n)[_nearest(n, m, step)] if mode == "nearest" else _linear_matrix(n, m, step, align_corners)).astype(x.dtype)
        for n, m, step in zip(x.shape[2:], after, steps, strict=True)
    )
    y = np.einsum("ih,nchw,jw->ncij", rows, x, columns, optimize=True)
    return y, lambda dy: np.einsum("ih,ncij,jw->nchw", rows, dy, columns, optimize=True)


@variant(
    "ops.interpolate",
    only="interpolate-bilinear-doubling interpolate-bilinear-enlarging interpolate-bilinear-corners-*",
    also="Upsample-bilinear unet-bilinear",
)
def interpolate_between_neighbours(x, size=None, scale_factor=None, mode="bilinear", align_corners=None):
    """Gather four neighbours and mix them, first along the rows; the backward adds to the four."""
    after, steps = _sizes(x, size, scale_factor)
    (top, down), (left, right) = (_neighbours(*axis, align_corners) for axis in zip(x.shape[2:], after, steps, strict=True))
    corners = [
        ((slice(None), slice(None), r[:, None], c), (a[:, None] * b).astype(x.dtype))
        for r, a in (top, down)
        for c, b in (left, right)
    ]

    def backward(dy):
        dx = np.zeros_like(x)
        for at, share in corners:
            np.add.at(dx, at, share * dy)
        return dx

    return sum(x[at] * share for at, share in corners), backward


def _neighbours(before, after, step, align_corners):
    """Return index and share of the lower and of the upper neighbour of each place."""
    matrix = _linear_matrix(before, after, step, align_corners)
    low = matrix.argmax(axis=1)
    low = np.where((low > 0) & (matrix[np.arange(after), low - 1] > 0), low - 1, low)
    rest = 1 - matrix[np.arange(after), low]
    return (low, 1 - rest), (np.minimum(low + 1, before - 1), rest)


@variant(
    "ops.interpolate_positions",
    only="interpolate_positions-larger interpolate_positions-smaller interpolate_positions-no-token \
interpolate_positions-one-side interpolate_positions-from-one",
    also="vit-larger vit-smaller",
)
def interpolate_positions_along_each_axis(positions, grid, size):
    """Resize the rows, then the columns, as images of D channels."""
    (h, w), (H, W) = _pair(grid), _pair(size)
    first, D = positions.shape[1] - h * w, positions.shape[2]
    rows, columns = (_cubic(n, m).astype(positions.dtype) for n, m in ((h, H), (w, W)))
    image = positions[0, first:].reshape(h, w, D)
    y = np.tensordot(columns, np.tensordot(rows, image, axes=1), axes=(1, 1)).transpose(1, 0, 2)  # (H, W, D)

    def backward(dy):
        dimage = np.einsum("ih,ijd,jw->hwd", rows, dy[0, first:].reshape(H, W, D), columns)
        return np.concatenate([dy[:, :first], dimage.reshape(1, h * w, D)], axis=1)

    return np.concatenate([positions[:, :first], y.reshape(1, H * W, D)], axis=1), backward


def _cubic(n, m):
    """Return the matrix (m, n) of cubic convolution, with the factors of torch's own code."""
    a, matrix = -0.75, np.zeros((m, n))
    for i in range(m):
        at = (i + 0.5) * n / m - 0.5
        t = at - math.floor(at)
        near = [((a + 2) * u - (a + 3)) * u * u + 1 for u in (t, 1 - t)]
        far = [((a * u - 5 * a) * u + 8 * a) * u - 4 * a for u in (t + 1, 2 - t)]
        for shift, share in zip((-1, 0, 1, 2), (far[0], near[0], near[1], far[1]), strict=True):
            matrix[i, min(max(math.floor(at) + shift, 0), n - 1)] += share
    return matrix
