"""Batches of examples: which are in a batch, and how sequences of unequal length become one array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from scratch.module import Array

IGNORED = -100  # a label that does not count, such as the label of padding


def drawn(step: int, batch: int, count: int, *seed: int) -> Array:
    """Return the indices of the examples in the batch of a step, out of `count` examples.

    Each pass over the data has a random order of its own. Its last examples are left out if they do not fill a batch.
    """
    epoch, place = divmod(step, max(1, count // batch))
    return np.random.default_rng([*seed, epoch]).permutation(count)[place * batch :][:batch]


def padded(rows: Sequence[Array], value: int = 0) -> tuple[Array, Array]:
    """Return rows of unequal length as one array (B, T), padded with a value, and their lengths (B,)."""
    lengths = np.array([len(row) for row in rows])
    whole = np.full((len(rows), lengths.max()), value, np.int64)
    for line, row in zip(whole, rows, strict=True):
        line[: len(row)] = row
    return whole, lengths


def pieces(count: int, size: int) -> Iterator[slice]:
    """Yield slices of at most `size` examples that cover `count` examples."""
    return (slice(start, start + size) for start in range(0, count, size))
