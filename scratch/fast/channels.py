"""Images as long rows of contiguous memory, and sums over all axes but the channels."""

import math

import numpy as np

from scratch.fast.reduce import column_sums
from scratch.module import Array


class Channels:
    """The memory layout of an array (N, C, ...), and the view of such arrays as long rows.

    Where the channels of a pixel are neighbours in memory, a row holds all channels of a line of pixels: rows (N * ..., W * C).
    Otherwise a row holds one channel of one image: rows (N, C, ...).
    """

    def __init__(self, x: Array):
        self.shape = x.shape
        self.side_by_side = x.strides[1] == x.itemsize

    def rows(self, x: Array) -> Array:
        """Return x (N, C, ...) as rows: a view where x has this layout, else a copy."""
        N, C, *image = self.shape
        if not self.side_by_side:
            return x.reshape(N, C, math.prod(image))
        return np.moveaxis(x, 1, -1).reshape(math.prod((N, *image)) // max(self._line, 1), self._line * C)

    def images(self, rows: Array) -> Array:
        """Return a view of the rows as images (N, C, ...)."""
        N, C, *image = self.shape
        return np.moveaxis(rows.reshape(N, *image, C), -1, 1) if self.side_by_side else rows.reshape(self.shape)

    def along(self, statistic: Array) -> Array:
        """Return one number for each channel (C,) in a shape that broadcasts along the rows."""
        return np.tile(statistic, self._line) if self.side_by_side else statistic[:, None]

    def sums(self, rows: Array) -> Array:
        """Return the sum (C,) of each channel over the rows."""
        return column_sums(rows.reshape(-1, self.shape[1]) if self.side_by_side else rows.sum(axis=2))

    @property
    def _line(self) -> int:
        """Return the number of pixels in a row."""
        return self.shape[-1] if len(self.shape) > 2 else 1


def channel_sums(x: Array) -> Array:
    """Return the sum of each channel of x (N, C, ...) over all other axes."""
    channels = Channels(x)
    return channels.sums(channels.rows(x))
