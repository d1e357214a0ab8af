"""A process that judges the package under test, which may print, exit, crash or never return without harm to the rest."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import multiprocessing
import re
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from parity.case import ParityCase
from parity.cases import CASES
from parity.check import check
from parity.subject import mount
from parity.verdict import Verdict

TIME_LIMIT = 10.0  # seconds for a comparison, which takes a small part of one
Task = tuple[str, str, int, bool]  # the case's name, the dtype, the seed, whether to look for the cause

_context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")  # a fork has torch imported already


@dataclass
class Outcome:
    """How a comparison of someone's own implementation came out, and what it printed."""

    target: str  # what the case judges: "ops.conv2d"
    verdict: Verdict
    printed: str = ""

    @property
    def missing(self) -> bool:
        """Whether nothing is wrong with it, but that it is not all there."""
        return self.verdict.verdict == "missing"

    @property
    def missing_phase(self) -> str:
        """The first phase that is not there, "forward" or "backward"; "" where none is missing."""
        return self.verdict.findings[0].phase if self.missing else ""


class Worker:
    """Judges cases on the package in a directory, in a process that is started anew after each crash.

    A process starts with its own copy of the package, so that a new Worker sees what has been saved since.
    """

    def __init__(self, directory: Path, time_limit: float = TIME_LIMIT):
        if not directory.is_dir():
            raise ValueError(f"{directory}: there is no such directory; `parity new {directory}` writes a package to start from")
        if not any(any(directory.glob(pattern)) for pattern in ("ops*", "layers*", "models*")):
            raise ValueError(f"{directory}: expected a package with ops, layers or models; `parity new DIR` writes one")
        self.directory, self.time_limit = directory, time_limit
        self.crashed: dict[str, str] = {}  # targets that have ended a process, and how
        self._process: BaseProcess | None = None
        self._last_words = tempfile.NamedTemporaryFile(prefix="parity-")  # noqa: SIM115  closed in close()

    def judge(self, case: ParityCase, dtype: str, seed: int, why: bool = True) -> Outcome:
        """Judge one case of the tables; of a target that has crashed once, say so again without another try."""
        if case.scratch not in self.crashed:
            if self._process is None:
                self._start()
            try:
                task: Task = case.name, dtype, seed, why
                self._pipe.send(task)
                outcome: Outcome = self._pipe.recv()
                return outcome
            except (EOFError, ConnectionError):
                self.crashed[case.scratch] = self._post_mortem()
        verdict = Verdict(case.name, case.family, dtype, "cpu", seed, verdict="error", message=self.crashed[case.scratch])
        return Outcome(case.scratch, verdict)

    def judge_all(self, cases: Iterable[ParityCase], dtypes: Sequence[str], seeds: Sequence[int]) -> Iterator[Outcome]:
        """Judge cases one after the other: look for the cause of a target's first failure, and stop at a crash of its."""
        failed: set[str] = set()
        for case in cases:
            for seed in seeds:
                for dtype in dtypes:
                    if case.scratch not in self.crashed:
                        outcome = self.judge(case, dtype, seed, why=case.scratch not in failed)
                        if not (outcome.verdict.ok or outcome.missing):
                            failed.add(case.scratch)
                        yield outcome

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
            self._pipe.close()
        self._last_words.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _start(self) -> None:
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(
            target=_serve, args=(theirs, self.directory, self.time_limit, self._last_words.name), daemon=True
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
            self._process.start()
        theirs.close()

    def _post_mortem(self) -> str:
        """What ended the process."""
        assert self._process is not None
        self._pipe.close()
        self._process.join()
        status, self._process = self._process.exitcode, None
        words = Path(self._last_words.name).read_text()
        if not words.startswith("Timeout"):
            return f"it ended the whole process, with exit status {status}"
        root = re.escape(f"{self.directory.resolve()}/")
        frame = re.search(rf'File "{root}(.*)", line (\d+) in (.*)', words)
        place = f" ({Path(frame[1]).name}:{frame[2]}, in {frame[3]})" if frame else ""
        return f"it did not end within {self.time_limit:g} s{place}"


def _serve(pipe: Connection, directory: Path, time_limit: float, last_words: str) -> None:
    """Answer each task with its outcome, for as long as anyone asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to handle
    warnings.simplefilter("default")  # whatever filters a fork has inherited
    package = mount(directory)
    cases = {case.name: case for case in CASES}
    with Path(last_words).open("w") as file, contextlib.suppress(EOFError):
        while True:
            name, dtype, seed, why = pipe.recv()
            faulthandler.dump_traceback_later(time_limit, exit=True, file=file)
            outcome = _judge(cases[name], dtype, seed, package, why)
            faulthandler.cancel_dump_traceback_later()
            pipe.send(outcome)


class _Printed(io.StringIO):
    """The beginning of what is printed."""

    def write(self, text: str) -> int:
        return super().write(text) if self.tell() < 10_000 else 0


def _judge(case: ParityCase, dtype: str, seed: int, package: str, why: bool) -> Outcome:
    printed = _Printed()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            verdict = check(case, dtype, "cpu", seed, package, why)
        except SystemExit as error:
            message = f"it called sys.exit({error.code if error.code is not None else ''})"
            verdict = Verdict(case.name, case.family, dtype, "cpu", seed, verdict="error", message=message)
    return Outcome(case.scratch, verdict, printed.getvalue())
