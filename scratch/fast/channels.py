"""Images as rows that NumPy runs along without a break, and sums over everything but the channels."""

import math

import numpy as np

from scratch.fast.reduce import column_sums
from scratch.module import Array


class Channels:
    """The layout of an array (N, C, ...) in memory, and how those of its shape are seen as long rows.

    Where the channels lie side by side, a row holds all channels of a line of pixels: rows (N * ..., W * C). Otherwise it holds
    one channel of an image: rows (N, C, ...).
    """

    def __init__(self, x: Array):
        self.shape = x.shape
        self.side_by_side = x.strides[1] == x.itemsize

    def rows(self, x: Array) -> Array:
        """x (N, C, ...) as rows: a view where its layout is this one, else a copy."""
        N, C, *image = self.shape
        if not self.side_by_side:
            return x.reshape(N, C, math.prod(image))
        return np.moveaxis(x, 1, -1).reshape(math.prod((N, *image)) // max(self._line, 1), self._line * C)

    def images(self, rows: Array) -> Array:
        """A view of rows as (N, C, ...)."""
        N, C, *image = self.shape
        return np.moveaxis(rows.reshape(N, *image, C), -1, 1) if self.side_by_side else rows.reshape(self.shape)

    def along(self, statistic: Array) -> Array:
        """A number for each channel (C,), laid along the rows."""
        return np.tile(statistic, self._line) if self.side_by_side else statistic[:, None]

    def sums(self, rows: Array) -> Array:
        """The sum (C,) of each channel over some rows."""
        return column_sums(rows.reshape(-1, self.shape[1]) if self.side_by_side else rows.sum(axis=2))

    @property
    def _line(self) -> int:
        """Pixels in a row."""
        return self.shape[-1] if len(self.shape) > 2 else 1


def channel_sums(x: Array) -> Array:
    """The sum of each channel of x (N, C, ...) over all other axes."""
    channels = Channels(x)
    return channels.sums(channels.rows(x))
