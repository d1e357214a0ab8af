"""The worker that judges a package in other processes; a package may print, exit, crash or never return without harm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from parity.case import ParityCase
from parity.cases import tables
from parity.judging.status import Status
from parity.judging.verdict import Verdict
from parity.own_package.process import EndedError, JudgingProcess
from parity.running.definitions import Definitions, Place

TIME_LIMIT = 10.0  # seconds of CPU time for a comparison, which takes a small part of one


@dataclass
class Outcome:
    """The outcome of one comparison of someone's own package: the target of the case, the verdict, and the printed text."""

    target: str  # the path of the function, layer or model: "ops.conv2d"
    verdict: Verdict
    printed: str = ""

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """Return the outcome from the plain data of `as_json`."""
        return cls(plain["target"], Verdict.from_json(plain["verdict"]), plain["printed"])

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as plain data."""
        return {"target": self.target, "verdict": self.verdict.as_json(), "printed": self.printed}


@dataclass(frozen=True)
class _Reason:
    """The reason why a target is not tried again: it crashed before, or it uses a function that did not end."""

    status: Status
    message: str


class Worker:
    """A judge of the package in a directory, which runs in another process; after a crash it starts a new process.

    Each process imports the package anew, so a new Worker sees the latest saved files. Nothing takes its whole time limit twice.
    If the import of a file ended a process, the next process refuses the file. A target that uses a function that did not end
    is not tried.
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
        self.given_up: dict[str, _Reason] = {}  # targets that have ended a process, or that would not end
        self.refused: dict[str, str] = {}  # files whose import has ended a process, and the message
        self._endless: dict[Place, str] = {}  # definitions that did not end, and the message for targets that use them
        self._definitions = Definitions(directory.resolve())
        self._process: JudgingProcess | None = None
        self._busy_since = ""  # the target that started a thread which still computes

    def outcome(self, case: ParityCase, dtype: str, seed: int, diagnose: bool = True) -> Outcome:
        """Judge one case of the tables; a target that has crashed is not tried again."""
        target, printed = case.scratch, ""
        if self._busy_since not in ("", target):
            self.close()
        if target not in self.given_up and (message := self._endless_function_used_by(target)):
            self.given_up[target] = _Reason(Status.NOT_TRIED, message)
        while target not in self.given_up:
            if self._process is None:
                self._process = JudgingProcess(self.directory, self.time_limit, self.refused)
            try:
                answer = self._process.ask(case.name, dtype, seed, diagnose)
            except EndedError as ended:
                self.close()
                self._note(target, ended)
                printed = ended.printed
            else:
                self._busy_since = target if answer.busy else ""
                return Outcome(target, answer.verdict, answer.printed)
        verdict = Verdict(case.name, case.family, dtype, "cpu", seed, **asdict(self.given_up[target]))
        return Outcome(target, verdict, printed)

    def outcomes(self, cases: Iterable[ParityCase], dtypes: Sequence[str], seeds: Sequence[int]) -> Iterator[Outcome]:
        """Judge cases one after the other.

        Only the first failure of each target is diagnosed. After a crash, the other cases of its target are left out.
        """
        failed: set[str] = set()
        for case in cases:
            for seed in seeds:
                for dtype in dtypes:
                    if case.scratch not in self.given_up:
                        outcome = self.outcome(case, dtype, seed, diagnose=case.scratch not in failed)
                        if outcome.verdict.fails:
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
        """Note the file or the target that ended a process, so that it does not end the next one."""
        if ended.importing and ended.importing not in self.refused:
            self.refused[ended.importing] = f"it {ended.what}"
            return
        self.given_up[target] = _Reason(Status.ERROR, f"it {ended.what}")
        if not ended.timed_out:
            return
        name = target.split(".")[-1]
        if own := self._definitions.place_of(target):
            self._endless[own] = f"it uses {name}, which {ended.what}"
        if ended.place:  # a function that is a target itself may be right, and its caller may never stop calling it
            file, line = ended.place
            helper = self._definitions.enclosing(file, line)
            if (file, helper) != own and not self._is_a_target((file, helper)):
                self._endless[file, helper] = f"it uses {helper}, in which {name} {ended.what}"

    def _endless_function_used_by(self, target: str) -> str:
        """Return a message about a function that did not end and that a target uses; "" where none is known."""
        used = self._definitions.used_by(target) if self._endless else set()
        return next((message for place, message in self._endless.items() if place in used), "")

    def _is_a_target(self, place: Place) -> bool:
        return any(self._definitions.place_of(path) == place for path in {case.scratch for case in tables().cases})
