"""Machinery that makes the ops fast: threads, memory, layouts and quicker algorithms for the same values.

Importing it changes nothing in the process. On first use it changes two things:

    blas.py      lets the idle threads of NumPy's OpenBLAS sleep; OPENBLAS_THREAD_TIMEOUT, if set, is left as it is
    memory.py    lets glibc keep the memory of freed arrays below 32 MiB

The environment variable SCRATCH_TUNE_PROCESS=0 turns both off. The number of BLAS threads is changed only while shared work
runs, and restored after it.
"""
