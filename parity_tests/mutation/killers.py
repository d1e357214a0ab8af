"""Killers can detect a fault: every parity case in both dtypes, and every test of scratch (not of the harness)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from parity.case import ParityCase
from parity.cases import CASES
from parity.check import DTYPES, reference_run_of
from parity.judging.verdict import compare
from parity.running.builders import scratch_builder
from parity.running.run_scratch import run_scratch

NUMERIC, CRASH = "numeric", "crash"  # NUMERIC: a wrong result; CRASH: an exception

TESTS = Path(__file__).parents[1]
PLANTS_FAULTS = re.compile(r"from parity_tests\.(?!shared|torchvision_names)")  # a second fault would undo the first
EXCLUDED_TESTS = {
    "test_twins.py": "runs the cases, which are killers themselves",
    "test_harness.py": "tests the harness, and plants faults of its own",
    "test_explain.py": "tests the harness",
    "test_command_line.py": "tests the harness",
    "test_calibrate.py": "tests the harness",
    "test_benchmarks.py": "tests the benchmarks",
    "test_text_examples.py": "tests the examples",
    "test_image_examples.py": "tests the examples",
    "test_own_implementation.py": "tests the harness",
}


@dataclass(frozen=True, eq=False)
class Killer:
    """A case or a test; run() returns how it fails (NUMERIC or CRASH) or "". Lower ranks run first."""

    name: str
    run: Callable[[], str]
    rank: int


calibrated = cache(reference_run_of.__wrapped__)  # the reference run is the same for every mutant


def case_killers() -> list[Killer]:
    """Return every case in float64, then in float32."""
    return [
        Killer(f"{case.name}-{dtype}", partial(judge, case, dtype), rank) for rank, dtype in enumerate(DTYPES) for case in CASES
    ]


def judge(case: ParityCase, dtype: str) -> str:
    """Return how a case fails: parity.check without the search for the culprit; warnings count as errors, as in the tests."""
    reference_run = calibrated(case, 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            findings, _ = compare(
                run_scratch(scratch_builder(case), reference_run.problem, dtype), reference_run.calibration, dtype
            )
    except Exception:
        return CRASH
    return NUMERIC if findings else ""


def with_tests(conduct: Callable[[list[Killer]], Any]) -> Any:
    """Call a function with all tests as killers, inside a pytest session that has collected them; return its result."""
    campaign = _Campaign(conduct)
    left_out = [
        f"--ignore={file}"
        for file in TESTS.glob("test_*.py")
        if file.name in EXCLUDED_TESTS or PLANTS_FAULTS.search(file.read_text())
    ]
    quiet = ["--capture=no", *(f"-pno:{name}" for name in ("terminal", "cacheprovider", "benchmark"))]
    quiet += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # the harness is imported already
    status = pytest.main([str(TESTS), "-m", "not slow", *quiet, *left_out], [campaign])
    if not campaign.conducted:
        raise RuntimeError(f"pytest ended before it ran the tests: exit status {status!r}")
    return campaign.result


class _Campaign:
    """A pytest plugin: a function runs the collected tests in the order that it chooses."""

    def __init__(self, conduct: Callable[[list[Killer]], Any]):
        self.conduct = conduct
        self.conducted = False
        self.result: Any = None
        self.failure = ""

    def pytest_sessionstart(self) -> None:
        once = settings(settings.get_profile("repeatable"), phases=[Phase.explicit, Phase.generate])  # no shrinking
        settings.register_profile("mutation", once)
        settings.load_profile("mutation")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            print(f"{report.nodeid} is not used, since it cannot be collected:\n{report.longreprtext}")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.result = self.conduct([Killer(item.nodeid, partial(self._run, item), len(DTYPES)) for item in session.items])
        self.conducted = True
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed and call.excinfo is not None and not self.failure:
            wrong = call.excinfo.errisinstance((AssertionError, pytest.fail.Exception))
            self.failure = NUMERIC if wrong else CRASH
        return report

    def _run(self, item: pytest.Item) -> str:
        self.failure = ""
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return self.failure
