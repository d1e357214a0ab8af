"""Work cut into blocks that fit in the cache, or into a share for each thread, on as many threads as there are processors.

NumPy releases the interpreter's lock while it computes, so plain Python threads do; matrix products have threads of their own.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from types import EllipsisType
from typing import Any

import numpy as np

from scratch.module import Array
from scratch.ops.blas import one_blas_thread

Part = slice | EllipsisType
BLOCK = 1 << 17  # elements: half a megabyte in float32
BUFFER = 512  # elements: NumPy broadcasts over rows that are longer at twice the speed, the others it copies into a buffer
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_blocks(work: Callable[[Part], Any], like: Array) -> list[Any]:
    """Call work(part) for parts of the first axis of an array, in any order; work writes where nobody else does.

    What it returns for each part comes back in the order of the parts.
    """
    if like.size < 2 * BLOCK:
        return in_parallel(work, [...])
    length = max(1, BLOCK * len(like) // like.size)
    return in_parallel(work, [slice(start, start + length) for start in range(0, len(like), length)])


def evenly(count: int, parts: int) -> list[slice]:
    """`count` items in so many parts of nearly one length, or in fewer if there are fewer items."""
    parts = max(min(parts, count), 1)
    return [slice(count * i // parts, count * (i + 1) // parts) for i in range(parts)]


def shares(count: int, size: int) -> list[slice]:
    """`count` items, of `size` numbers in all, in a part for each thread, or in one if they are not worth it."""
    return evenly(count, THREADS if size >= 2 * BLOCK else 1)


def in_parallel(work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """work(item) for each item, in any order; work writes where nobody else does.

    Meanwhile a matrix product has one thread: several of BLAS's for each of ours would wait for each other.
    """
    results: list[Any] = [None] * len(items)

    def run(share: int) -> None:
        for i in range(share, len(items), THREADS):
            results[i] = work(items[i])

    before = np.setbufsize(BUFFER)
    try:
        if len(items) < 2:
            run(0)
            return results
        with one_blas_thread():
            others = [_pool().submit(copy_context().run, run, share) for share in range(1, min(THREADS, len(items)))]
            run(0)
            for other in others:
                other.result()
    finally:
        np.setbufsize(before)
    return results


def elementwise(write: Callable[..., Any], *arrays: Array) -> Array:
    """A new array like the first, into whose parts write(part of it, parts of the arrays) puts the numbers."""
    y = np.empty_like(arrays[0])
    in_blocks(lambda part: write(y[part], *(array[part] for array in arrays)), y)
    return y


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork
