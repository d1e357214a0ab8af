"""Which killers reach which function: each killer is run once while the functions that are called are noted."""

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

SIGNATURES = ("one_signature", "torchs_arguments")  # tests that look at defaults without calling anything


@dataclass
class Reach:
    """The killers that reach each function, how long each of them takes, and those that fail without any fault."""

    killers: dict[Place, list[Killer]] = field(default_factory=dict)
    seconds: dict[Killer, float] = field(default_factory=dict)
    unfit: list[Killer] = field(default_factory=list)

    def of(self, subject: Subject, modules: list[ModuleType]) -> list[Killer]:
        """What may kill a subject's mutants, by rank and then the quickest first; of a constant, what reaches its users."""
        places = users_of(subject, modules) if subject.owner else {subject.place}
        found = {killer for place in places for killer in self.killers.get(place, [])}
        found |= {killer for killer in self.seconds if any(name in killer.name for name in SIGNATURES)}
        return sorted(found, key=lambda killer: (killer.rank, self.seconds[killer]))


def measure(killers: Iterable[Killer], package: str) -> Reach:
    """Run every killer once and note what it reaches in a package."""
    reach = Reach()
    for killer in killers:
        with calls_into(package) as places, silence():
            start = time.perf_counter()
            failure = killer.run()
            seconds = time.perf_counter() - start
        if failure:
            reach.unfit.append(killer)
            continue
        reach.seconds[killer] = seconds
        for place in places:
            reach.killers.setdefault(place, []).append(killer)
    return reach


@contextmanager
def calls_into(package: str) -> Iterator[set[Place]]:
    """The functions of a package that are called inside the block; a function inside another counts as the outer one."""
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
    """Nothing is printed inside the block, but what a test captures itself."""
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
