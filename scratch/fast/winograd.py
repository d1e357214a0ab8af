"""Winograd's convolution: a 3x3 kernel at stride 1 with a quarter of the multiplications (Lavin & Gray 2016, section 4).

The output is cut into tiles of 4x4 pixels, each of which sees 6x6 pixels of the image. The seen pixels d and the kernel g
are evaluated as polynomials at 6x6 points. There, convolution is a product point by point, and the sum over the channels is a
matrix product:

    V = B d Bᵀ    U = G g Gᵀ    M = sum over the channels of U * V    y = A M Aᵀ

In float32 its error is several times that of a plain sum and depends on the points (Barabasz et al. 2020). On 64 channels it
is 58 roundings of the largest value for the points 0, ±1, ±2, and 11 to 14 for 0, ±2/3, ±3/2. PyTorch's own is 3 to 8.
"""

from fractions import Fraction
from functools import reduce
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from scratch.fast.channels import channel_sums
from scratch.fast.threads import evenly, get_num_threads, in_parallel
from scratch.fast.window import Window
from scratch.module import Array, Backward

TILE, KERNEL = 4, 3
SEEN = TILE + KERNEL - 1  # pixels that a tile sees on each side, and as many points; the last point is infinity
POINTS = [Fraction(p) for p in ("0", "2/3", "-2/3", "3/2", "-3/2")]
BLOCK = 1 << 20  # elements of V at a time: four megabytes in float32
KEPT = 1 << 22  # elements of an array at most: the allocator does not keep the memory of larger ones (see memory.py)
WORTH = 32  # channels: with fewer, the transforms take longer than the saved products


def transforms() -> tuple[Array, Array, Array]:
    """Return A (TILE, SEEN), B (SEEN, SEEN) and G (SEEN, KERNEL) by the method of Toom and Cook, each for both axes at once."""

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
    """Return whether this algorithm fits the convolution and is quicker; in float64 its larger error is not acceptable."""
    fits = (win.kernel, win.stride, win.dilation) == ((KERNEL, KERNEL), (1, 1), (1, 1))
    return fits and x.dtype == np.float32 and min(weight.shape[:2]) >= WORTH and min(win.out) >= TILE


