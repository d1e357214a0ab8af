"""A fault as data, and the judgement of the harness once it is planted."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.cases import CASES
from parity.check import check
from parity.report import explain
from parity.running.builders import builders
from parity_tests.planting import planted
from scratch.module import Module

LATER = "later call"  # the cause where a backward is stored, and the next call overwrites it


@dataclass(frozen=True)
class Fault:
    """One realistic mistake: `new` in place of `old` in the source of one function of scratch.

    name        what the mistake is, unique in the catalogue
    old, new    `old` occurs once in the function's source
    phase       the pass that is wrong: "forward" or "backward", or the "step" of an optimiser or schedule
    cause       a regular expression for the cause that the harness must name; None where no cause can be certain
    function    dotted path inside scratch
    cases       cases, each of which shows the mistake on every seed
    culprit     the op and the classes of layers that use it, separated by bars: all of them in a case are culprits;
                or the paths of the culprits, where other layers of their class are right
    dtype       "float32" where the mistake is one of accuracy
    """

    name: str
    old: str
    new: str
    phase: str
    cause: str | None
    function: str
    cases: tuple[str, ...]
    culprit: str
    dtype: str = "float64"


@dataclass(frozen=True)
class Judgement:
    """The answer of the harness to one fault in one case on one seed."""

    fault: Fault
    case: str
    seed: int
    caught: bool
    exact: bool  # the culprits are those expected, all of them and no others, in the phase expected
    causes: tuple[str, ...]
    explanation: str

    @property
    def named(self) -> bool:
        """Return whether every culprit has the expected cause."""
        return bool(self.causes) and all(self.expects(cause) for cause in self.causes)

    @property
    def strange(self) -> tuple[str, ...]:
        """Return the named causes that are not the expected one."""
        return tuple(cause for cause in dict.fromkeys(self.causes) if cause and not self.expects(cause))

    def expects(self, cause: str) -> bool:
        return self.fault.cause is not None and re.search(self.fault.cause, cause) is not None


BY_NAME = {case.name: case for case in CASES}


def judge(fault: Fault, case: str, seed: int = 0) -> Judgement:
    """Plant the fault, run the harness, and compare its answer with the expected one."""
    with planted(function_at(fault.function), fault.old, fault.new), np.errstate(all="ignore"):
        verdict = check(BY_NAME[case], fault.dtype, seed=seed)
    found = {(culprit.path, culprit.phase) for culprit in verdict.culprits}
    expected = {(path, fault.phase) for path in culprits_of(BY_NAME[case], fault.culprit)}
    causes = tuple(culprit.cause for culprit in verdict.culprits)
    return Judgement(fault, case, seed, verdict.status in ("mismatch", "error"), found == expected, causes, explain(verdict))


@cache
def culprits_of(case: ParityCase, kinds: str) -> frozenset[str]:
    """Return the paths of the case's modules that have one of these classes or paths; {""} where the case is of an op."""
    subject = builders(case)[0]()
    if not isinstance(subject, Module):
        return frozenset({""})
    named = kinds.split("|")
    return frozenset(path for path, module in subject.named_modules() if path in named or type(module).__name__ in named)


def function_at(path: str) -> Any:
    """Return the function or method at a path inside scratch: "ops.norm.batch_norm", "module.Parameter.accumulate"."""
    parts = path.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(["scratch", *parts[:n]]))
        except ModuleNotFoundError:
            continue
        for name in parts[n:]:
            found = vars(found)[name] if isinstance(found, type) else getattr(found, name)
        return found
    raise ValueError(f"scratch has nothing at {path!r}, expected the path of a function or method")
