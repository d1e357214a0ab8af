"""The memory of training steps."""

import pytest

from benchmarks.cases import MODELS
from benchmarks.memory import CLEAR, peak
from benchmarks.table import Memory


@pytest.mark.skipif(not CLEAR.exists(), reason="needs Linux, whose /proc tells the peak of a part of a process's life")
@pytest.mark.parametrize("case", MODELS, ids=lambda case: case.name)
def test_memory(case, note_memory, request):
    threads = request.config.getoption("--threads")
    note_memory(Memory(case.name, *(peak(case, backend, threads) for backend in ("numpy", "torch"))))