class Points:
    """One convolution at the points: the kernels U and, once the forward pass has written them, the pixels V.

    Each is a list with an array for each slice of points in `lots`.
    """

    def __init__(self, x: Array, weight: Array, win: Window):
        (N, C, _, _), O, (OH, OW) = x.shape, len(weight), win.out
        self.rows, self.cols = -(-OH // TILE), -(-OW // TILE)  # numbers of tiles
        self.C, self.dtype, self.padding = C, x.dtype, win.padding
        self.to_tile, self.to_points, self.kernel_to_points = (matrix.astype(x.dtype) for matrix in (A, B, G))
        self.lots = _lots(max(C * O, N * self.rows * self.cols * max(C, O)))
        self.strips = _strips(self.rows, SEEN**2 * self.cols * C)
        kernels = weight.reshape(-1, KERNEL**2).T
        self.U = in_parallel(lambda lot: (self.kernel_to_points[lot] @ kernels).reshape(-1, O, C), self.lots)
        self.V = self.empty(N, C)

    def empty(self, N: int, channels: int) -> list[Array]:
        """Return arrays for N images at the points."""
        return [np.empty((lot.stop - lot.start, N, self.rows, self.cols, channels), self.dtype) for lot in self.lots]

    def seen_size(self) -> tuple[int, int]:
        """Return the height and width of the pixels that all tiles of an image see."""
        return SEEN - TILE + self.rows * TILE, SEEN - TILE + self.cols * TILE

    def forward(self, x: Array, images: slice, y: Array) -> None:
        """Write V and y of some images."""
        O = y.shape[3]
        pixels = _padded(x[images], self.padding, *self.seen_size())
        for strip in self.strips:
            seen = _tiles(pixels, SEEN, strip).reshape(SEEN**2, -1)
            M = np.empty((SEEN**2, seen.shape[1] // self.C, O), self.dtype)
            for lot, U_lot, V_lot in zip(self.lots, self.U, self.V, strict=True):
                points = V_lot[:, images, strip].reshape(len(V_lot), -1)
                np.matmul(self.to_points[lot], seen, out=points)
                np.matmul(points.reshape(len(V_lot), -1, self.C), U_lot.swapaxes(1, 2), out=M[lot])
            tiles = _tiles(y[images], TILE, strip)
            tiles[...] = (self.to_tile @ M.reshape(SEEN**2, -1)).reshape(tiles.shape)

    def backward(self, dy: Array, images: slice, dM: list[Array], dx: Array | None) -> None:
        """Write dM of some images, and their dx unless it is None."""
        O, (ph, pw) = dy.shape[1], self.padding
        dpixels = _padded(dy[images], (0, 0), self.rows * TILE, self.cols * TILE)
        dpadded = np.zeros((len(dpixels), *self.seen_size(), self.C), self.dtype)
        for strip in self.strips:
            dtiles, dseen = _tiles(dpixels, TILE, strip).reshape(TILE**2, -1), _tiles(dpadded, SEEN, strip)
            dV = np.empty((SEEN**2, dtiles.shape[1] // O, self.C), self.dtype)
            for lot, U_lot, dM_lot in zip(self.lots, self.U, dM, strict=True):
                dpoints = dM_lot[:, images, strip].reshape(len(dM_lot), -1)
                np.matmul(self.to_tile.T[lot], dtiles, out=dpoints)
                if dx is not None:
                    np.matmul(dpoints.reshape(len(dM_lot), -1, O), U_lot, out=dV[lot])
            if dx is not None:
                by_tile = (self.to_points.T @ dV.reshape(SEEN**2, -1)).reshape(dseen.shape)
                for i, j in np.ndindex(SEEN, SEEN):  # the tiles of seen pixels overlap
                    dseen[i, j] += by_tile[i, j]
        if dx is not None:
            dx[images] = dpadded[:, ph : ph + dx.shape[1], pw : pw + dx.shape[2]]

    def dkernels(self, dM: list[Array], number: int) -> Array:
        """Return the part of the gradient of the kernels that comes from one slice of points."""
        dM_lot, V_lot = dM[number], self.V[number]
        dU = dM_lot.reshape(len(dM_lot), -1, dM_lot.shape[4]).swapaxes(1, 2) @ V_lot.reshape(len(V_lot), -1, V_lot.shape[4])
        return dU.reshape(len(dU), -1).T @ self.kernel_to_points[self.lots[number]]


def conv2d_by_winograd(x: Array, weight: Array, bias: Array | None, win: Window) -> tuple[Array, Backward]:
    """Convolve in one group with a 3x3 kernel at stride 1; y and dx lie in memory as (N, H, W, C).

    The backward works at the points too. It is that of the formulas above, with V kept from the forward pass:

        dM = Aᵀ dy A    dU = dM Vᵀ    dV = Uᵀ dM    dg = Gᵀ dU G    dd = Bᵀ dV B

    V is 2.25 times as large as x. Each thread takes a group of images; for dU, to which all images add, a group of points.
    """
    (N, C, H, W), O, (OH, OW), dtype = x.shape, len(weight), win.out, x.dtype
    points = Points(x, weight, win)
    groups = _groups(N, SEEN**2 * points.rows * points.cols * C)
    y = np.empty((N, points.rows * TILE, points.cols * TILE, O), dtype)
    in_parallel(lambda images: points.forward(x, images, y), groups)
    y = y[:, :OH, :OW]
    if bias is not None:
        y += bias

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        dM, dx, dweight = points.empty(N, O), np.empty((N, H, W, C), dtype) if needs[0] else None, None
        in_parallel(lambda images: points.backward(dy, images, dM, dx), groups)
        if needs[1]:
            lots = in_parallel(lambda number: points.dkernels(dM, number), range(len(dM)))
            dweight = reduce(np.add, lots).reshape(weight.shape)
        dbias = channel_sums(dy) if bias is not None and needs[2] else None
        return None if dx is None else dx.transpose(0, 3, 1, 2), dweight, dbias

    return y.transpose(0, 3, 1, 2), backward


def _lots(size: int) -> list[slice]:
    """Return the points in slices: one or more for each thread, each of less than KEPT elements at `size` for a point."""
    return evenly(SEEN**2, max(-(-(SEEN**2) * size // KEPT), get_num_threads()))


def _groups(N: int, size: int) -> list[slice]:
    """Return the images in slices whose V has about BLOCK elements, at `size` for an image; every thread gets as many."""
    return evenly(N, -(-N * size // (BLOCK * get_num_threads())) * get_num_threads())


def _strips(rows: int, size: int) -> list[slice]:
    """Return the rows of tiles in slices whose V has at most about BLOCK elements, at `size` for a row."""
    step = max(BLOCK // size, 1)
    return [slice(row, row + step) for row in range(0, rows, step)]


def _padded(x: Array, padding: tuple[int, int], height: int, width: int) -> Array:
    """Return images (N, C, H, W) as (N, height, width, C), padded with zeros."""
    (N, C, H, W), (ph, pw) = x.shape, padding
    padded = np.zeros((N, height, width, C), x.dtype)
    padded[:, ph : ph + H, pw : pw + W] = x.transpose(0, 2, 3, 1)
    return padded


def _tiles(images: Array, size: int, strip: slice) -> Array:
    """Return a view of some rows of tiles of images (N, H, W, C): (size, size, N, rows, cols, C)."""
    tiles = sliding_window_view(images, (size, size), axis=(1, 2), writeable=True)[:, ::TILE, ::TILE]
    return tiles[:, strip].transpose(4, 5, 0, 1, 2, 3)
