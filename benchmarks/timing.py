"""Time one block: verify, warm up, then run rounds of one backend without a break."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.backends import NUMPY, Backend, disagreement
from parity.case import ParityCase

WARM_UP_SECONDS = 0.1  # seconds; after that, the threads of the previous backend are asleep
BLOCK_SECONDS = 0.15  # seconds that the rounds of a block take together
MINIMUM_ROUNDS = 5  # at least this many


class Block(NamedTuple):
    """Rounds of one backend without a break; the backends of a case take turns."""

    case: ParityCase
    phase: str
    backend: Backend
    number: int

    def __str__(self) -> str:
        return f"{self.case.name}-{self.phase}-{self.backend.name}-{self.number}"


@dataclass(frozen=True)
class Timing:
    """The median time of a block's rounds."""

    case: str
    phase: str
    backend: Backend
    block: int
    seconds: float


def time_block(block: Block, benchmark: BenchmarkFixture) -> Timing | None:
    """Time a block after checking that NumPy and its backend agree; return None under --benchmark-disable."""
    __tracebackhide__ = True
    case, phase, backend, number = block
    for side in (NUMPY, backend):
        if problem := disagreement(case, phase, side):
            pytest.fail(f"not timed: {problem}", pytrace=False)
    work = backend.work(case, phase)

    def run(*inputs: Any) -> None:
        work.run(*inputs)  # the results are freed here: that is part of the work

    benchmark.group = f"{case.name} {phase}"
    benchmark.extra_info |= {"case": case.name, "phase": phase, "block": number, **asdict(backend)}
    benchmark.pedantic(run, setup=lambda: (work.fresh(), {}), rounds=_rounds(lambda: run(*work.fresh())))
    return benchmark.stats and Timing(case.name, phase, backend, number, benchmark.stats.stats.median)


def _rounds(call: Callable[[], None]) -> int:
    """Warm up, and return how many rounds fill the time of a block."""
    start, calls = time.perf_counter(), 0
    while calls < 2 or time.perf_counter() - start < WARM_UP_SECONDS:
        call()
        calls += 1
    return max(MINIMUM_ROUNDS, round(BLOCK_SECONDS * calls / (time.perf_counter() - start)))
