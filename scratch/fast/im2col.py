"""Convolution as matrix products: the windows of the images are the rows of a matrix (Chellapilla, Puri & Simard 2006)."""

from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from math import prod

import numpy as np

from scratch.fast.channels import channel_sums
from scratch.fast.threads import in_parallel, shares
from scratch.fast.window import Window
from scratch.module import Array, Backward

BLOCK = 1 << 18  # elements gathered at a time: more do not fit in the cache, fewer make the matrix product slow
FEW = 8  # channels; with fewer, windows are copied along the rows of the images, not along the channels


def conv2d_by_columns(x: Array, weight: Array, bias: Array | None, win: Window) -> tuple[Array, Backward]:
    """Convolve in one group, for any window; the backward is that of conv2d.

    y and dx lie in memory as (N, H, W, C), so that the next op can run along the channels. The windows are gathered one
    block at a time, and again in the backward, because together they are KH * KW times as large as the images.
    """
    (N, _, H, W), (O, C, KH, KW), (OH, OW) = x.shape, weight.shape, win.out
    y = np.empty((N, OH, OW, O), x.dtype)
    matrix = weight.transpose(0, 2, 3, 1).reshape(O, -1).T  # (KH * KW * C, O)
    bias_row = None if bias is None else np.tile(bias, OW)

    def forward(images: slice) -> None:
        for block, rows in columns(x[images], win):
            pixels = y[images][block]
            np.matmul(rows, matrix, out=pixels.reshape(-1, O))
            if bias_row is not None:
                pixels.reshape(-1, OW * O)[...] += bias_row

    in_parallel(forward, _shares(x, win))

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        dbias = channel_sums(dy) if bias is not None and needs[2] else None
        (ph, pw), (dh, dw) = win.padding, win.dilation
        full = (KH - 1) * dh - ph, (KW - 1) * dw - pw  # the padding of dy with which dx is itself a convolution
        narrow = O <= C or win.kernel == (1, 1)  # for a wider dy, dx tap by tap is quicker
        if needs[0] and narrow and win.stride == (1, 1) and min(full) >= 0:
            return *_gradients_from_dy(x, weight, dy, replace(win, padding=full, out=(H, W)), needs[1]), dbias
        dweight = _weight_gradient(x, weight.shape, dy, win) if needs[1] else None
        return input_gradient(x.shape, weight, dy, win) if needs[0] else None, dweight, dbias

    return y.transpose(0, 3, 1, 2), backward


def _shares(x: Array, win: Window) -> list[slice]:
    """Return a slice of the images for each thread; the size of the work is all that their windows see."""
    return shares(len(x), len(x) * x.shape[1] * prod(win.out) * prod(win.kernel))


def columns(x: Array, win: Window) -> Iterator[tuple[tuple[slice, slice], Array]]:
    """Yield each block of the output: its place (images, rows) and its windows as a matrix (pixels, KH * KW * C).

    A block is several images, or several rows of one image. The windows of the next block overwrite those of this one.
    """
    (N, C, H, W), (KH, KW), (OH, OW) = x.shape, win.kernel, win.out
    if win.kernel == (1, 1) and win.padding == (0, 0) and win.out == (H, W):
        yield (slice(None), slice(None)), _pixels(x)
        return
    pixels = BLOCK // (KH * KW * C)
    images = max(min(pixels // (OH * OW), N), 1)
    step = max(min(pixels // OW, OH), 1)  # rows of the output
    if C < FEW:
        padded = np.zeros((images, C, *win.padded_size(H, W)), x.dtype)
        gathered = np.empty((KH * KW * C, images * step * OW), x.dtype).T
    else:
        padded = np.zeros((images, *win.padded_size(H, W), C), x.dtype).transpose(0, 3, 1, 2)
        gathered = np.empty((images * step * OW, KH * KW * C), x.dtype)
    windows = win.view(padded).transpose(0, 2, 3, 4, 5, 1)  # (images, OH, OW, KH, KW, C)
    for n in range(0, N, images):
        some = x[n : n + images]
        win.crop(padded)[: len(some)] = some
        for row in range(0, OH, step):
            seen = windows[: len(some), row : row + step]
            rows = gathered[: seen.size // gathered.shape[1]]
            np.copyto(rows.reshape(seen.shape), seen)
            yield (slice(n, n + images), slice(row, row + step)), rows


def _gradients_from_dy(x: Array, weight: Array, dy: Array, win: Window, need_weight: bool) -> tuple[Array, Array | None]:
    """Return dx and dweight at stride 1: dx is the convolution of dy with the flipped kernel, dweight needs the same windows."""
    (N, C, H, W), (O, _, KH, KW) = x.shape, weight.shape
    dx = np.empty((N, H, W, C), x.dtype)
    flipped = weight[:, :, ::-1, ::-1].transpose(2, 3, 0, 1).reshape(-1, C)  # (KH * KW * O, C)

    def spread(images: slice) -> Array:
        dflipped = np.zeros_like(flipped)
        for block, rows in columns(dy[images], win):
            np.matmul(rows, flipped, out=dx[images][block].reshape(-1, C))
            if need_weight:
                dflipped += rows.T @ _pixels(x[images], block)
        return dflipped

    dflipped = reduce(np.add, in_parallel(spread, _shares(dy, win)))
    dweight = np.ascontiguousarray(dflipped.reshape(KH, KW, O, C)[::-1, ::-1].transpose(2, 3, 0, 1))
    return dx.transpose(0, 3, 1, 2), dweight if need_weight else None


def _weight_gradient(x: Array, shape: tuple[int, ...], dy: Array, win: Window) -> Array:
    """Return dweight: the sum over all pixels of dy of the pixel times its window."""
    O, C, KH, KW = shape

    def correlate(images: slice) -> Array:
        dmatrix = np.zeros((O, KH * KW * C), x.dtype)
        for block, rows in columns(x[images], win):
            dmatrix += _pixels(dy[images], block).T @ rows
        return dmatrix

    dmatrix = reduce(np.add, in_parallel(correlate, _shares(x, win)))
    return np.ascontiguousarray(dmatrix.reshape(O, KH, KW, C).transpose(0, 3, 1, 2))


def input_gradient(shape: tuple[int, ...], weight: Array, dy: Array, win: Window, groups: int = 1) -> Array:
    """Return dx of this shape, in memory as (N, H, W, C): each pixel of dy is spread over its window, tap by tap."""
    (N, C, H, W), (O, _, KH, KW), G = shape, weight.shape, groups
    dpadded = np.zeros((N, *win.padded_size(H, W), C), dy.dtype).transpose(0, 3, 1, 2)
    kernel = np.ascontiguousarray(weight.reshape(G, O // G, C // G, KH, KW).transpose(3, 4, 0, 1, 2))

    def spread(images: slice) -> None:
        dy_groups = _pixels(dy[images]).reshape(-1, G, O // G).swapaxes(0, 1)
        for i, j, dtap in win.taps(dpadded[images]):
            seen = (dy_groups @ kernel[i, j]).swapaxes(0, 1).reshape(-1, *win.out, C).transpose(0, 3, 1, 2)
            if win.overlaps:
                dtap += seen
            else:
                dtap[...] = seen

    in_parallel(spread, shares(N, dpadded.size))
    return win.crop(dpadded)


def _pixels(x: Array, block: tuple[slice, slice] = (slice(None), slice(None))) -> Array:
    """Return a block of images as rows of channels (pixels, C)."""
    return x.transpose(0, 2, 3, 1)[block].reshape(-1, x.shape[1])
