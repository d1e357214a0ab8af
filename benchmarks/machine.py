"""The conditions of a measurement besides the code: threads, versions, the allocator, and other processes."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_info

STAT = Path("/proc/stat")
TOLERABLE_CORES = 0.1  # processor cores


def conditions(threads: int) -> str:
    """Describe threads, versions and settings in one line, with the processor that NumPy's BLAS code is for."""
    pools = [pool for pool in threadpool_info() if "numpy" in pool["filepath"]]
    blas = " ".join(str(pools[0].get(key, "")) for key in ("internal_api", "version", "architecture")) if pools else "unknown BLAS"
    malloc = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("MALLOC_")]
    return (
        f"float32, {threads} threads; NumPy {np.__version__} ({blas}), PyTorch {torch.__version__}, "
        f"Python {platform.python_version()}; {' '.join(malloc) or 'default malloc'}"
    )


class OtherProcesses:
    """The number of cores that other processes use from now on; 0 where there is no /proc."""

    def __init__(self) -> None:
        self.start, self.used = time.perf_counter(), self._seconds()

    def cores(self) -> float:
        """Return the average number of busy cores since the start.

        Other processes matter much: PyTorch's threads wait for each other, so one busy core can slow it down 20 times.
        """
        return max(0.0, (self._seconds() - self.used) / (time.perf_counter() - self.start))

    def warning(self) -> str:
        """Return a warning in one line if other processes were busy, else ""."""
        found = self.cores()
        return f"other processes kept {found:.1f} cores busy: these figures cannot be trusted" if found > TOLERABLE_CORES else ""

    @staticmethod
    def _seconds() -> float:
        if not STAT.exists():
            return 0.0
        user, nice, system, _, _, interrupts, soft_interrupts, *_ = map(int, STAT.read_text().split("\n")[0].split()[1:])
        everyone = (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")
        return everyone - sum(os.times()[:4])
