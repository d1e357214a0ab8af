"""One unit of honest error for every tensor, measured on the reference alone.

    unit(T) = max( eps32 * max|ref64|,                                 nothing can be better than rounding
                   max|ref32 - ref64|,                                 the reference's own float32 error
                   max over 3 probes of max|ref64(jittered) - ref64| ) what one rounding of the inputs does

A tensor of dtype dt agrees where max|T - ref64| <= K * unit(T) * eps(dt) / eps32, with K = 64.

A tensor that is zero but for rounding has no numbers that give it a scale. Where no run of the reference gives it a unit
either, the largest number that its pass is given or computes stands in for max|ref64|: what a sum leaves of zero depends
on its order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from parity.inputs import EPS32, jittered
from parity.running import nested
from parity.running.problem import Problem, Tensors
from scratch.module import Array

K = 64
PROBES = 3
ILL_CONDITIONED = 8e-3
BY_NATURE_ZERO = 1e-12  # of the scale of a pass: what rounding leaves of a tensor that is zero in exact arithmetic


@dataclass(frozen=True)
class Calibration:
    """The truth, float64 on the CPU, and each floating-point tensor's unit of error."""

    truth: Tensors
    unit: dict[str, float]
    scale_of_zeros: Mapping[str, float] = field(default_factory=dict)  # of tensors that are zero but for rounding

    def scale(self, name: str) -> float:
        """Return the size of a tensor's numbers: the largest, or the largest of its pass where all are zero but for rounding."""
        return self.scale_of_zeros.get(name, largest(self.truth[name]))

    def tolerance(self, name: str, dtype: str) -> float:
        """How far a tensor of this dtype may be from the truth."""
        return K * self.unit[name] * float(np.finfo(dtype).eps) / EPS32

    def of_forward(self) -> Calibration:
        """The same without the gradients."""
        truth = {name: array for name, array in self.truth.items() if not name.startswith("grad ")}
        return Calibration(truth, {name: unit for name, unit in self.unit.items() if name in truth}, self.scale_of_zeros)

    def ill_conditioned(self) -> dict[str, float]:
        """Tensors that a rounding of the inputs changes so much that agreement would mean nothing: name to relative change."""
        scale = max(map(self.scale, self.unit), default=0.0)
        return {name: unit / scale for name, unit in self.unit.items() if unit > ILL_CONDITIONED * scale}


def calibrate(run: Callable[[Problem, str], Tensors], problem: Problem) -> Calibration:
    """Measure the units with five runs of the reference, given as a function of a problem and a dtype."""
    truth = run(problem, "float64")
    unit = {name: EPS32 * largest(array) for name, array in truth.items() if np.issubdtype(array.dtype, np.floating)}

    def measure(posed: Problem, dtype: str) -> None:  # one after the other: of a large model, several are too many
        other = run(posed, dtype)
        unit.update({name: max(least, deviation(other[name], truth[name])) for name, least in unit.items()})

    measure(problem, "float32")
    for probe in range(1, PROBES + 1):
        measure(problem.map(partial(jittered, probe=probe)), "float64")
    zeros = _scale_of_zeros(truth, unit, problem)
    unit.update({name: EPS32 * scale for name, scale in zeros.items() if unit[name] <= BY_NATURE_ZERO * scale})
    return Calibration(truth, unit, zeros)


def _scale_of_zeros(truth: Tensors, unit: Mapping[str, float], problem: Problem) -> dict[str, float]:
    """Return the tensors that are zero but for rounding, each with the largest number of its pass."""
    passes = {backward: _scale_of_pass(backward, truth, unit, problem) for backward in (False, True)}
    scales = {name: passes[_in_backward(name)] for name in unit}
    return {
        name: scale
        for name, scale in scales.items()
        if (own := largest(truth[name])) <= BY_NATURE_ZERO * scale and unit[name] >= ILL_CONDITIONED * own
    }


def _scale_of_pass(backward: bool, truth: Tensors, unit: Mapping[str, float], problem: Problem) -> float:
    """Return the largest number that a pass is given or computes."""
    given = problem.cotangents if backward else (*problem.inputs.values(), *problem.state.values())
    arrays = [leaf for _, leaf in nested.leaves("", given) if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"]
    arrays += [truth[name] for name in unit if _in_backward(name) == backward]
    return max(map(largest, arrays), default=0.0)


def _in_backward(name: str) -> bool:
    return name.startswith("grad ")


def largest(array: Array) -> float:
    """The largest finite magnitude."""
    return float(np.max(np.abs(array[np.isfinite(array)]), initial=0.0))


def deviation(array: Array, truth: Array) -> float:
    """The largest distance from the truth; infinite where non-finite numbers are not in the same places with the same values."""
    finite = np.isfinite(truth)
    if not np.array_equal(array[~finite], truth[~finite], equal_nan=True):
        return float("inf")
    difference = np.abs(array[finite].astype(np.float64) - truth[finite])
    return float("inf") if np.isnan(difference).any() else float(np.max(difference, initial=0.0))
