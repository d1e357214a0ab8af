"""Memory of training steps."""

import pytest

from benchmarks.cases import MODELS
from benchmarks.memory import CLEAR, peak_in_own_process
from benchmarks.table import Memory


@pytest.mark.skipif(not CLEAR.exists(), reason="needs Linux: /proc can reset and report the peak memory of a process")
@pytest.mark.parametrize("case", MODELS, ids=lambda case: case.name)
def test_memory(case, record_memory, request):
    threads = request.config.getoption("--threads")
    record_memory(Memory(case.name, *(peak_in_own_process(case, backend, threads) for backend in ("numpy", "torch"))))
