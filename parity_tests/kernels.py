"""Run the tests under several BLAS kernels and thread counts: `python -m parity_tests.kernels [PYTEST ARGUMENTS]`.

Other processors sum in another order, and no verdict, cause or test may depend on the last digits. Each kernel runs in its own
process. Exit status: 0 if every test passes under every kernel that this processor can run, else 1.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

NATIVE = "native"  # the kernel that OpenBLAS chooses for this processor by itself
KERNELS = ("Haswell", "SkylakeX", "Zen", "Nehalem", NATIVE)
THREADS = (1, 2, 4)  # every kernel runs with the first; the native one runs with all
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# PyTorch has its own kernels. Beside an old kernel of NumPy it uses those for an old processor.
OLD_TORCH_KERNELS = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}
CANNOT_RUN = "cannot run here"
PROBE = """
import numpy, scipy.linalg
from threadpoolctl import threadpool_info
for dtype in ("float32", "float64"):
    x = numpy.ones((65, 65), dtype) + numpy.eye(65, dtype=dtype)
    x @ x, x @ x[0], scipy.linalg.blas.get_blas_funcs("gemm", (x,))(1, x, x)
print(*dict.fromkeys(pool.get("architecture", "?") for pool in threadpool_info() if pool.get("user_api") == "blas"))
"""


@dataclass
class Result:
    """The outcome of the tests under one kernel."""

    kernel: str
    threads: int
    kernel_in_use: str = CANNOT_RUN
    passed: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def can_run(self) -> bool:
        """Return whether this processor can run the kernel's instructions."""
        return self.kernel_in_use != CANNOT_RUN


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests under each kernel and print the table."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.kernels", description=__doc__, allow_abbrev=False)
    names, counts = ",".join(KERNELS), ",".join(map(str, THREADS))
    parser.add_argument("--kernels", type=_names, default=names, metavar="NAME,...", help=f"default {names}")
    parser.add_argument(
        "--threads", type=_counts, default=counts, metavar="N,...", help=f"all kernels run with the first (default {counts})"
    )
    options, for_pytest = parser.parse_known_args(arguments)
    first, *others = options.threads
    runs = [(kernel, first) for kernel in options.kernels]
    runs += [(NATIVE, threads) for threads in others if NATIVE in options.kernels]
    results = []
    for kernel, threads in runs:
        print(f"\n{kernel}, {threads} {'thread' if threads == 1 else 'threads'}", flush=True)
        results.append(run_tests(kernel, threads, for_pytest))
    print_results(results, Console(width=120))
    return int(any(result.failed for result in results) or not any(result.passed for result in results))


def _names(text: str) -> list[str]:
    if not all(name.isalnum() for name in text.split(",")):
        raise argparse.ArgumentTypeError(f"expected names of OpenBLAS kernels with commas between them, got {text!r}")
    return text.split(",")


def _counts(text: str) -> list[int]:
    if not all(count.isdecimal() and int(count) for count in text.split(",")):
        raise argparse.ArgumentTypeError(f"expected numbers of threads with commas between them, got {text!r}")
    return [int(count) for count in text.split(",")]


def environment(kernel: str, threads: int) -> dict[str, str]:
    """Return the environment variables for a process with this kernel and number of threads."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    asked = {} if kernel == NATIVE else {"OPENBLAS_CORETYPE": kernel}
    return kept | asked | dict.fromkeys(THREAD_VARIABLES, str(threads)) | (OLD_TORCH_KERNELS if kernel == "Nehalem" else {})


def run_tests(kernel: str, threads: int, for_pytest: Sequence[str]) -> Result:
    """Run pytest in its own process with the result's kernel and threads."""
    result, variables = Result(kernel, threads), environment(kernel, threads)
    probe = subprocess.run([sys.executable, "-c", PROBE], env=variables, capture_output=True, text=True)
    if probe.returncode == -signal.SIGILL:
        return result
    if probe.returncode:
        result.kernel_in_use, result.failed = "?", [f"NumPy does not run: {probe.stderr.strip().splitlines()[-1:]}"]
        return result
    result.kernel_in_use = probe.stdout.strip()
    # parallel processes use one thread each
    several = ("-n", "auto", "--dist", "worksteal") if threads == 1 else ("-n", "0")
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        start = time.perf_counter()
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *several, *for_pytest]
        status = subprocess.run(command, env=variables).returncode
        result.seconds = time.perf_counter() - start
        if report.is_file():
            _read_report(report, result)
        if status not in (0, 1):
            result.failed.append(f"pytest ended with status {status}")
    return result


def _read_report(report: Path, result: Result) -> None:
    """Read the outcome of each test from pytest's report."""
    for test in ElementTree.parse(report).iter("testcase"):
        outcomes = {child.tag for child in test}
        if outcomes & {"failure", "error"}:
            result.failed.append(f"{test.get('classname')}::{test.get('name')}")
        elif "skipped" in outcomes:
            result.skipped += 1
        else:
            result.passed += 1


def print_results(results: Sequence[Result], console: Console) -> None:
    """Print a row for each kernel and thread count, then the failed tests."""
    table = Table("kernel", "in use", "threads", "passed", "failed", "skipped", "seconds")
    for result in results:
        figures = result.passed, len(result.failed), result.skipped, round(result.seconds)
        shown = map(str, figures) if result.can_run else ()
        table.add_row(result.kernel, result.kernel_in_use, str(result.threads), *shown)
    console.print(table)
    for result in results:
        for name in result.failed:
            console.print(f"{result.kernel}, threads {result.threads}: {name}", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
