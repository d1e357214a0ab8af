"""Run mutants in parallel processes and record the outcome of each.

A mutant lives in a fork of this process, in which everything is imported and the reference has been run. Nothing that a mutant does
survives its process, and a timer ends a mutant that never stops.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import cast

from parity_tests.mutation.killers import CRASH, Killer
from parity_tests.mutation.subject import Mutant

SURVIVED, TIMED_OUT, UNPLANTED = "survived", "timed out", "unplanted"
SLOWDOWN_ALLOWED = 5  # a killer may take this many times as long as without the fault, plus the limit


@dataclass(frozen=True)
class Result:
    """The outcome of a mutant (NUMERIC, CRASH, TIMED_OUT or SURVIVED) and the killer that detected it."""

    key: tuple[str, str, str, str, int]
    outcome: str
    killer: str
    digest: str


def run(
    jobs: Iterable[tuple[Mutant, list[Killer]]], seconds: dict[Killer, float], processes: int, limit: float
) -> Iterator[tuple[Mutant, Result]]:
    """Run each mutant until one of its killers fails, and yield the results as they come."""
    context = multiprocessing.get_context("fork")
    gc.freeze()  # the garbage collector of a fork skips these objects, so their memory is not copied
    running: dict[Connection, tuple[BaseProcess, Mutant]] = {}

    def finished() -> Iterator[tuple[Mutant, Result]]:
        for connection in cast(list[Connection], wait(list(running))):
            process, mutant = running.pop(connection)
            try:
                outcome, killer = connection.recv()
            except EOFError:  # the process ended without an answer
                outcome, killer = "", ""
            process.join()
            if not outcome:
                outcome = TIMED_OUT if -(process.exitcode or 0) in (signal.SIGPROF, signal.SIGALRM) else CRASH
            if outcome == UNPLANTED:
                raise RuntimeError(f"{mutant.key} cannot be planted: {killer}")
            yield mutant, Result(mutant.key, outcome, killer, mutant.digest)

    try:
        for mutant, killers in jobs:
            if len(running) == processes:
                yield from finished()
            receiving, sending = context.Pipe(duplex=False)
            timed = [(killer, limit + SLOWDOWN_ALLOWED * seconds[killer]) for killer in killers]
            child = context.Process(target=_run_killers, args=(mutant, timed, sending))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # about forking beside threads: BLAS threads allow it
                child.start()
            sending.close()
            running[receiving] = child, mutant
        while running:
            yield from finished()
    finally:
        for process, _ in running.values():
            process.kill()


def _run_killers(mutant: Mutant, killers: list[tuple[Killer, float]], sending: Connection) -> None:
    """Plant a mutant in this process and send its outcome, unless a timer ends the process."""
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    for alarm in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(alarm, signal.SIG_DFL)
    try:
        planted = mutant.planted()
        planted.__enter__()
    except Exception as error:
        sending.send((CRASH, "import") if mutant.subject.owner else (UNPLANTED, repr(error)))
        os._exit(1)
    for killer, limit in killers:
        signal.setitimer(signal.ITIMER_PROF, limit)  # CPU time, which other processes do not lengthen
        signal.setitimer(signal.ITIMER_REAL, 10 * limit)  # time on the clock, for a mutant that waits
        outcome = killer.run()
        if outcome:
            sending.send((outcome, killer.name))
            break
    else:
        sending.send((SURVIVED, ""))
    os._exit(0)  # exit handlers belong to the parent


class Results:
    """The results so far; a file, if there is one, has a line for each, so that an interrupted run loses nothing."""

    def __init__(self, path: Path | None):
        self.path = path
        self.known: dict[tuple[str, str, str, str, int], Result] = {}
        if path is None or not path.exists():
            return
        text = path.read_text()
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                result = Result(**{**entry, "key": tuple(entry["key"])})
            except (ValueError, TypeError, KeyError):  # a line that was only half written
                continue
            self.known[result.key] = result
        if text and not text.endswith("\n"):
            path.write_text(text + "\n")

    def of(self, mutant: Mutant) -> Result | None:
        """Return the known result of a mutant; None if its file has changed, or if it survived, since there may be new tests."""
        result = self.known.get(mutant.key)
        return result if result and result.outcome != SURVIVED and result.digest == mutant.digest else None

    def add(self, result: Result) -> None:
        self.known[result.key] = result
        if self.path:
            with self.path.open("a") as file:
                file.write(json.dumps(asdict(result)) + "\n")
