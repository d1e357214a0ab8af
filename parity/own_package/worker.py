"""Judges the package under test in other processes, which may print, exit, crash or never return without harm to the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from parity.case import ParityCase
from parity.cases import tables
from parity.judging.verdict import Verdict
from parity.own_package.process import EndedError, JudgingProcess
from parity.running.definitions import Definitions, Place

TIME_LIMIT = 10.0  # seconds of CPU time for a comparison, which takes a small part of one


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

    A process starts with its own copy of the package, so that a new Worker sees what has been saved since. What has cost
    its whole time once does not cost it again: a file whose import ended a process is refused by the next, and a target
    that uses a function that did not end is not tried.
    """

    def __init__(self, directory: Path, time_limit: float = TIME_LIMIT):
        if not 0 < time_limit < float("inf"):
            raise ValueError(f"the time limit is {time_limit:g} s, expected a number above 0")
        try:
            if not directory.is_dir():
                raise ValueError(
                    f"{directory}: there is no such directory; `parity new {directory}` writes a package to start from"
                )
            if not any(any(directory.glob(pattern)) for pattern in ("ops*", "layers*", "models*")):
                raise ValueError(f"{directory}: expected a package with ops, layers or models; `parity new DIR` writes one")
        except OSError as error:
            raise ValueError(f"{directory} cannot be read: {error.strerror}") from None
        self.directory, self.time_limit = directory, time_limit
        self.crashed: dict[str, str] = {}  # targets that have ended a process or would take all its time, and the message
        self.refused: dict[str, str] = {}  # files whose import has ended a process, and the message
        self._endless: dict[Place, str] = {}  # definitions that did not end, and why another that uses them is not tried
        self._definitions = Definitions(directory.resolve())
        self._process: JudgingProcess | None = None
        self._busy_since = ""  # the target since which a thread goes on computing

    def judge(self, case: ParityCase, dtype: str, seed: int, why: bool = True) -> Outcome:
        """Judge one case of the tables; of a target that has crashed once, say so again without another try."""
        target, printed = case.scratch, ""
        if self._busy_since not in ("", target):
            self.close()
        if target not in self.crashed and (reason := self._not_to_be_tried(target)):
            self.crashed[target] = reason
        while target not in self.crashed:
            if self._process is None:
                self._process = JudgingProcess(self.directory, self.time_limit, self.refused)
            try:
                answer = self._process.ask(case.name, dtype, seed, why)
            except EndedError as ended:
                self.close()
                self._note(target, ended)
                printed = ended.printed
            else:
                self._busy_since = target if answer.busy else ""
                return Outcome(target, answer.verdict, answer.printed)
        verdict = Verdict(case.name, case.family, dtype, "cpu", seed, verdict="error", message=self.crashed[target])
        return Outcome(target, verdict, printed)

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
            self._process.end()
        self._process, self._busy_since = None, ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _note(self, target: str, ended: EndedError) -> None:
        """Keep what ended a process from ending the next ones."""
        if ended.importing and ended.importing not in self.refused:
            self.refused[ended.importing] = f"it {ended.what}"
            return
        self.crashed[target] = f"it {ended.what}"
        if not ended.timed_out:
            return
        name = target.split(".")[-1]
        if own := self._definitions.find(target):
            self._endless[own] = f"not tried: it uses {name}, which {ended.what}"
        if ended.place:  # a function that is a target itself may be right, and called without end
            file, line = ended.place
            helper = self._definitions.enclosing(file, line)
            if (file, helper) != own and not self._is_a_target((file, helper)):
                self._endless[file, helper] = f"not tried: it uses {helper}, in which {name} {ended.what}"

    def _not_to_be_tried(self, target: str) -> str:
        """Return why a target would not end, as far as that is known; "" where it may be tried."""
        used = self._definitions.used_by(target) if self._endless else set()
        return next((reason for place, reason in self._endless.items() if place in used), "")

    def _is_a_target(self, place: Place) -> bool:
        return any(self._definitions.find(path) == place for path in {case.scratch for case in tables().cases})
