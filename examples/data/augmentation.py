"""Data augmentation of images by random changes, for either backend.

Each function takes a random generator and images (N, C, H, W), and changes every image independently. Pixels from beyond an edge
are background, the smallest value of the batch. These functions are applied to data, so they have no backward.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from scratch.module import Array

Generator = np.random.Generator


def shift(rng: Generator, images: Array, by: int | None = None) -> Array:
    """Move each image by at most `by` pixels along each axis; the default is a fourteenth of its height, at least one pixel."""
    N, _, H, W = _checked("shift", images)
    by = max(1, H // 14) if by is None else by
    if by < 0:
        raise ValueError(f"shift: by is {by}, expected 0 pixels or more")
    padded = np.pad(images, ((0, 0), (0, 0), (by, by), (by, by)), constant_values=_background(images))
    views = np.lib.stride_tricks.sliding_window_view(padded, (H, W), axis=(2, 3))  # (N, C, 2 by + 1, 2 by + 1, H, W)
    rows, columns = rng.integers(0, 2 * by + 1, (2, N))
    return views[np.arange(N), :, rows, columns]


def crop(rng: Generator, images: Array, least: float = 0.8) -> Array:
    """Cut out a part of each image, with sides of at least this share, and enlarge it to the full size (bilinear)."""
    N, _, H, W = _checked("crop", images)
    if not 0 < least <= 1:
        raise ValueError(f"crop: least is {least}, expected a share of the sides above 0, up to 1")
    share = rng.uniform(least, 1, N)
    corner = rng.uniform(0, 1, (N, 2)) * (1 - share)[:, None] * (H - 1, W - 1)
    return _resampled(images, share[:, None, None] * np.eye(2), corner)


def flip(rng: Generator, images: Array) -> Array:
    """Mirror each image, left to right, with probability one half."""
    N, *_ = _checked("flip", images)
    return np.where(rng.random(N).reshape(N, 1, 1, 1) < 0.5, images[..., ::-1], images)


def rotation(rng: Generator, images: Array, degrees: float = 10.0) -> Array:
    """Rotate each image about its centre by at most so many degrees in either direction (bilinear)."""
    N, _, H, W = _checked("rotation", images)
    if not 0 <= degrees <= 180:
        raise ValueError(f"rotation: degrees is {degrees}, expected 0 to 180")
    angles = np.radians(rng.uniform(-degrees, degrees, N))
    turns = np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]).transpose(2, 0, 1)
    centre = np.array([H - 1, W - 1]) / 2
    return _resampled(images, turns, centre - turns @ centre)


def cutout(rng: Generator, images: Array, side: int | None = None) -> Array:
    """Set a square around a random pixel of each image to 0, the mean of normalised pixels (DeVries & Taylor 2017).

    The default side is a quarter of the image's height, at least one pixel. The part of the square beyond an edge has no effect.
    """
    N, _, H, W = _checked("cutout", images)
    side = max(1, H // 4) if side is None else side
    if side < 0:
        raise ValueError(f"cutout: side is {side}, expected 0 pixels or more")
    row, column = (rng.integers(0, size, (N, 1)) - side // 2 for size in (H, W))
    rows, columns = np.arange(H) - row, np.arange(W) - column  # (N, H) and (N, W), from 0 to side - 1 in the square
    inside = ((rows >= 0) & (rows < side))[:, :, None] & ((columns >= 0) & (columns < side))[:, None]
    return np.where(inside[:, None], images.dtype.type(0), images)


def mixup(rng: Generator, images: Array, labels: Array, classes: int, alpha: float = 0.2) -> tuple[Array, Array]:
    """Mix each image and its label with another of the batch, by a share from Beta(alpha, alpha) (Zhang et al. 2018).

    The labels (N,) become probabilities (N, classes). Their cross-entropy is the weighted sum of the two labels' cross-entropies.
    """
    N, *_ = _checked("mixup", images)
    if labels.shape != (N,) or labels.dtype.kind not in "iu":
        raise ValueError(f"mixup: expected labels, {N} whole numbers, got {labels.dtype} of shape {labels.shape}")
    if N and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"mixup: labels from {labels.min()} to {labels.max()}, expected 0 to {classes - 1}")
    if not 0 < alpha < math.inf:
        raise ValueError(f"mixup: alpha is {alpha}, expected a number above 0")
    other, share = rng.permutation(N), rng.beta(alpha, alpha, N).astype(images.dtype)
    share_of_image, share_of_label, one_hot = share.reshape(N, 1, 1, 1), share[:, None], np.eye(classes, dtype=images.dtype)[labels]
    return (
        share_of_image * images + (1 - share_of_image) * images[other],
        share_of_label * one_hot + (1 - share_of_label) * one_hot[other],
    )


OF_IMAGES = {function.__name__: function for function in (shift, crop, flip, rotation, cutout)}


def _resampled(images: Array, matrices: Array, offsets: Array) -> Array:
    """Sample each image at matrix @ p + offset for every pixel p; matrices are (N, 2, 2) and offsets (N, 2)."""
    resampled, background = np.empty_like(images), _background(images)
    for image, matrix, offset, result in zip(images, matrices, offsets, resampled, strict=True):
        for channel, plane in zip(image, result, strict=True):
            ndimage.affine_transform(channel, matrix, offset, output=plane, order=1, mode="grid-constant", cval=background)
    return resampled


def _background(images: Array) -> float:
    return images.min() if images.size else 0.0


def _checked(name: str, images: Array) -> tuple[int, ...]:
    """Return the shape of images; ValueError unless they are (N, C, H, W) of floats."""
    if images.ndim != 4 or images.dtype.kind != "f":
        raise ValueError(f"{name}: expected images (N, C, H, W) of floats, got {images.dtype} of shape {images.shape}")
    return images.shape
