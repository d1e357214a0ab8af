"""The answer of the harness to a fault: the first comparison that fails, its culprits, their causes and the places to look at."""

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
class Answer:
    """The report on a comparison that fails: the kinds of its culprits, their causes and places, and its text."""

    case: str
    dtype: str
    kinds: list[str]
    causes: list[str]
    places: list[str]
    text: str


def killers_with_answers() -> list[Killer]:
    """Return every case as something that may detect a fault; its outcome is an Answer as JSON."""
    return [Killer(case.name, partial(_answer, case), 0) for case in CASES]


def _answer(case: ParityCase) -> str:
    """Return the answer on a case as JSON, or "" where both dtypes agree."""
    for dtype in DTYPES:
        with np.errstate(all="ignore"):
            verdict = judge(Verdict(case.name, case.family, dtype, "cpu", 0), scratch_builder(case), kept(case, 0))
        if verdict.fails:
            found = verdict.culprits
            parts = [[c.kind for c in found], [c.cause for c in found], [c.source for c in found]]
            return json.dumps(asdict(Answer(case.name, dtype, *parts, explain(verdict))))
    return ""
