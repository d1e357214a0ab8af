"""The pytest plugin: options, two fixtures, and a summary of the comparisons.

    @pytest.mark.parametrize("case", matching("conv2d"), ids=attrgetter("name"))  # from parity.cases import matching
    def test_twins_agree(case, parity_leg, parity_judge):
        parity_judge(case, parity_leg)

`parity_leg` is a dtype, a device and a seed: it takes both dtypes and all seeds of --parity-seeds, on the device of
--parity-device. With --parity-scratch DIR, the package in a directory is judged; a test is skipped where the package has nothing
yet. If pytest-xdist runs the tests in several processes, the summary covers all of them.

pytest loads this file in every project of an environment. Therefore it imports nothing heavy, and each name that it adds begins
with parity.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from parity.case import ParityCase
    from parity.judging.verdict import Verdict
    from parity.own_package.worker import Outcome, Worker

Leg = tuple[str, str, int]  # a dtype, a device and a seed

verdicts_key = pytest.StashKey[list["Verdict"]]()
worker_key: pytest.StashKey[Worker] = pytest.StashKey()
outcomes_key = pytest.StashKey[list["Outcome"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("parity", "NumPy twins against PyTorch")
    group.addoption("--parity-device", default="cpu", metavar="NAME", help="where the twins are judged: cpu (default), cuda, mps")
    group.addoption("--parity-seeds", type=int, default=1, metavar="N", help="seeds for every case (default 1)")
    group.addoption("--parity-scratch", type=Path, metavar="DIR", help="judge your own package, as `parity new DIR` writes one")
    group.addoption(
        "--parity-time-limit", type=float, metavar="SECONDS", help="CPU time for one comparison of your own package (default 10)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[verdicts_key] = []
    if config.getoption("--parity-seeds") < 1:
        raise pytest.UsageError(f"--parity-seeds is {config.getoption('--parity-seeds')}, expected at least 1")
    device, directory = config.getoption("--parity-device"), config.getoption("--parity-scratch")
    if directory is not None:
        if device != "cpu":
            raise pytest.UsageError(f"--parity-scratch judges NumPy code, on the CPU; leave --parity-device {device} out")
        try:
            from parity.own_package import worker

            limit = config.getoption("--parity-time-limit")
            config.stash[worker_key] = worker.Worker(directory, worker.TIME_LIMIT if limit is None else limit)
        except (ValueError, ImportError) as error:
            raise pytest.UsageError(str(error)) from None
        config.stash[outcomes_key] = []
    if device != "cpu":
        from parity.running.device import checked_device

        try:
            checked_device(device)
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None


def pytest_unconfigure(config: pytest.Config) -> None:
    if worker_key in config.stash:
        config.stash[worker_key].close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "parity_leg" in metafunc.fixturenames:
        device, seeds = metafunc.config.getoption("--parity-device"), metafunc.config.getoption("--parity-seeds")
        legs = [(dtype, device, seed) for seed in range(seeds) for dtype in ("float64", "float32")]
        ids = [f"{dtype}-{device}" + (f"-seed{seed}" if seeds > 1 else "") for dtype, device, seed in legs]
        metafunc.parametrize("parity_leg", legs, ids=ids)


@pytest.fixture
def parity_judge(request: pytest.FixtureRequest) -> Callable[[ParityCase, Leg], None]:
    """Return a function that judges a case and fails with the whole explanation."""
    from parity.assertion import ParityError, difference
    from parity.check import check

    def judge_case(case: ParityCase, leg: Leg) -> None:
        __tracebackhide__ = True
        stash = request.config.stash
        if worker_key in stash:
            dtype, _, seed = leg
            outcome = stash[worker_key].outcome(case, dtype, seed)
            stash[outcomes_key].append(outcome)
            verdict = outcome.verdict
            sys.stdout.write(outcome.printed)
            if verdict.missing:
                pytest.skip(verdict.findings[0].message)
        else:
            verdict = check(case, *leg)
            stash[verdicts_key].append(verdict)
        if not verdict.ok:
            raise ParityError(difference(verdict, case.reference))

    return judge_case


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    verdicts, outcomes = config.stash[verdicts_key], config.stash.get(outcomes_key, [])
    if hasattr(config, "workeroutput") and (verdicts or outcomes):  # a process of pytest-xdist that has used parity
        judged = {"verdicts": [each.as_json() for each in verdicts], "outcomes": [each.as_json() for each in outcomes]}
        config.workeroutput["parity"] = json.dumps(judged)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add the verdicts of a process of pytest-xdist, which has ended, to those of the others."""
    text = getattr(node, "workeroutput", {}).get("parity")
    if text is None:  # it has not used parity, or it has crashed
        return
    from parity.judging.verdict import Verdict
    from parity.own_package.worker import Outcome

    judged, stash = json.loads(text), node.config.stash
    stash[verdicts_key] += [Verdict.from_json(plain) for plain in judged["verdicts"]]
    stash.setdefault(outcomes_key, []).extend(Outcome.from_json(plain) for plain in judged["outcomes"])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    verdicts = config.stash[verdicts_key]
    outcomes = config.stash.get(outcomes_key, [])
    if outcomes:
        from parity.own_package.progress import Progress

        directory = config.getoption("--parity-scratch")
        terminalreporter.section("parity")
        terminalreporter.line(f"{directory}: {Progress(directory, outcomes)}")
    if verdicts:
        from parity.report import summary
        from parity.running.device import environment

        versions = ", ".join(f"{name} {version}" for name, version in environment().items())
        terminalreporter.section("parity")
        terminalreporter.line(f"{summary(verdicts)}\n({versions})")
