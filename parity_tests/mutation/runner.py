"""Runs mutants in processes of their own, several at a time, and remembers what came of each.

A mutant lives in a fork of this process, where everything is imported and the reference has been run: nothing that it
does outlasts it, and one that never ends is ended by the clock.
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
SLOWER = 5  # times as long as without the fault may a killer take, on top of the limit


@dataclass(frozen=True)
class Result:
    """What came of a mutant: NUMERIC, CRASH, TIMED_OUT or SURVIVED, and by which killer."""

    key: tuple[str, str, str, str, int]
    outcome: str
    killer: str
    digest: str


def run(
    jobs: Iterable[tuple[Mutant, list[Killer]]], seconds: dict[Killer, float], processes: int, limit: float
) -> Iterator[tuple[Mutant, Result]]:
    """Run each mutant until the first of its killers fails, and yield the results as they come."""
    context = multiprocessing.get_context("fork")
    gc.freeze()  # what is here already is not looked through again in every process, and so not copied
    running: dict[Connection, tuple[BaseProcess, Mutant]] = {}

    def finished() -> Iterator[tuple[Mutant, Result]]:
        for connection in cast(list[Connection], wait(list(running))):
            process, mutant = running.pop(connection)
            try:
                outcome, killer = connection.recv()
            except EOFError:  # it did not live to say
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
            timed = [(killer, limit + SLOWER * seconds[killer]) for killer in killers]
            child = context.Process(target=_try, args=(mutant, timed, sending))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: those of BLAS allow for it
                child.start()
            sending.close()
            running[receiving] = child, mutant
        while running:
            yield from finished()
    finally:
        for process, _ in running.values():
            process.kill()


def _try(mutant: Mutant, killers: list[tuple[Killer, float]], sending: Connection) -> None:
    """Plant a mutant in this process and send what came of it, unless the clock ends the process."""
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
        signal.setitimer(signal.ITIMER_PROF, limit)  # of computing, which a busy machine does not lengthen
        signal.setitimer(signal.ITIMER_REAL, 10 * limit)  # of waiting
        outcome = killer.run()
        if outcome:
            sending.send((outcome, killer.name))
            break
    else:
        sending.send((SURVIVED, ""))
    os._exit(0)  # what would run at exit belongs to the parent


class Results:
    """The results so far, in a file where there is one: a line each, so that an interrupted run loses nothing."""

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
            except (ValueError, TypeError, KeyError):  # the line that was being written
                continue
            self.known[result.key] = result
        if text and not text.endswith("\n"):
            path.write_text(text + "\n")

    def of(self, mutant: Mutant) -> Result | None:
        """What is known of a mutant; nothing where its file has changed, or where it survived, since there may be new tests."""
        result = self.known.get(mutant.key)
        return result if result and result.outcome != SURVIVED and result.digest == mutant.digest else None

    def add(self, result: Result) -> None:
        self.known[result.key] = result
        if self.path:
            with self.path.open("a") as file:
                file.write(json.dumps(asdict(result)) + "\n")
