"""The tolerance of every tensor, measured on the reference alone: one unit of honest error, and how many are allowed.

    unit(T) = max( eps32 * max|ref64|,                                 nothing can be better than rounding
                   max|ref32 - ref64|,                                 the reference's own float32 error
                   max over 3 probes of max|ref64(jittered) - ref64| ) the effect of one rounding of the inputs

A tensor of dtype dt agrees where max|T - ref64| <= UNITS_ALLOWED * unit(T) * eps(dt) / eps32, with UNITS_ALLOWED = 64.

Some tensors are zero but for rounding, so their own numbers give no scale. If no run of the reference gives them a unit either,
the largest number that their pass is given or computes replaces max|ref64|: the order of a sum decides what is left of zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from parity.inputs import EPS32, jittered
from parity.running import nested
from parity.running.problem import Problem, Tensors
from parity.running.tensor_name import Phase, phase_of
from scratch.module import Array

UNITS_ALLOWED = 64  # units of error
PROBES = 3  # runs of the reference on jittered inputs
LARGEST_RELATIVE_UNIT = 8e-3  # unit / scale of a tensor; beyond it, the inputs are ill-conditioned
BY_NATURE_ZERO = 1e-12  # of the scale of a pass: what rounding leaves of a tensor that is zero in exact arithmetic


@dataclass(frozen=True)
class Calibration:
    """The truth, computed in float64 on the CPU, and each floating-point tensor's unit of error."""

    truth: Tensors
    unit: dict[str, float]
    scale_of_zeros: Mapping[str, float] = field(default_factory=dict)  # of tensors that are zero but for rounding

    def scale(self, name: str) -> float:
        """Return a tensor's largest number, or the largest of its pass where all of its numbers are zero but for rounding."""
        return self.scale_of_zeros.get(name, largest(self.truth[name]))

    def tolerance(self, name: str, dtype: str) -> float:
        """Return the largest error that is allowed in a tensor of this dtype."""
        return UNITS_ALLOWED * self.unit[name] * float(np.finfo(dtype).eps) / EPS32

    def of_forward(self) -> Calibration:
        """Return the calibration of the forward pass alone."""
        truth = {name: array for name, array in self.truth.items() if phase_of(name) is Phase.FORWARD}
        return Calibration(truth, {name: unit for name, unit in self.unit.items() if name in truth}, self.scale_of_zeros)

    def ill_conditioned(self) -> dict[str, float]:
        """Return the tensors that one rounding of the inputs changes too much, with the relative change of each.

        Agreement on such a tensor would mean nothing.
        """
        scale = max(map(self.scale, self.unit), default=0.0)
        return {name: unit / scale for name, unit in self.unit.items() if unit > LARGEST_RELATIVE_UNIT * scale}


def measure(run: Callable[[Problem, str], Tensors], problem: Problem) -> Calibration:
    """Measure the units with five runs of the reference; `run` takes a problem and a dtype."""
    truth = run(problem, "float64")
    unit = {name: EPS32 * largest(array) for name, array in truth.items() if np.issubdtype(array.dtype, np.floating)}

    def compare_with(other_problem: Problem, dtype: str) -> None:  # one run after the other, to save memory
        other = run(other_problem, dtype)
        unit.update({name: max(least, deviation(other[name], truth[name])) for name, least in unit.items()})

    compare_with(problem, "float32")
    for probe in range(1, PROBES + 1):
        compare_with(problem.map(partial(jittered, probe=probe)), "float64")
    zeros = _scale_of_zeros(truth, unit, problem)
    unit.update({name: EPS32 * scale for name, scale in zeros.items() if unit[name] <= BY_NATURE_ZERO * scale})
    return Calibration(truth, unit, zeros)


def _scale_of_zeros(truth: Tensors, unit: Mapping[str, float], problem: Problem) -> dict[str, float]:
    """Return the tensors that are zero but for rounding, each with the largest number of its pass."""
    scale_of_phase = {phase: _scale_of_phase(phase, truth, unit, problem) for phase in Phase}
    scales = {name: scale_of_phase[phase_of(name)] for name in unit}
    return {
        name: scale
        for name, scale in scales.items()
        if (own := largest(truth[name])) <= BY_NATURE_ZERO * scale and unit[name] >= LARGEST_RELATIVE_UNIT * own
    }


def _scale_of_phase(phase: Phase, truth: Tensors, unit: Mapping[str, float], problem: Problem) -> float:
    """Return the largest number that a pass is given or computes."""
    given = problem.cotangents if phase is Phase.BACKWARD else (*problem.inputs.values(), *problem.state.values())
    arrays = [leaf for _, leaf in nested.leaves("", given) if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"]
    arrays += [truth[name] for name in unit if phase_of(name) is phase]
    return max(map(largest, arrays), default=0.0)


def largest(array: Array) -> float:
    """Return the largest finite magnitude."""
    return float(np.max(np.abs(array[np.isfinite(array)]), initial=0.0))


def deviation(array: Array, truth: Array) -> float:
    """Return the largest distance from the truth.

    It is infinite unless both have the same non-finite values in the same places.
    """
    finite = np.isfinite(truth)
    if not np.array_equal(array[~finite], truth[~finite], equal_nan=True):
        return float("inf")
    difference = np.abs(array[finite].astype(np.float64) - truth[finite])
    return float("inf") if np.isnan(difference).any() else float(np.max(difference, initial=0.0))
