"""Pooling over images (N, C, H, W) or (C, H, W)."""

import numpy as np

from scratch.checks import Size, one_float_dtype, pair
from scratch.contract import op
from scratch.fast.select import weighted, zero_where
from scratch.fast.threads import Part, in_blocks
from scratch.fast.window import Window, window
from scratch.module import Array, Backward


@op
def max_pool2d(
    x: Array, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1
) -> tuple[Array, Backward]:
    """Compute the maximum of each window of x (N, C, H, W) or (C, H, W); padding is -∞.

    dx adds dy at the maximum of each window; of equal maxima, the first in row-major order gets it. The maximum of a window
    with NaN is NaN, and its last NaN gets the gradient, as in torch.
    """
    win = _pooling_window("max_pool2d", x, kernel_size, stride, padding, dilation)
    padded = win.pad(x, -np.inf)
    shape = padded.shape
    y = np.empty_like(padded, shape=(*x.shape[:-2], *win.out))
    winner = np.empty_like(y, dtype=np.min_scalar_type(win.kernel[0] * win.kernel[1]))  # which tap is the maximum
    first = _first_taps(win).astype(winner.dtype) if any(win.padding) else winner.dtype.type(0)

    def forward(part: Part) -> None:
        top, its_tap = y[part], winner[part]
        its_tap[...] = first
        for t, (_, _, tap) in enumerate(win.taps(padded[part])):
            if t == 0:
                top[...] = tap
            else:
                np.maximum(its_tap, (tap > top) * winner.dtype.type(t), out=its_tap)
                np.maximum(top, tap, out=top)
        if np.isnan(top.max(initial=-np.inf)):
            for t, (_, _, tap) in enumerate(win.taps(padded[part])):
                its_tap[np.isnan(tap)] = t

    in_blocks(forward, padded)

    def backward(dy: Array) -> Array:
        dy = _in_layout_of(winner, dy)
        dpadded = np.zeros_like(winner, dtype=dy.dtype, shape=shape)

        def spread(part: Part) -> None:
            for t, (_, _, dtap) in enumerate(win.taps(dpadded[part])):
                lost = winner[part] != t
                if win.overlaps:
                    dtap += zero_where(np.empty_like(dy[part]), dy[part], lost)
                else:
                    zero_where(dtap, dy[part], lost)

        in_blocks(spread, dpadded)
        return win.crop(dpadded)

    return y, backward


@op
def avg_pool2d(
    x: Array, kernel_size: Size, stride: Size | None = None, padding: Size = 0, count_include_pad: bool = True
) -> tuple[Array, Backward]:
    """Compute the mean of each window of x (N, C, H, W) or (C, H, W).

    dx adds dy, divided by the number of pixels that count, at each pixel of the window. With count_include_pad, pixels of the
    padding count as zeros; without it, they do not count.
    """
    win = _pooling_window("avg_pool2d", x, kernel_size, stride, padding, 1)
    if count_include_pad:
        count = x.dtype.type(win.kernel[0] * win.kernel[1])
    else:
        count = sum(tap for _, _, tap in win.taps(win.pad(np.ones(x.shape[-2:], x.dtype))))
    padded = win.pad(x)
    y = sum(tap for _, _, tap in win.taps(padded)) / count

    def backward(dy: Array) -> Array:
        dpadded, share = np.zeros_like(padded), dy / count
        for _, _, dtap in win.taps(dpadded):
            dtap += share
        return win.crop(dpadded)

    return y, backward


@op
def adaptive_avg_pool2d(x: Array, output_size: Size) -> tuple[Array, Backward]:
    """Compute the means over a grid of output_size regions of x (N, C, H, W) or (C, H, W).

    Region i of n covers the rows from floor(i H / n) to ceil((i + 1) H / n), and columns likewise. So y = R x Cᵀ for matrices
    R and C of means, and dx = Rᵀ dy C.
    """
    _check_images("adaptive_avg_pool2d", x)
    out_h, out_w = pair("adaptive_avg_pool2d", "output_size", output_size, 1)
    rows, columns = _region_means(x.shape[-2], out_h, x.dtype), _region_means(x.shape[-1], out_w, x.dtype)
    y = rows @ x @ columns.T
    if not np.isfinite(y).all():  # a pixel has no effect outside its region, not even with NaN
        y = weighted(weighted(x, columns).swapaxes(-1, -2), rows).swapaxes(-1, -2)
    return y, lambda dy: rows.T @ dy @ columns


def _in_layout_of(template: Array, dy: Array) -> Array:
    """Return dy with the memory layout of the template, because loops over two layouts at once are slow."""
    aligned = np.empty_like(template, dtype=dy.dtype)
    if dy.strides == aligned.strides:
        return dy
    aligned[...] = dy
    return aligned


def _region_means(size: int, regions: int, dtype: np.dtype) -> Array:
    """Return the matrix (regions, size) that computes the means of a vector's regions."""
    matrix = np.zeros((regions, size), dtype)
    for i in range(regions):
        start, end = i * size // regions, -(-(i + 1) * size // regions)
        matrix[i, start:end] = 1 / (end - start)
    return matrix


def _first_taps(win: Window) -> Array:
    """Return, for each window (OH, OW), the number of its first tap that is a pixel and not padding."""
    axes = zip(win.out, win.stride, win.padding, win.dilation, strict=True)
    rows, columns = (-(np.minimum(np.arange(n) * s - p, 0) // d) for n, s, p, d in axes)
    return rows[:, None] * win.kernel[1] + columns


def _pooling_window(op: str, x: Array, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size) -> Window:
    """Return the window, or raise ValueError; the stride is kernel_size by default."""
    _check_images(op, x)
    win = window(op, x, kernel_size, kernel_size if stride is None else stride, padding, dilation)
    if any(2 * p > k for p, k in zip(win.padding, win.kernel, strict=True)):
        raise ValueError(f"{op}: padding is {win.padding}, expected at most half of kernel_size {win.kernel}")
    return win


def _check_images(op: str, x: Array) -> None:
    """Raise ValueError unless x is one image or a batch of images."""
    one_float_dtype(op, x=x)
    if x.ndim not in (3, 4) or min(x.shape[-3:]) < 1:
        raise ValueError(f"{op}: expected x (N, C, H, W) or (C, H, W), got {x.shape}; C, H and W are at least 1")
