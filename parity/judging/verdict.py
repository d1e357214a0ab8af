"""The verdict on a comparison, and the comparison of a run with its calibration."""

from __future__ import annotations

import os
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from parity.judging.status import MARKS, Status
from parity.judging.tolerance import Calibration
from parity.running.contract import ContractError
from parity.running.problem import Run, Tensors
from parity.running.safe_text import message_of
from parity.running.tensor_name import Phase, phase_of

HARNESS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Finding:
    """One difference from the reference, or one breach of the contract.

    tensor    the printed name of the tensor that differs; "" where the finding is about none
    message   the finding in one line
    phase     the pass that is wrong
    ratio     error over tolerance; infinite where the two cannot be compared
    """

    tensor: str
    message: str
    phase: Phase
    ratio: float = float("inf")

    @classmethod
    def of_tensor(cls, name: str, message: str, ratio: float = float("inf")) -> Self:
        """Return the finding that a tensor differs; the tensor's name tells the pass."""
        return cls(name, f"{name} {message}", phase_of(name), ratio)


@dataclass(frozen=True)
class Culprit:
    """A module that is wrong on its own: given the reference's inputs and upstream gradients, it still differs."""

    path: str
    kind: str
    phase: Phase
    ratio: float
    source: str
    cause: str = ""  # the mistake, where a repair has been found that makes the tensors match


@dataclass
class Verdict:
    """The result of one comparison."""

    name: str
    family: str
    dtype: str
    device: str
    seed: int
    status: Status = Status.OK
    tensors: int = 0
    worst_ratio: float = 0.0  # the largest error / tolerance
    findings: list[Finding] = field(default_factory=list)
    culprits: list[Culprit] = field(default_factory=list)
    inherited: int = 0  # modules that differ only because of a culprit
    message: str = ""
    note: str = ""  # the reason for an "ok" that the tolerances alone do not give

    @property
    def ok(self) -> bool:
        """Return whether every tensor agrees."""
        return self.status is Status.OK

    @property
    def missing(self) -> bool:
        """Return whether a side is incomplete and nothing of it is wrong."""
        return self.status is Status.MISSING

    @property
    def fails(self) -> bool:
        """Return whether the comparison has found a mistake; a missing side is none."""
        return MARKS[self.status].fails

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """Return the verdict from the plain data of `as_json`; TypeError, KeyError or ValueError where a field is amiss."""
        lists = {
            "findings": [Finding(**_with_phase(_with_infinity(item))) for item in plain["findings"]],
            "culprits": [Culprit(**_with_phase(_with_infinity(item))) for item in plain["culprits"]],
        }
        return cls(**_with_infinity(plain) | lists | {"status": Status(plain["status"])})

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as plain data; an infinite ratio is null, because JSON has no number for it."""
        plain = asdict(self)
        for item in (plain, *plain["findings"], *plain["culprits"]):
            item.update({key: None for key, value in item.items() if isinstance(value, float) and not np.isfinite(value)})
        return plain


def _with_infinity(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: float("inf") if value is None else value for key, value in plain.items()}


def _with_phase(plain: dict[str, Any]) -> dict[str, Any]:
    return plain | {"phase": Phase(plain["phase"])}


def compare(run: Run, calibration: Calibration, dtype: str) -> tuple[list[Finding], float]:
    """Return all differences from the truth, the worst first, and the largest error / tolerance."""
    findings = [Finding("", breach.message, breach.phase) for breach in run.breaches if not breach.harmless_alone]
    findings += _different_names(run.tensors, calibration.truth)
    worst_ratio = 0.0
    for name in calibration.truth.keys() & run.tensors.keys():
        finding, ratio = _compare_tensor(name, run.tensors, calibration, dtype)
        worst_ratio = max(worst_ratio, ratio)
        if finding:
            findings.append(finding)
    findings.sort(key=lambda finding: (-_to_two_digits(finding.ratio), finding.tensor))
    findings += [Finding("", breach.message, breach.phase) for breach in run.breaches if breach.harmless_alone]
    return findings, worst_ratio


def _to_two_digits(ratio: float) -> float:
    """Return the ratio as it is printed: equal errors of two tensors must not change places with their last digits."""
    return float(f"{ratio:.2g}")


def _different_names(tensors: Tensors, truth: Tensors) -> list[Finding]:
    """Return a finding for each tensor that only one side has."""
    missing = [
        Finding.of_tensor(name, f"is missing: the reference has one of shape {truth[name].shape}")
        for name in truth.keys() - tensors.keys()
    ]
    extra = [
        Finding.of_tensor(name, f"of shape {tensors[name].shape} is not expected: the reference has none")
        for name in tensors.keys() - truth.keys()
    ]
    return missing + extra


def _compare_tensor(name: str, tensors: Tensors, calibration: Calibration, dtype: str) -> tuple[Finding | None, float]:
    """Return the finding on one tensor, None where it agrees, and its error / tolerance."""
    array, truth = tensors[name], calibration.truth[name]
    expected_dtype = np.dtype(dtype) if name in calibration.unit else truth.dtype
    if array.shape != truth.shape:
        return Finding.of_tensor(name, f"has shape {array.shape}, expected {truth.shape}"), 0.0
    if array.dtype != expected_dtype:
        return Finding.of_tensor(name, f"is {array.dtype}, expected {expected_dtype}"), 0.0
    if name not in calibration.unit:
        wrong = int(np.sum(array != truth))
        return (Finding.of_tensor(name, f"differs in {wrong} of {truth.size} values") if wrong else None), 0.0
    error = calibration.error(name, array, dtype)
    ratio = error.ratio
    if ratio <= 1:
        return None, ratio
    if not np.array_equal(np.isfinite(array), np.isfinite(truth)):
        count, expected = (int(np.sum(~np.isfinite(numbers))) for numbers in (array, truth))
        return Finding.of_tensor(name, f"has {count} values that are NaN or infinite, expected {expected}"), ratio
    tolerance = f"the tolerance of {error.tolerance:.2g} there" if error.place else f"its tolerance of {error.tolerance:.2g}"
    return Finding.of_tensor(name, f"is off by {error.size:.2g}{error.place}, {ratio:.2g} x {tolerance}", ratio), ratio


def describe(error: BaseException) -> str:
    """Return an exception in one line, with its place: the last line that is neither in a library nor in the harness."""
    if isinstance(error, ContractError):
        return message_of(error)
    elsewhere = f"{HARNESS}{os.sep}", "site-packages"
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    ours = [(code, line) for code, line in frames if not any(part in code.co_filename for part in elsewhere)]
    place = f"({Path(ours[-1][0].co_filename).name}:{ours[-1][1]}, in {ours[-1][0].co_name})" if ours else ""
    return f"{type(error).__name__}: {message_of(error)} {place}".rstrip()
