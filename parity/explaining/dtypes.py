"""Errors that depend on the dtype: lost digits, which look like noise, and code that computes something else in one dtype."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from parity.explaining.hints import MARGIN
from parity.explaining.locate import Evidence
from parity.explaining.noise import is_rounding
from parity.judging.tolerance import deviation
from parity.running.run_scratch import run_scratch

LOST = "float64 agrees: digits or range are lost in float32, the formula is right"
LOST_OR_OTHER = "float64 agrees: digits or range are lost in float32, or the code does something else there"
OTHER_IN_FLOAT64 = "float32 agrees: the code does something else in float64"


def dependence_on_dtype(evidence: Evidence) -> str:
    """Return how the error depends on the dtype, or "" where the other dtype is wrong too."""
    name, dtype = evidence.worst.tensor, evidence.dtype
    other = "float32" if dtype == "float64" else "float64"
    if name not in evidence.calibration.unit or name not in evidence.tensors or not _agrees(evidence, other):
        return ""
    array, truth = evidence.tensors[name], evidence.calibration.truth[name]
    if (
        array.shape != truth.shape
        or array.dtype.kind != "f"
        or deviation(array, truth) <= evidence.calibration.tolerance(name, dtype)
    ):
        return ""
    if dtype == "float32":
        return LOST if _overflows(evidence) or is_rounding(evidence, name) else LOST_OR_OTHER
    visible_in_float32 = deviation(array, truth) > MARGIN * evidence.calibration.tolerance(name, "float32")
    return OTHER_IN_FLOAT64 if visible_in_float32 else ""


def _overflows(evidence: Evidence) -> bool:
    """Return whether a number that the subject computes leaves the range of its dtype."""
    try:
        with np.errstate(over="raise"):
            run_scratch(lambda: evidence.subject, evidence.problem, evidence.dtype)
    except FloatingPointError:
        return True
    except Exception:
        return False
    return False


def _agrees(evidence: Evidence, dtype: str) -> bool:
    """Return whether the subject is right in a dtype; in float64, to the digits of float32."""
    truth = evidence.calibration.truth
    with suppress(Exception):
        ours = run_scratch(lambda: evidence.subject, evidence.problem, dtype).tensors
        return ours.keys() == truth.keys() and all(
            ours[name].shape == truth[name].shape
            and deviation(ours[name].astype(np.float64), truth[name]) <= evidence.calibration.tolerance(name, "float32")
            if name in evidence.calibration.unit
            else np.array_equal(ours[name], truth[name])
            for name in truth
        )
    return False
