"""Two-dimensional convolution, as a sum over the positions in the kernel."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from scratch.checks import Size
from scratch.module import Array, Backward


def both(size: Size) -> tuple[int, int]:
    """Return an option for height and width as a pair."""
    return size if isinstance(size, tuple) else (size, size)


def positions(
    image: tuple[int, ...], kernel: tuple[int, ...], stride: Size, dilation: Size
) -> tuple[tuple[int, int], Iterator[tuple[int, int, Any]]]:
    """Return the output's size, and for each position (i, j) in the kernel an index of the pixels that it meets."""
    (KH, KW), (sh, sw), (dh, dw) = kernel, both(stride), both(dilation)
    H, W = (image[0] - (KH - 1) * dh - 1) // sh + 1, (image[1] - (KW - 1) * dw - 1) // sw + 1
    rows, columns = np.arange(H)[:, None] * sh, np.arange(W) * sw
    return (H, W), ((i, j, (..., rows + i * dh, columns + j * dw)) for i in range(KH) for j in range(KW))


def padded(x: Array, padding: Size, value: float = 0.0) -> tuple[Array, Any]:
    """Return images (..., H, W) with padding around, and the index of the images in them."""
    (ph, pw), (H, W) = both(padding), x.shape[-2:]
    around = [(0, 0)] * (x.ndim - 2) + [(ph, ph), (pw, pw)]
    return np.pad(x, around, constant_values=value), (..., slice(ph, ph + H), slice(pw, pw + W))


def conv2d(
    x: Array, weight: Array, bias: Array | None = None, stride: Size = 1, padding: Size = 0, dilation: Size = 1, groups: int = 1
) -> tuple[Array, Backward]:
    """Compute y[n, o, h, w] = bias[o] + Σ_cij weight[o, c, i, j] x[n, c, h stride + i dilation - padding, ...].

    dx adds weight[o, c, i, j] dy[n, o, h, w] to the same pixel, dweight[o, c, i, j] = Σ_nhw dy x, dbias = Σ_nhw dy.
    """
    (N, C), (O, _, KH, KW), G = x.shape[:2], weight.shape, groups
    image, inside = padded(x, padding)
    image, kernel = image.reshape(N, G, C // G, *image.shape[2:]), weight.reshape(G, O // G, C // G, KH, KW)
    size, taps = positions(image.shape[-2:], (KH, KW), stride, dilation)
    seen, y = list(taps), np.zeros((N, G, O // G, *size), x.dtype)
    for i, j, index in seen:
        y += np.einsum("goc,ngchw->ngohw", kernel[..., i, j], image[index])
    y = y.reshape(N, O, *size)

    def backward(dy: Array) -> tuple[Array | None, ...]:
        dgroups, dimage, dkernel = dy.reshape(N, G, O // G, *size), np.zeros_like(image), np.zeros_like(kernel)
        for i, j, index in seen:
            dimage[index] += np.einsum("goc,ngohw->ngchw", kernel[..., i, j], dgroups)
            dkernel[..., i, j] = np.einsum("ngohw,ngchw->goc", dgroups, image[index])
        dx = dimage.reshape(N, C, *dimage.shape[3:])[inside]
        return dx, dkernel.reshape(weight.shape), None if bias is None else dy.sum(axis=(0, 2, 3))

    return y if bias is None else y + bias[:, None, None], backward
