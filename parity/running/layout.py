"""The memory layout of arrays: a network gives its layers arrays with axes in another order, and code may depend on that."""

from __future__ import annotations

import numpy as np

from scratch.module import Array

Layout = tuple[int, ...]  # the axes of a dense array, the one with the largest steps in memory first


def layout_of(array: Array) -> Layout | None:
    """Return the layout of an array; None where its numbers do not lie side by side."""
    axes = tuple(sorted(range(array.ndim), key=lambda axis: -array.strides[axis]))
    return axes if array.transpose(axes).flags.c_contiguous else None


def in_layout(array: Array, layout: Layout) -> Array:
    """Return a copy of an array in this layout."""
    dense = np.array(array.transpose(layout), order="C")
    return dense.transpose(tuple(np.argsort(layout)))
