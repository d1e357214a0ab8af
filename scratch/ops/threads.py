"""Elementwise work cut into blocks that fit in the cache, on as many threads as there are processors.

NumPy releases the interpreter's lock while it computes, so plain Python threads do; matrix products have threads of their own.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from types import EllipsisType
from typing import Any

from scratch.module import Array

Part = slice | EllipsisType
BLOCK = 1 << 17  # elements: half a megabyte in float32
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_blocks(work: Callable[[Part], Any], like: Array) -> None:
    """Call work(part) for parts of the first axis of an array, in any order; work writes where nobody else does."""
    if like.size < 2 * BLOCK:
        work(...)
        return
    length = max(1, BLOCK * len(like) // like.size)
    in_parallel(work, [slice(start, start + length) for start in range(0, len(like), length)])


def in_parallel(work: Callable[[Any], Any], items: Sequence[Any]) -> None:
    """Call work(item) for each item, in any order; work writes where nobody else does."""
    shares = [items[share::THREADS] for share in range(THREADS)]

    def run(share: Sequence[Any]) -> None:
        for item in share:
            work(item)

    others = [_pool().submit(copy_context().run, run, share) for share in shares[1:] if share]
    run(shares[0])
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork
