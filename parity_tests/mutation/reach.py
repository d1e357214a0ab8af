"""Find the killers that reach each function: run each killer once and record the functions that it calls."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType, ModuleType
from typing import Any

from parity_tests.mutation.killers import Killer
from parity_tests.mutation.subject import Place, Subject, users_of

SIGNATURES = ("one_signature", "torchs_arguments")  # tests that compare signatures without calling anything


@dataclass
class Reach:
    """The killers that reach each function, the time that each takes, and those that fail without a fault."""

    killers: dict[Place, list[Killer]] = field(default_factory=dict)
    seconds: dict[Killer, float] = field(default_factory=dict)
    failing_without_fault: list[Killer] = field(default_factory=list)

    def of(self, subject: Subject, modules: list[ModuleType]) -> list[Killer]:
        """Return the killers of a subject's mutants, by rank and time; those of a constant reach its users."""
        places = users_of(subject, modules) if subject.owner else {subject.place}
        found = {killer for place in places for killer in self.killers.get(place, [])}
        found |= {killer for killer in self.seconds if any(name in killer.name for name in SIGNATURES)}
        return sorted(found, key=lambda killer: (killer.rank, self.seconds[killer]))


def measure(killers: Iterable[Killer], package: str) -> Reach:
    """Run every killer once and record the functions of a package that it reaches."""
    reach = Reach()
    for killer in killers:
        with calls_into(package) as places, silence():
            start = time.perf_counter()
            failure = killer.run()
            seconds = time.perf_counter() - start
        if failure:
            reach.failing_without_fault.append(killer)
            continue
        reach.seconds[killer] = seconds
        for place in places:
            reach.killers.setdefault(place, []).append(killer)
    return reach


@contextmanager
def calls_into(package: str) -> Iterator[set[Place]]:
    """Record the functions of a package that are called inside the block; an inner function counts as its outer one."""
    places: set[Place] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            module = frame.f_globals.get("__name__", "")
            if module == package or module.startswith(package + "."):
                places.add((module, frame.f_code.co_qualname.split(".<locals>")[0]))

    sys.setprofile(note)
    try:
        yield places
    finally:
        sys.setprofile(None)


@contextmanager
def silence() -> Iterator[None]:
    """Discard what is printed inside the block, except what a test captures itself."""
    kept = [os.dup(stream) for stream in (1, 2)]
    try:
        with open(os.devnull, "wb") as nowhere:
            _redirect([nowhere.fileno(), nowhere.fileno()])
        yield
    finally:
        _redirect(kept)
        for stream in kept:
            os.close(stream)


def _redirect(targets: list[int]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    for stream, target in zip((1, 2), targets, strict=True):
        os.dup2(target, stream)
