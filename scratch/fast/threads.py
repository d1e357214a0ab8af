"""Work cut into blocks that fit in the cache, or into a share for each thread.

NumPy releases the interpreter's lock while it computes, so plain Python threads do. Their number is, in this order: that of
`set_num_threads`, SCRATCH_NUM_THREADS, and the CPUs that the process may use, or OMP_NUM_THREADS where it is fewer. It is
chosen at first use. Matrix products outside of shared work have the threads of BLAS (OPENBLAS_NUM_THREADS).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import EllipsisType
from typing import Any

import numpy as np

from scratch.fast.blas import let_idle_threads_sleep, one_blas_thread
from scratch.fast.cpus import available_cpus
from scratch.fast.workers import Team, with_short_buffer
from scratch.module import Array

Part = slice | EllipsisType
VARIABLE = "SCRATCH_NUM_THREADS"
BLOCK = 1 << 17  # elements: half a megabyte in float32

_chosen: int | None = None


def get_num_threads() -> int:
    """Return among how many threads work is shared."""
    return _default() if _chosen is None else _chosen


def set_num_threads(count: int) -> None:
    """Share work among so many threads from now on, in the whole process; 1 leaves it to the calling thread."""
    global _chosen
    if not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 1:
        raise ValueError(f"set_num_threads: expected a whole number of at least 1, got {count!r}")
    _chosen = int(count)


@contextmanager
def num_threads(count: int) -> Iterator[None]:
    """Share work among so many threads inside the block, in the whole process."""
    global _chosen
    before = _chosen
    set_num_threads(count)
    try:
        yield
    finally:
        _chosen = before


@cache
def _default() -> int:
    text = os.environ.get(VARIABLE, "").strip()
    if text:
        if not (text.isascii() and text.isdecimal() and int(text)):
            raise ValueError(f"{VARIABLE}: expected a whole number of at least 1, got {text!r}; unset it to use every free CPU")
        return int(text)
    outermost = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # OpenMP allows a number for each level of nesting
    limit = int(outermost) if outermost.isascii() and outermost.isdecimal() else 0
    return min(limit or available_cpus(), available_cpus())


def in_blocks(work: Callable[[Part], Any], like: Array) -> list[Any]:
    """Call work(part) for parts of the first axis of an array, in any order; work writes where nobody else does.

    What it returns for each part comes back in the order of the parts.
    """
    if like.size < 2 * BLOCK:
        return in_parallel(work, [...])
    length = max(1, BLOCK * len(like) // like.size)
    return in_parallel(work, [slice(start, start + length) for start in range(0, len(like), length)])


def evenly(count: int, parts: int) -> list[slice]:
    """Cut `count` items into so many parts of nearly one length, or into fewer if there are fewer items."""
    parts = max(min(parts, count), 1)
    return [slice(count * i // parts, count * (i + 1) // parts) for i in range(parts)]


def shares(count: int, size: int) -> list[slice]:
    """Cut `count` items, of `size` numbers in all, into a part for each thread, or into one if they are not worth it."""
    return evenly(count, get_num_threads() if size >= 2 * BLOCK else 1)


def in_parallel(work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """Call work(item) for each item, in any order, and return what comes back in theirs; work writes where nobody else does.

    Meanwhile a matrix product has one thread: several of BLAS's for each of ours would wait for each other. The first error
    in any thread, or an interrupt, is raised as soon as all threads have finished the items that they had begun.
    """
    if len(items) < 2 or get_num_threads() < 2:
        return with_short_buffer(lambda: [work(item) for item in items])
    let_idle_threads_sleep()
    team = Team(work, items)
    with one_blas_thread():
        try:
            try:
                team.run(min(get_num_threads(), len(items)) - 1)
            finally:
                team.disband()
        finally:
            team.disband()  # an interrupt may have come just before the first
    error = team.first_error()
    if error is None:
        return team.results
    try:
        raise error
    finally:
        team.errors.clear()  # its traceback refers to the team: without this cycle its arrays go at once
        del error


def elementwise(write: Callable[..., Any], *arrays: Array) -> Array:
    """Return a new array like the first, into whose parts write(part of it, parts of the arrays) puts the numbers."""
    y = np.empty_like(arrays[0])
    in_blocks(lambda part: write(y[part], *(array[part] for array in arrays)), y)
    return y
