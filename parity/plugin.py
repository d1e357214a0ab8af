"""The pytest plugin: options, the fixtures that the parity tests are made of, and what the terminal shows of them.

    def test_twins_agree(case, leg, judge):
        judge(case, leg)

`leg` runs through the dtypes, the devices of --device and the seeds of --parity-seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from parity.case import ParityCase
    from parity.verdict import Verdict

Leg = tuple[str, str, int]

verdicts_key = pytest.StashKey[list["Verdict"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("parity", "NumPy twins against PyTorch")
    group.addoption("--device", default="cpu", metavar="NAME", help="where the twins are judged: cpu (default), cuda, mps")
    group.addoption("--parity-seeds", type=int, default=1, metavar="N", help="seeds for every case (default 1)")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[verdicts_key] = []
    if config.getoption("--parity-seeds") < 1:
        raise pytest.UsageError(f"--parity-seeds is {config.getoption('--parity-seeds')}, expected at least 1")
    device = config.getoption("--device")
    if device != "cpu":
        from parity.device import checked_device

        try:
            checked_device(device)
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "leg" in metafunc.fixturenames:
        device, seeds = metafunc.config.getoption("--device"), metafunc.config.getoption("--parity-seeds")
        legs = [(dtype, device, seed) for seed in range(seeds) for dtype in ("float64", "float32")]
        ids = [f"{dtype}-{device}" + (f"-seed{seed}" if seeds > 1 else "") for dtype, device, seed in legs]
        metafunc.parametrize("leg", legs, ids=ids)


@pytest.fixture
def judge(request: pytest.FixtureRequest) -> Callable[[ParityCase, Leg], None]:
    """Judges a case and fails with the whole explanation."""
    from parity.assertion import ParityError
    from parity.check import check
    from parity.report import explain

    def judge_case(case: ParityCase, leg: Leg) -> None:
        __tracebackhide__ = True
        verdict = check(case, *leg)
        request.config.stash[verdicts_key].append(verdict)
        if not verdict.ok:
            raise ParityError("\n" + explain(verdict))

    return judge_case


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    verdicts = config.stash[verdicts_key]
    if verdicts:
        from parity.device import environment
        from parity.report import summary

        versions = ", ".join(f"{name} {version}" for name, version in environment().items())
        terminalreporter.section("parity")
        terminalreporter.line(f"{summary(verdicts)}\n({versions})")
