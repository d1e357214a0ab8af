"""The answer of the harness to one fault: the first case that fails, its culprit, its cause, and the place to look at."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache, partial

import numpy as np

from parity.case import ParityCase
from parity.cases import CASES
from parity.check import DTYPES, judge, reference_run_of
from parity.judging.verdict import Verdict
from parity.report import explain
from parity.running.builders import scratch_builder
from parity_tests.mutation.killers import Killer

kept = cache(reference_run_of.__wrapped__)  # the reference run is the same for every fault


@dataclass(frozen=True)
class Report:
    """The report on the first comparison that fails: the kinds of its culprits, their causes and places, and its text."""

    case: str
    dtype: str
    kinds: tuple[str, ...]
    causes: tuple[str, ...]
    places: tuple[str, ...]
    text: str

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def killers() -> list[Killer]:
    """Return every case as something that may detect a fault; its answer is a report as JSON."""
    return [Killer(case.name, partial(report_on, case), 0) for case in CASES]


def report_on(case: ParityCase) -> str:
    """Return the report on a case as JSON, or "" where both dtypes agree."""
    reference_run = kept(case, 0)
    for dtype in DTYPES:
        with np.errstate(all="ignore"):
            verdict = judge(Verdict(case.name, case.family, dtype, "cpu", 0), scratch_builder(case), reference_run)
        if verdict.fails:
            found = verdict.culprits
            parts = ([c.kind for c in found], [c.cause for c in found], [c.source for c in found])
            return Report(case.name, dtype, *map(tuple, parts), explain(verdict)).as_json()
    return ""
