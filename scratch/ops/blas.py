"""The OpenBLAS that comes in NumPy's wheels: how many threads a matrix product has, and what they do after it.

Left alone, its threads spin for a tenth of a second after their last product, on cores that ours need: a convolution whose
copies ran on two threads took nearly half as long again as on one. As it is set here they go to sleep after some microseconds,
unless OPENBLAS_THREAD_TIMEOUT says otherwise (from 4 to 30, the logarithm to base 2 of as many cycles). Where NumPy has
another BLAS, nothing is changed.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

TIMEOUT = "OPENBLAS_THREAD_TIMEOUT"
PATIENCE = 16  # 65,536 cycles, some 25 microseconds


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Inside the block, a matrix product has one thread."""
    if _BLAS is None:
        yield
        return
    before = _BLAS.scipy_openblas_get_num_threads64_()
    _BLAS.scipy_openblas_set_num_threads64_(1)
    try:
        yield
    finally:
        _BLAS.scipy_openblas_set_num_threads64_(before)


def _bundled() -> Any:
    """The library, or None."""
    package = Path(np.__file__).parent
    for file in (*package.parent.glob("numpy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")):
        library = ctypes.CDLL(str(file))
        if hasattr(library, "scipy_openblas_set_num_threads64_"):
            return library
    return None


def _let_idle_threads_sleep(blas: Any) -> None:
    """OpenBLAS reads its environment when it is loaded; its threads, when they are started."""
    if TIMEOUT in os.environ or not all(hasattr(blas, name) for name in ("openblas_read_env", "blas_thread_shutdown_")):
        return
    os.environ[TIMEOUT] = str(PATIENCE)
    blas.openblas_read_env()
    del os.environ[TIMEOUT]
    blas.blas_thread_shutdown_()  # the next product starts them


_BLAS = _bundled()
_let_idle_threads_sleep(_BLAS)
