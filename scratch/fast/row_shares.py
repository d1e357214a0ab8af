"""Rows of a batch shared among threads: each thread takes its rows through all time steps."""

from collections.abc import Callable

from scratch.fast.blas import one_blas_thread
from scratch.fast.threads import evenly, get_num_threads, in_parallel
from scratch.module import Array

WORTH = 1 << 23  # multiplications in all steps: with fewer, one thread is done before a second has begun


def in_row_shares(walk: Callable[..., None], running: list[int], cost: int, *arrays: Array) -> None:
    """Call walk(running, *arrays) for a share of the batch's rows in each thread; the rows are the axis before the last.

    `running` says how many of the batch's first rows run at each step, `cost` the multiplications for a row at each step. A
    thread takes its rows through all steps: two BLAS threads would wait for each other at every product, and beside other
    work each such wait takes a time slice of the system's.
    """
    B = arrays[0].shape[-2]

    def share(rows: slice) -> None:
        walk([min(max(n - rows.start, 0), rows.stop - rows.start) for n in running], *(array[..., rows, :] for array in arrays))

    with one_blas_thread():
        in_parallel(share, evenly(B, get_num_threads() if len(running) * B * cost >= WORTH else 1))
