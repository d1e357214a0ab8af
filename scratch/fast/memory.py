"""Memory of freed arrays that the C library keeps, so that the next training step need not ask the system for it again."""

from functools import cache

import numpy as np

from scratch.fast.process import may_tune_process

LARGEST = 32 << 20  # bytes


@cache
def keep_freed_memory() -> None:
    """Make glibc keep the memory of freed arrays below 32 MiB, once in a process; other C libraries do not change.

    glibc raises its limit when a large array is freed (man mallopt, M_MMAP_THRESHOLD), so one is allocated and freed here. The
    limit cannot be restored. Ops that need many such arrays call this function on first use: fetching fresh pages took a third
    of a convolutional training step. Nothing is done where SCRATCH_TUNE_PROCESS=0 is set, and glibc ignores it where one of its
    own variables is set, such as MALLOC_MMAP_THRESHOLD_.
    """
    if may_tune_process():
        np.empty(LARGEST - (16 << 10), np.uint8)  # its pages are never touched
