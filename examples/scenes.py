"""Scenes of several real digits, with the class of each pixel and the box of each digit: made by a generator, without end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from datasets import Dataset
from scipy import ndimage

from scratch.module import Array

MOST = 5  # digits in a scene
SIDES = 0.25, 0.4  # of a digit, as shares of the scene's
INK = 0.4  # from where a pixel belongs to its digit
CLUTTER = 4  # bits of strokes that are no digits
TRIES = 30  # to find room


class Batch(NamedTuple):
    """Scenes (B, 1, size, size), the class of each pixel (B, size, size), 0 for the background and 1 + digit, and the digits:
    labels (B, MOST), -1 where there are fewer, and boxes (B, MOST, 4), (x centre, y centre, width, height) as shares of the scene.
    """

    images: Array
    pixels: Array
    labels: Array
    boxes: Array


@dataclass(frozen=True)
class Digits:
    """Ink (N, H, W) from 0 to 1, and what it writes (N,)."""

    ink: Array
    labels: Array

    @classmethod
    def of(cls, data: Dataset) -> tuple[Digits, Digits]:
        """Those to make scenes of in training, and those held out."""
        least, most = data.train_x.min(), data.train_x.max()
        train, test = (((x[:, 0] - least) / (most - least)).clip(0, 1) for x in (data.train_x, data.test_x))
        return cls(train, data.train_y), cls(test, data.test_y)


def scenes(rng: np.random.Generator, digits: Digits, count: int, size: int, noise: float = 0.1) -> Batch:
    """So many scenes of 1 to 5 digits of unequal size that do not overlap, with clutter and noise of this deviation.

    A digit for which there is no room is left out; the first always has some.
    """
    images, pixels = np.zeros((count, size, size), np.float32), np.zeros((count, size, size), np.int64)
    labels, boxes = np.full((count, MOST), -1), np.zeros((count, MOST, 4), np.float32)
    for n, number in enumerate(rng.integers(1, MOST + 1, count)):
        taken = np.zeros((size, size), bool)
        for chosen in rng.integers(len(digits.ink), size=number):
            ink = _scaled(digits.ink[chosen], round(size * rng.uniform(*SIDES)))
            place = _room(rng, taken, ink.shape)
            if place:
                images[n][place] = ink
                pixels[n][place] = np.where(ink > INK, 1 + digits.labels[chosen], 0)
                i = np.count_nonzero(labels[n] >= 0)
                labels[n, i], boxes[n, i] = digits.labels[chosen], _box(ink > INK, place, size)
        for chosen in rng.integers(len(digits.ink), size=CLUTTER):
            bit = _bit(rng, _scaled(digits.ink[chosen], round(size * SIDES[0])))
            place = _room(rng, taken, bit.shape)
            if place:
                images[n][place] = bit
    images += rng.normal(0, noise, images.shape)
    return Batch(images[:, None], pixels, labels, boxes)


def _scaled(ink: Array, height: int) -> Array:
    """A digit of this height, cut to its ink (bilinear)."""
    rows, columns = (np.flatnonzero((ink > 0).any(axis=axis)) for axis in (1, 0))
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return ndimage.zoom(cut, height / len(cut), order=1, grid_mode=True, mode="nearest")


def _bit(rng: np.random.Generator, ink: Array) -> Array:
    """A rectangle out of a digit, of a third of its height and width."""
    height, width = (-(-side // 3) for side in ink.shape)
    row, column = rng.integers(0, (len(ink) - height + 1, ink.shape[1] - width + 1))
    return ink[row : row + height, column : column + width]


def _room(rng: np.random.Generator, taken: Array, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """A place for something of this shape that nothing has taken, by which it is taken with a pixel around it; None where none
    is soon found."""
    for row, column in rng.integers(0, np.subtract(taken.shape, shape) + 1, (TRIES, 2)):
        place = slice(row, row + shape[0]), slice(column, column + shape[1])
        if not taken[place].any():
            taken[max(row - 1, 0) : row + shape[0] + 1, max(column - 1, 0) : column + shape[1] + 1] = True
            return place
    return None


def _box(inside: Array, place: tuple[slice, slice], size: int) -> Array:
    """The box around the pixels of a digit at its place."""
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) + at.start for axis, at in zip((1, 0), place, strict=True))
    low, high = np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]]) / size
    return np.concatenate([(low + high) / 2, high - low])
