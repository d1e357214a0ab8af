"""Winograd's convolution: a 3x3 kernel at stride 1 with a quarter of the multiplications (Lavin & Gray 2016, section 4).

The image is cut into tiles of 4x4 outputs, each of which sees 6x6 pixels. Tile and kernel are taken for polynomials and
evaluated at 6x6 points, where convolution is a product point by point, and the sum over the channels a matrix product:

    V = B d B'    U = G g G'    M = sum over the channels of U * V    y = A M A'

float32 loses several times what a plain sum does; how many times, the points decide: on 64 channels 58 roundings of the
largest value for 0, ±1, ±2, and 11 for 0, ±2/3, ±3/2 (on their choice: Barabasz et al. 2020). PyTorch's own loses 8.
"""

from collections.abc import Iterator
from fractions import Fraction
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from scratch.module import Array, Backward
from scratch.ops.reduce import channel_sums
from scratch.ops.window import Window

TILE, KERNEL = 4, 3
SEEN = TILE + KERNEL - 1  # pixels that a tile sees, a side, and as many points; the last is infinity
POINTS = [Fraction(p) for p in ("0", "2/3", "-2/3", "3/2", "-3/2")]
BLOCK = 1 << 19  # elements of V at a time: two megabytes
WORTH = 32  # channels: with fewer, the transforms take longer than the products that they save


def transforms() -> tuple[Array, Array, Array]:
    """A (TILE, SEEN), B (SEEN, SEEN) and G (SEEN, KERNEL) by the method of Toom and Cook, each for both axes at once."""

    def powers(length: int) -> list[list[Fraction]]:
        return [[p**k for k in range(length)] for p in POINTS] + [[Fraction(k == length - 1) for k in range(length)]]

    others = [[q for q in POINTS if q != p] for p in POINTS]
    weights = [prod(p - q for q in qs) for p, qs in zip(POINTS, others, strict=True)] + [Fraction(1)]
    B = np.zeros((SEEN, SEEN))
    for row, roots in zip(B, [*others, POINTS], strict=True):
        coefficients = np.poly([float(root) for root in roots])[::-1]  # the polynomial that is 0 at all other points
        row[: len(coefficients)] = coefficients
    A, G = np.array(powers(TILE), float).T, np.array(powers(KERNEL), float) / np.array(weights, float)[:, None]
    return np.kron(A, A), np.kron(B, B), np.kron(G, G)


A, B, G = transforms()


def suits_winograd(x: Array, weight: Array, win: Window) -> bool:
    """Whether a convolution can be done so, and gains by it. In float64 nothing is worth an error above the least."""
    fits = (win.kernel, win.stride, win.dilation) == ((KERNEL, KERNEL), (1, 1), (1, 1))
    return fits and x.dtype == np.float32 and min(weight.shape[:2]) >= WORTH and min(win.out) >= TILE


def conv2d_by_winograd(x: Array, weight: Array, bias: Array | None, win: Window) -> tuple[Array, Backward]:
    """Convolution in one group with a 3x3 kernel, stride 1. The value and dx lie in memory as (N, H, W, C).

    The backward stays among the points: it keeps V, which is 2.25 times as large as x.
    """
    (N, C, H, W), O, (OH, OW) = x.shape, len(weight), win.out
    rows, cols = -(-OH // TILE), -(-OW // TILE)  # of tiles
    to_points, to_tile = B.astype(x.dtype), A.astype(x.dtype)
    U = (G @ weight.transpose(2, 3, 1, 0).reshape(KERNEL**2, -1)).astype(x.dtype).reshape(-1, C, O)
    y = np.empty((N, rows * TILE, cols * TILE, O), x.dtype)
    seen = []
    for images, strip in _blocks(N, rows, cols * C):
        pixels = _padded(x[images], win.padding, SEEN - TILE + rows * TILE, SEEN - TILE + cols * TILE)
        V = (to_points @ _tiles(pixels, SEEN, strip).reshape(SEEN**2, -1)).reshape(SEEN**2, -1, C)
        tiles = _tiles(y[images], TILE, strip)
        tiles[...] = (to_tile @ (V @ U).reshape(SEEN**2, -1)).reshape(tiles.shape)
        seen.append((images, strip, V))
    y = y[:, :OH, :OW]
    if bias is not None:
        y += bias

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        dU, dpadded = np.zeros_like(U), np.zeros((N, SEEN - TILE + rows * TILE, SEEN - TILE + cols * TILE, C), x.dtype)
        for images, strip, V in seen:
            dtiles = _tiles(_padded(dy[images], (0, 0), rows * TILE, cols * TILE), TILE, strip)
            dM = (to_tile.T @ dtiles.reshape(TILE**2, -1)).reshape(SEEN**2, -1, O)
            if needs[1]:
                dU += V.swapaxes(1, 2) @ dM
            if needs[0]:
                dtiles = _tiles(dpadded[images], SEEN, strip)
                dseen = (to_points.T @ (dM @ U.swapaxes(1, 2)).reshape(SEEN**2, -1)).reshape(dtiles.shape)
                for i, j in np.ndindex(SEEN, SEEN):  # tiles overlap
                    dtiles[i, j] += dseen[i, j]
        dweight = None
        if needs[1]:
            dweight = (G.T @ dU.reshape(SEEN**2, -1)).astype(x.dtype).reshape(KERNEL, KERNEL, C, O).transpose(3, 2, 0, 1)
        ph, pw = win.padding
        dx = dpadded[:, ph : ph + H, pw : pw + W].transpose(0, 3, 1, 2) if needs[0] else None
        return dx, dweight, channel_sums(dy) if bias is not None and needs[2] else None

    return y.transpose(0, 3, 1, 2), backward


def _blocks(N: int, rows: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Images and rows of tiles: several images at a time, or several rows of one."""
    images = max(BLOCK // (SEEN**2 * rows * width), 1)
    step = max(min(BLOCK // (SEEN**2 * width), rows), 1)
    for n in range(0, N, images):
        for row in range(0, rows, step):
            yield slice(n, n + images), slice(row, row + step)


def _padded(x: Array, padding: tuple[int, int], height: int, width: int) -> Array:
    """Images (N, C, H, W) as (N, height, width, C), with zeros around."""
    (N, C, H, W), (ph, pw) = x.shape, padding
    padded = np.zeros((N, height, width, C), x.dtype)
    padded[:, ph : ph + H, pw : pw + W] = x.transpose(0, 2, 3, 1)
    return padded


def _tiles(images: Array, size: int, strip: slice) -> Array:
    """The tiles in some rows of them, without a copy: (size, size, N, rows, cols, C) of images (N, H, W, C)."""
    tiles = sliding_window_view(images, (size, size), axis=(1, 2), writeable=True)[:, ::TILE, ::TILE]
    return tiles[:, strip].transpose(4, 5, 0, 1, 2, 3)
