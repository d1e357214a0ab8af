"""The OpenBLAS in NumPy's wheels: how many threads a matrix product has, and what they do after it.

Nothing here happens at import. Where NumPy has another BLAS, nothing is ever changed.
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

TIMEOUT = "OPENBLAS_THREAD_TIMEOUT"
IDLE_CYCLES = 16  # as a power of two: 65,536 cycles, some 25 microseconds


class _Limit:
    """The blocks that need one BLAS thread, and the number of threads before the first of them began."""

    def __init__(self) -> None:
        self.lock, self.blocks, self.before = RLock(), set[object](), 1  # reentrant: for signal handlers and finalizers


_limit = _Limit()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Give every matrix product one thread inside the block.

    The number belongs to the process: products of other threads have one thread too until the last block ends, which restores
    the number from before the first. A number that somebody else sets meanwhile, other than 1, stays.
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
        _limit.blocks.add(block)  # first, so that an interrupt after it is put right by _leave
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
    """Restore the number in a forked child, where the threads that had begun blocks do not exist."""
    global _limit
    before = _limit
    if before.blocks:
        _restore(bundled())
    _limit = _Limit()


@cache
def bundled() -> Any:
    """Return NumPy's own OpenBLAS, or None."""
    package = Path(np.__file__).parent
    for file in (*package.parent.glob("numpy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")):
        library = ctypes.PyDLL(str(file))  # its calls keep the interpreter's lock
        if hasattr(library, "scipy_openblas_set_num_threads64_"):
            return library
    return None


@cache
def let_idle_threads_sleep() -> None:
    """Have OpenBLAS's threads sleep soon after a product, once, where that is safe.

    Left alone they spin for a tenth of a second, on cores that the threads of this package need. OpenBLAS reads
    OPENBLAS_THREAD_TIMEOUT (from 4 to 30, the base-2 logarithm of a number of cycles) only when it starts its threads. To
    stop them while another thread is inside a product blocks both for ever. So they are restarted only where Python has no other
    thread; the interpreter's lock, held meanwhile, lets no new one begin. Elsewhere the user can set the variable.
    """
    library = bundled()
    needed = "openblas_read_env", "blas_thread_shutdown_", "blas_thread_init"
    if TIMEOUT in os.environ or not all(hasattr(library, name) for name in needed) or not _alone():
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
    """Return whether no other Python thread exists; without the interpreter's lock that cannot be known."""
    locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    return locked and len(sys._current_frames()) == 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
