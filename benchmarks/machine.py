"""What the figures depend on besides the code: threads, versions, the allocator, and what else the machine was doing."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_info

STAT = Path("/proc/stat")
TOLERABLE = 0.1  # cores


def conditions(threads: int) -> str:
    """Threads, versions and settings in one line; of NumPy's BLAS also the processor that its code is for."""
    pools = [pool for pool in threadpool_info() if "numpy" in pool["filepath"]]
    blas = " ".join(str(pools[0].get(key, "")) for key in ("internal_api", "version", "architecture")) if pools else "unknown BLAS"
    malloc = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("MALLOC_")]
    return (
        f"float32, {threads} threads; NumPy {np.__version__} ({blas}), PyTorch {torch.__version__}, "
        f"Python {platform.python_version()}; {' '.join(malloc) or 'malloc as it is'}"
    )


class Others:
    """How many cores other processes keep busy from now on, where /proc tells."""

    def __init__(self) -> None:
        self.start, self.used = time.perf_counter(), self._seconds()

    def cores(self) -> float:
        """On average since the start. On one core they can cost PyTorch, whose threads wait for each other, a factor of 20."""
        return max(0.0, (self._seconds() - self.used) / (time.perf_counter() - self.start))

    def warning(self) -> str:
        """In one line, where they are more than is tolerable."""
        found = self.cores()
        return f"other processes kept {found:.1f} cores busy: do not trust these figures" if found > TOLERABLE else ""

    @staticmethod
    def _seconds() -> float:
        if not STAT.exists():
            return 0.0
        user, nice, system, _, _, interrupts, soft_interrupts, *_ = map(int, STAT.read_text().split("\n")[0].split()[1:])
        everyone = (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")
        return everyone - sum(os.times()[:4])
