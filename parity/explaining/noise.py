"""Noise: an error of rounding, which inputs that are a rounding away turn into another error."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from parity.explaining.locate import Evidence
from parity.running.run_scratch import run_scratch
from scratch.module import Array

FEWEST_OF_A_SIGN = 0.2  # of the errors of a rounding
LEAST_CHANGE = 0.25  # of a rounding error, where a rounding of the inputs makes it another one


def is_rounding(evidence: Evidence, name: str) -> bool:
    """Return whether the error of a tensor is noise: inputs that are a rounding away give another error, not the same."""
    with suppress(Exception):
        nearby = evidence.reference_run.nearby
        error = evidence.tensors[name] - evidence.calibration.truth[name]
        again = run_scratch(lambda: evidence.subject, nearby.problem, evidence.dtype).tensors[name] - nearby.calibration.truth[name]
        return _size(again - error) >= LEAST_CHANGE * _size(error)
    return False


def has_both_signs(evidence: Evidence, name: str) -> bool:
    """Return whether the error makes some numbers larger and others smaller, as a rounding of a weight or of a table does."""
    array, truth = evidence.tensors[name], evidence.calibration.truth[name]
    wrong = np.abs(array - truth) > evidence.calibration.tolerance(name, evidence.dtype)
    larger = np.mean(((array - truth) * np.sign(truth))[wrong] > 0) if wrong.any() else 0.0
    return FEWEST_OF_A_SIGN <= larger <= 1 - FEWEST_OF_A_SIGN


def _size(array: Array) -> float:
    """Return the length of an array as a vector, its finite numbers alone."""
    return float(np.linalg.norm(array[np.isfinite(array)]))
