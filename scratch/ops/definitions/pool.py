"""Pooling over images (N, C, H, W) or (C, H, W)."""

import numpy as np

from scratch.checks import Size
from scratch.module import Array, Backward
from scratch.ops.definitions.conv import both, padded, positions


def max_pool2d(
    x: Array, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1
) -> tuple[Array, Backward]:
    """Compute y = the maximum of each window; dx adds dy to the first pixel of the window that has it."""
    image, inside = padded(x, padding, -np.inf)
    _, taps = positions(image.shape[-2:], both(kernel_size), kernel_size if stride is None else stride, dilation)
    seen = [index for _, _, index in taps]
    pixels = np.stack([image[index] for index in seen])
    winner = pixels.argmax(axis=0)

    def backward(dy: Array) -> Array:
        dimage = np.zeros_like(image)
        for number, index in enumerate(seen):
            dimage[index] += np.where(winner == number, dy, 0)
        return dimage[inside]

    return pixels.max(axis=0), backward


def avg_pool2d(
    x: Array, kernel_size: Size, stride: Size | None = None, padding: Size = 0, count_include_pad: bool = True
) -> tuple[Array, Backward]:
    """Compute y = the mean of each window; dx adds dy / count to each of its pixels. Padding counts as zeros, or not at all."""
    image, inside = padded(x, padding)
    there, _ = padded(np.ones_like(x), padding, float(count_include_pad))
    _, taps = positions(image.shape[-2:], both(kernel_size), kernel_size if stride is None else stride, 1)
    seen = [index for _, _, index in taps]
    count = np.sum([there[index] for index in seen], axis=0)

    def backward(dy: Array) -> Array:
        dimage = np.zeros_like(image)
        for index in seen:
            dimage[index] += dy / count
        return dimage[inside]

    return np.sum([image[index] for index in seen], axis=0) / count, backward


def adaptive_avg_pool2d(x: Array, output_size: Size) -> tuple[Array, Backward]:
    """Compute y = the mean of each region of a grid; dx spreads dy / count over its pixels. Regions may overlap by a row."""
    (H, W), (OH, OW) = x.shape[-2:], both(output_size)
    y, regions = np.empty_like(x, shape=(*x.shape[:-2], OH, OW)), {}
    for i, j in np.ndindex(OH, OW):
        region = (..., slice(i * H // OH, -(-(i + 1) * H // OH)), slice(j * W // OW, -(-(j + 1) * W // OW)))
        y[..., i, j], regions[i, j] = x[region].mean(axis=(-2, -1)), region

    def backward(dy: Array) -> Array:
        dx = np.zeros_like(x)
        for (i, j), region in regions.items():
            rows, columns = dx[region].shape[-2:]
            dx[region] += dy[..., i, j, None, None] / (rows * columns)
        return dx

    return y, backward
