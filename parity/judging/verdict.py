"""Compares a run with its calibration."""

from __future__ import annotations

import os
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from parity.judging.tolerance import Calibration, deviation
from parity.running.contract import ContractError
from parity.running.problem import Run, Tensors
from parity.running.safe_text import message_of

HARNESS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and for a number how far it is over its tolerance."""

    tensor: str
    message: str
    ratio: float = float("inf")

    @property
    def phase(self) -> str:
        """Whether the forward or the backward pass is wrong."""
        return (
            "backward"
            if self.tensor.startswith("grad ") or self.message.startswith(("the backward", "its backward"))
            else "forward"
        )


@dataclass(frozen=True)
class Culprit:
    """A module that is wrong on its own: given the reference's inputs and upstream gradients, it still differs."""

    path: str
    kind: str
    phase: str
    ratio: float
    source: str
    cause: str = ""  # why, where a repair that makes the tensors match has been found


@dataclass
class Verdict:
    """How a case came out: "ok", "mismatch", "invalid" (the case cannot tell) or "error" (a side did not run)."""

    name: str
    family: str
    dtype: str
    device: str
    seed: int
    verdict: str = "ok"
    tensors: int = 0
    worst_ratio: float = 0.0  # the largest error / tolerance
    findings: list[Finding] = field(default_factory=list)
    culprits: list[Culprit] = field(default_factory=list)
    inherited: int = 0  # modules that differ only because of a culprit
    message: str = ""
    note: str = ""  # on what an "ok" rests, where that is more than the tolerances

    @property
    def ok(self) -> bool:
        return self.verdict == "ok"

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """Return the verdict that `as_json` made plain data of; TypeError where a field is missing or unknown."""
        parts = {"findings": Finding, "culprits": Culprit}
        lists = {name: [kind(**_with_infinity(part)) for part in plain[name]] for name, kind in parts.items()}
        return cls(**_with_infinity(plain) | lists)

    def as_json(self) -> dict[str, Any]:
        """Plain data; an infinite ratio is null, as JSON has no number for it."""
        plain = asdict(self)
        for part in (plain, *plain["findings"], *plain["culprits"]):
            part.update({key: None for key, value in part.items() if isinstance(value, float) and not np.isfinite(value)})
        return plain


def _with_infinity(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: float("inf") if value is None else value for key, value in plain.items()}


def compare(run: Run, calibration: Calibration, dtype: str) -> tuple[list[Finding], float]:
    """Everything in which the run differs from the truth, worst first, and the largest error / tolerance."""
    findings = [Finding("", message) for message in run.broken]
    findings += _different_names(run.tensors, calibration.truth)
    worst_ratio = 0.0
    for name in calibration.truth.keys() & run.tensors.keys():
        finding, ratio = _compare_tensor(name, run.tensors, calibration, dtype)
        worst_ratio = max(worst_ratio, ratio)
        if finding:
            findings.append(finding)
    return sorted(findings, key=lambda finding: (-_to_two_digits(finding.ratio), finding.tensor)), worst_ratio


def _to_two_digits(ratio: float) -> float:
    """Return the ratio as it is printed: equal errors of two tensors must not change places with their last digits."""
    return float(f"{ratio:.2g}")


def _different_names(tensors: Tensors, truth: Tensors) -> list[Finding]:
    missing = [
        Finding(name, f"{name} is missing: the reference has one of shape {truth[name].shape}")
        for name in truth.keys() - tensors.keys()
    ]
    extra = [
        Finding(name, f"{name} of shape {tensors[name].shape} is not expected: the reference has none")
        for name in tensors.keys() - truth.keys()
    ]
    return missing + extra


def _compare_tensor(name: str, tensors: Tensors, calibration: Calibration, dtype: str) -> tuple[Finding | None, float]:
    array, truth = tensors[name], calibration.truth[name]
    expected_dtype = np.dtype(dtype) if name in calibration.unit else truth.dtype
    if array.shape != truth.shape:
        return Finding(name, f"{name} has shape {array.shape}, expected {truth.shape}"), 0.0
    if array.dtype != expected_dtype:
        return Finding(name, f"{name} is {array.dtype}, expected {expected_dtype}"), 0.0
    if name not in calibration.unit:
        wrong = int(np.sum(array != truth))
        return (Finding(name, f"{name} differs in {wrong} of {truth.size} values") if wrong else None), 0.0
    error, tolerance = deviation(array, truth), calibration.tolerance(name, dtype)
    ratio = error / tolerance if tolerance else (0.0 if error == 0 else float("inf"))
    if ratio <= 1:
        return None, ratio
    if not np.array_equal(np.isfinite(array), np.isfinite(truth)):
        count = int(np.sum(~np.isfinite(array)))
        return Finding(
            name, f"{name} has {count} values that are NaN or infinite, expected {int(np.sum(~np.isfinite(truth)))}"
        ), ratio
    return Finding(name, f"{name} is off by {error:.2g}, {ratio:.2g} x its tolerance of {tolerance:.2g}", ratio), ratio


def describe(error: BaseException) -> str:
    """Return an exception in one line, with the place that raised it: the last that is neither in a library nor in the harness."""
    if isinstance(error, ContractError):
        return message_of(error)
    elsewhere = f"{HARNESS}{os.sep}", "site-packages"
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    ours = [(code, line) for code, line in frames if not any(part in code.co_filename for part in elsewhere)]
    place = f"({Path(ours[-1][0].co_filename).name}:{ours[-1][1]}, in {ours[-1][0].co_name})" if ours else ""
    return f"{type(error).__name__}: {message_of(error)} {place}".rstrip()
