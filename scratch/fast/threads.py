"""Work that is cut into blocks that fit in the cache, or into one share for each thread.

NumPy releases the interpreter's lock while it computes, so plain Python threads are enough. The first of these that is given
sets their number: `set_num_threads`, then SCRATCH_NUM_THREADS, then the number of CPUs that the process may use, limited by
OMP_NUM_THREADS. The number is chosen on first use. Matrix products outside shared work use the threads of BLAS
(OPENBLAS_NUM_THREADS).
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
    """Return the number of threads that share work."""
    return _default() if _chosen is None else _chosen


def set_num_threads(count: int) -> None:
    """Set the number of threads that share work, for the whole process; with 1, the calling thread does all of it."""
    global _chosen
    if not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 1:
        raise ValueError(f"set_num_threads: expected a whole number of at least 1, got {count!r}")
    _chosen = int(count)


@contextmanager
def num_threads(count: int) -> Iterator[None]:
    """Set the number of threads that share work inside the block, for the whole process."""
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
    """Call work(part) for each part of an array's first axis, and return the results in the order of the parts.

    The calls run in any order and at the same time, so `work` may write only to its own part.
    """
    if like.size < 2 * BLOCK:
        return in_parallel(work, [...])
    length = max(1, BLOCK * len(like) // like.size)
    return in_parallel(work, [slice(start, start + length) for start in range(0, len(like), length)])


def evenly(count: int, parts: int) -> list[slice]:
    """Cut `count` items into `parts` slices of nearly equal length, or into fewer slices if there are fewer items."""
    parts = max(min(parts, count), 1)
    return [slice(count * i // parts, count * (i + 1) // parts) for i in range(parts)]


def shares(count: int, size: int) -> list[slice]:
    """Cut `count` items into one slice for each thread, or into one if all of them hold too few numbers (`size`) to share."""
    return evenly(count, get_num_threads() if size >= 2 * BLOCK else 1)


def in_parallel(work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """Call work(item) for each item, and return the results in the order of the items.

    The calls run in any order and at the same time, so `work` may write only where no other call does. Meanwhile every matrix
    product has one thread, because BLAS threads of several callers would wait for each other. The first error in any
    thread, or an interrupt, is raised when all threads have finished the items that they have begun.
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
            team.disband()  # an interrupt may have come just before the call above
    error = team.first_error()
    if error is None:
        return team.results
    try:
        raise error
    finally:
        team.errors.clear()  # the traceback refers to the team: without this cycle, the arrays are freed at once
        del error


def elementwise(write: Callable[..., Any], *arrays: Array) -> Array:
    """Return a new array like the first; write(y, *arrays) is called for each part and fills its y."""
    y = np.empty_like(arrays[0])
    in_blocks(lambda part: write(y[part], *(array[part] for array in arrays)), y)
    return y
