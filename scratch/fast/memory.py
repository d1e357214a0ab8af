"""Memory of freed arrays that the C library keeps, so that the next training step does not fetch it page by page."""

from functools import cache

import numpy as np

LARGEST = 32 << 20  # bytes


@cache
def keep_freed_memory() -> None:
    """Ask glibc, once in a process, to keep the memory of arrays below 32 MiB; elsewhere this changes nothing.

    glibc raises its limits when a large array is freed (man mallopt, M_MMAP_THRESHOLD). The ops that need many such arrays call
    this at their first use. Fresh pages were a third of a convolutional training step.
    """
    np.empty(LARGEST - (16 << 10), np.uint8)  # allocated and freed at once, never touched
