"""Options, equal conditions and the report of the benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from rich.console import Console
from threadpoolctl import threadpool_limits

from benchmarks.backends import backends_for
from benchmarks.machine import OtherProcesses, conditions
from benchmarks.table import LEGEND, Memory, memory_table, rows, speed_table
from benchmarks.timing import Block, Timing, time_block
from scratch.fast.cpus import available_cpus
from scratch.fast.threads import num_threads

timings_key = pytest.StashKey[list[Timing]]()
memories_key = pytest.StashKey[list[Memory]]()
other_processes_key = pytest.StashKey[OtherProcesses]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("benchmarks", "NumPy's speed against PyTorch's")
    cpus = available_cpus()
    group.addoption("--threads", type=int, default=cpus, metavar="N", help="threads of each backend (default: one a core)")
    group.addoption("--blocks", type=int, default=5, metavar="N", help="blocks of each backend, which take turns (default 5)")
    group.addoption("--compile", action="store_true", help="time torch.compile as well")


def pytest_configure(config: pytest.Config) -> None:
    for option in ("--threads", "--blocks"):
        if config.getoption(option) < 1:
            raise pytest.UsageError(f"{option} is {config.getoption(option)}, expected at least 1")
    config.stash[timings_key], config.stash[memories_key], config.stash[other_processes_key] = [], [], OtherProcesses()
    config.option.benchmark_quiet = True  # we print our own table
    # if two sides disagree, the failed test says enough
    config.addinivalue_line("filterwarnings", "ignore:Benchmark fixture was not used")
    if config.getoption("--compile"):  # torch's compiler raises deprecation warnings about itself
        config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning")


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [f"benchmarks: {conditions(config.getoption('--threads'))}"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "block" in metafunc.fixturenames:
        option = metafunc.config.getoption
        blocks = [
            Block(case, phase, backend, number)
            for case in metafunc.module.CASES
            for phase in metafunc.module.PHASES
            for number in range(option("--blocks"))
            for backend in backends_for(case, phase, option("--parity-device", default="cpu"), option("--compile"))
        ]
        metafunc.parametrize("block", blocks, ids=str)


@pytest.fixture(scope="session", autouse=True)
def equal_conditions(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give both sides the same number of threads; on a GPU turn TF32 off and let cuDNN choose its fastest algorithm."""
    threads = request.config.getoption("--threads")
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    with threadpool_limits(threads), num_threads(threads):
        yield


@pytest.fixture
def time_and_record_block(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Callable[[Block], None]:
    """Return a function that verifies and times a block, and adds it to the table."""

    def time_and_record(block: Block) -> None:
        __tracebackhide__ = True
        timing = time_block(block, benchmark)
        if timing:
            request.config.stash[timings_key].append(timing)

    return time_and_record


@pytest.fixture
def record_memory(request: pytest.FixtureRequest) -> Callable[[Memory], None]:
    """Return a function that adds a measurement of memory to the table."""
    return request.config.stash[memories_key].append


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    output_json["conditions"] = conditions(config.getoption("--threads"))
    output_json["cores that other processes kept busy"] = config.stash[other_processes_key].cores()
    output_json["ratios"] = [row.as_json() for row in rows(config.stash[timings_key])]
    output_json["memory"] = [asdict(memory) for memory in config.stash[memories_key]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found, memories = rows(config.stash[timings_key]), config.stash[memories_key]
    if not found and not memories:
        return
    terminalreporter.section("benchmarks")
    console = Console(width=None if terminalreporter.hasmarkup else 120, force_terminal=terminalreporter.hasmarkup)
    with console.capture() as captured:
        if found:
            console.print(speed_table(found), LEGEND, highlight=False)
        if memories:
            console.print(memory_table(memories))
    terminalreporter.write_line(f"{captured.get()}{conditions(config.getoption('--threads'))}")
    if warning := config.stash[other_processes_key].warning():
        terminalreporter.write_line(warning, red=True)
