"""Threads of the OpenBLAS in NumPy's wheels: their number during shared work, and their sleep after a product.

Importing this file changes nothing. Where NumPy uses another BLAS, nothing is ever changed.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from scratch.fast.process import may_tune_process

TIMEOUT = "OPENBLAS_THREAD_TIMEOUT"
IDLE_CYCLES = 16  # as a power of two: 65,536 cycles, some 25 microseconds


class _Limit:
    """The running blocks that need one BLAS thread, and the number of threads before the first of them."""

    def __init__(self) -> None:
        self.lock, self.blocks, self.before = RLock(), set[object](), 1  # reentrant: for signal handlers and finalizers


_limit = _Limit()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Give every matrix product one thread inside the block.

    The number of threads belongs to the whole process, so products of other Python threads have one thread too. When the last
    block ends, the number from before the first block is restored. If somebody else sets another number meanwhile, it stays.
    """
    library = bundled()
    if library is None:
        yield
        return
    block = object()
    try:
        _enter(library, block)
        yield
    finally:
        _leave(library, block)


def _enter(library: Any, block: object) -> None:
    with _limit.lock:
        if not _limit.blocks:
            _limit.before = library.scipy_openblas_get_num_threads64_()
        _limit.blocks.add(block)  # first, so that _leave repairs an interrupt after it
        if _limit.before != 1:
            library.scipy_openblas_set_num_threads64_(1)


def _leave(library: Any, block: object) -> None:
    with _limit.lock:
        if _limit.blocks == {block}:
            _restore(library)
        _limit.blocks.discard(block)


def _restore(library: Any) -> None:
    if _limit.before != 1 and library.scipy_openblas_get_num_threads64_() == 1:
        library.scipy_openblas_set_num_threads64_(_limit.before)


def _after_fork() -> None:
    """Restore the number of threads in a forked child; the threads that began the blocks do not exist there."""
    global _limit
    before = _limit
    if before.blocks:
        _restore(bundled())
    _limit = _Limit()


@cache
def bundled() -> Any:
    """Return NumPy's own OpenBLAS, or None where NumPy has another BLAS."""
    package = Path(np.__file__).parent
    for file in (*package.parent.glob("numpy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")):
        library = ctypes.PyDLL(str(file))  # its calls keep the interpreter's lock
        if hasattr(library, "scipy_openblas_set_num_threads64_"):
            return library
    return None


@cache
def let_idle_threads_sleep() -> None:
    """Make OpenBLAS's idle threads sleep soon after a product, once in a process, where that is safe.

    By default they spin for a tenth of a second, on cores that the threads of this package need. OpenBLAS reads
    OPENBLAS_THREAD_TIMEOUT only when it starts its threads: a number from 4 to 30, the base-2 logarithm of the cycles to wait.
    So this function sets the variable, restarts the threads, and deletes the variable again. Stopping the threads while
    another thread computes a product blocks both for ever. Therefore nothing is done where Python has another thread; the
    interpreter's lock is held meanwhile, so no new thread can begin. Nothing is done either where the user has set
    OPENBLAS_THREAD_TIMEOUT, or SCRATCH_TUNE_PROCESS=0.
    """
    library = bundled()
    needed = "openblas_read_env", "blas_thread_shutdown_", "blas_thread_init"
    if TIMEOUT in os.environ or not may_tune_process() or not all(hasattr(library, name) for name in needed) or not _alone():
        return
    os.environ[TIMEOUT] = str(IDLE_CYCLES)
    try:
        library.openblas_read_env()
    finally:
        del os.environ[TIMEOUT]
    if _alone():
        library.blas_thread_shutdown_()
        library.blas_thread_init()


def _alone() -> bool:
    """Return whether no other Python thread exists; without the interpreter's lock nobody can know."""
    locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    return locked and len(sys._current_frames()) == 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
