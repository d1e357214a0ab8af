"""Generated scenes of several real digits, with the class of each pixel and the bounding box of each digit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from examples.data.images import Dataset
from scratch.module import Array

MOST = 5  # digits in a scene
HEIGHTS = 0.25, 0.4  # smallest and largest height of a digit, as a share of the scene
INK = 0.4  # a darker pixel belongs to its digit
CLUTTER = 4  # pieces of strokes that are not digits
TRIES = 30  # attempts to find a free place


class Batch(NamedTuple):
    """A batch of scenes and their targets.

    images   (B, 1, size, size)
    pixels   (B, size, size): the class of each pixel, 0 for the background, else 1 + digit
    labels   (B, MOST): the digits, then -1 as padding
    boxes    (B, MOST, 4): their bounding boxes, (x centre, y centre, width, height) as shares of the scene
    """

    images: Array
    pixels: Array
    labels: Array
    boxes: Array


@dataclass(frozen=True)
class Digits:
    """Images of digits (N, H, W) from 0 to 1, the ink, and their labels (N,)."""

    ink: Array
    labels: Array

    @classmethod
    def from_dataset(cls, data: Dataset) -> tuple[Digits, Digits]:
        """Return the digits for training scenes and those for held-out scenes."""
        least, most = data.train_x.min(), data.train_x.max()
        train, test = (((x[:, 0] - least) / (most - least)).clip(0, 1) for x in (data.train_x, data.test_x))
        return cls(train, data.train_y), cls(test, data.test_y)


def scenes(rng: np.random.Generator, digits: Digits, count: int, size: int, noise: float = 0.1) -> Batch:
    """Draw scenes of 1 to 5 digits of unequal size that do not overlap, with clutter and noise of this standard deviation.

    A digit is left out if no free place is found. The first digit always has a place.
    """
    images, pixels = np.zeros((count, size, size), np.float32), np.zeros((count, size, size), np.int64)
    labels, boxes = np.full((count, MOST), -1), np.zeros((count, MOST, 4), np.float32)
    for n, number in enumerate(rng.integers(1, MOST + 1, count)):
        taken = np.zeros((size, size), bool)
        for chosen in rng.integers(len(digits.ink), size=number):
            ink = _scaled(digits.ink[chosen], round(size * rng.uniform(*HEIGHTS)))
            place = _free_place(rng, taken, ink.shape)
            if place:
                images[n][place] = ink
                pixels[n][place] = np.where(ink > INK, 1 + digits.labels[chosen], 0)
                i = np.count_nonzero(labels[n] >= 0)
                labels[n, i], boxes[n, i] = digits.labels[chosen], _box(ink > INK, place, size)
        for chosen in rng.integers(len(digits.ink), size=CLUTTER):
            piece = _piece(rng, _scaled(digits.ink[chosen], round(size * HEIGHTS[0])))
            place = _free_place(rng, taken, piece.shape)
            if place:
                images[n][place] = piece
    images += rng.normal(0, noise, images.shape)
    return Batch(images[:, None], pixels, labels, boxes)


def _scaled(ink: Array, height: int) -> Array:
    """Crop a digit to its ink and scale it to this height (bilinear)."""
    rows, columns = (np.flatnonzero((ink > 0).any(axis=axis)) for axis in (1, 0))
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return ndimage.zoom(cut, height / len(cut), order=1, grid_mode=True, mode="nearest")


def _piece(rng: np.random.Generator, ink: Array) -> Array:
    """Cut a random rectangle out of a digit, a third as high and as wide."""
    height, width = (-(-side // 3) for side in ink.shape)
    row, column = rng.integers(0, (len(ink) - height + 1, ink.shape[1] - width + 1))
    return ink[row : row + height, column : column + width]


def _free_place(rng: np.random.Generator, taken: Array, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Find a free place of this shape and mark it as taken, with a margin of one pixel; None after TRIES attempts."""
    for row, column in rng.integers(0, np.subtract(taken.shape, shape) + 1, (TRIES, 2)):
        place = slice(row, row + shape[0]), slice(column, column + shape[1])
        if not taken[place].any():
            taken[max(row - 1, 0) : row + shape[0] + 1, max(column - 1, 0) : column + shape[1] + 1] = True
            return place
    return None


def _box(inside: Array, place: tuple[slice, slice], size: int) -> Array:
    """Return the bounding box of the pixels of a digit at its place."""
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) + at.start for axis, at in zip((1, 0), place, strict=True))
    low, high = np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]]) / size
    return np.concatenate([(low + high) / 2, high - low])
