"""The tolerance of every tensor, measured on the reference alone: one unit of honest error, and how many are allowed.

    unit(T) = max( eps32 * max|ref64|,                                 nothing can be better than rounding
                   max|ref32 - ref64|,                                 the reference's own float32 error
                   max over 3 probes of max|ref64(jittered) - ref64| ) the effect of one rounding of the inputs

A tensor of dtype dt agrees where max|T - ref64| <= UNITS_ALLOWED * unit(T) * eps(dt) / eps32, with UNITS_ALLOWED = 64.

The largest number of a tensor says little of a channel with small numbers. Therefore each slice along an axis (each image, each
channel, each row) must agree within its own unit too, which is the same formula on the numbers of the slice.

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
SMALLEST_SLICE = 16  # numbers; the errors of fewer may all be small by chance
LEAST_OF_A_SLICE = 2.0**-10  # of the tensor's unit: the least unit of a slice
BY_NATURE_ZERO = 1e-12  # of the scale of a pass: what rounding leaves of a tensor that is zero in exact arithmetic


Slices = dict[int, Array]  # a number for each slice, by axis


@dataclass(frozen=True)
class Error:
    """An error, the tolerance that it is compared with, and its place in the tensor: "" for the whole tensor."""

    size: float
    tolerance: float
    place: str = ""

    @property
    def ratio(self) -> float:
        """Return error / tolerance."""
        return self.size / self.tolerance if self.tolerance else (0.0 if self.size == 0 else float("inf"))


@dataclass(frozen=True)
class Calibration:
    """The truth, computed in float64 on the CPU, and each floating-point tensor's unit of error.

    truth           the tensors by name
    unit            the unit of a whole tensor, for floating-point tensors
    scale_of_zeros  the scale of tensors that are zero but for rounding
    unit_of_slices  the units of a tensor's slices along an axis, for each axis with slices that are large enough
    """

    truth: Tensors
    unit: dict[str, float]
    scale_of_zeros: Mapping[str, float] = field(default_factory=dict)
    unit_of_slices: Mapping[str, Slices] = field(default_factory=dict)

    def scale(self, name: str) -> float:
        """Return a tensor's largest number, or the largest of its pass where all of its numbers are zero but for rounding."""
        return self.scale_of_zeros.get(name, largest(self.truth[name]))

    def tolerance(self, name: str, dtype: str) -> float:
        """Return the largest error that is allowed in a tensor of this dtype."""
        return UNITS_ALLOWED * self.unit[name] * float(np.finfo(dtype).eps) / EPS32

    def error(self, name: str, array: Array, dtype: str) -> Error:
        """Return the error of a tensor of this dtype with its tolerance: of the whole, or of a slice where the ratio is larger."""
        whole = Error(deviation(array, self.truth[name]), self.tolerance(name, dtype))
        if not 0 < whole.ratio <= 1:
            return whole
        errors = [whole]
        for axis, (sizes, tolerances) in self.slices(name, array, dtype).items():
            worst = int(np.argmax(sizes / tolerances))
            errors.append(Error(float(sizes[worst]), float(tolerances[worst]), f" at index {worst} along axis {axis}"))
        return max(errors, key=lambda error: error.ratio)

    def slices(self, name: str, array: Array, dtype: str) -> dict[int, tuple[Array, Array]]:
        """Return the largest error of each slice and its tolerance, by axis."""
        truth, units = self.truth[name], self.unit_of_slices.get(name, {})
        errors = _along_axes(_distance(array, truth)) if units else {}
        scale = UNITS_ALLOWED * float(np.finfo(dtype).eps) / EPS32
        return {axis: (errors[axis], scale * of_axis) for axis, of_axis in units.items()}

    def of_forward(self) -> Calibration:
        """Return the calibration of the forward pass alone."""
        truth = {name: array for name, array in self.truth.items() if phase_of(name) is Phase.FORWARD}
        unit = {name: unit for name, unit in self.unit.items() if name in truth}
        return Calibration(truth, unit, self.scale_of_zeros, self.unit_of_slices)

    def ill_conditioned(self) -> dict[str, float]:
        """Return the tensors that one rounding of the inputs changes too much, with the relative change of each.

        Agreement on such a tensor would mean nothing.
        """
        scale = max(map(self.scale, self.unit), default=0.0)
        return {name: unit / scale for name, unit in self.unit.items() if unit > LARGEST_RELATIVE_UNIT * scale}


def measure(run: Callable[[Problem, str], Tensors], problem: Problem) -> Calibration:
    """Measure the units with five runs of the reference; `run` takes a problem and a dtype."""
    truth = run(problem, "float64")
    floats = {name: array for name, array in truth.items() if np.issubdtype(array.dtype, np.floating)}
    unit = {name: EPS32 * largest(array) for name, array in floats.items()}
    slices = {name: {axis: EPS32 * sizes for axis, sizes in _along_axes(np.abs(array)).items()} for name, array in floats.items()}

    def compare_with(other_problem: Problem, dtype: str) -> None:  # one run after the other, to save memory
        other = run(other_problem, dtype)
        for name, array in floats.items():
            unit[name] = max(unit[name], deviation(other[name], array))
            for axis, errors in _along_axes(_distance(other[name], array)).items():
                slices[name][axis] = np.maximum(slices[name][axis], errors)

    compare_with(problem, "float32")
    for probe in range(1, PROBES + 1):
        compare_with(problem.map(partial(jittered, probe=probe)), "float64")
    zeros = _scale_of_zeros(truth, unit, problem)
    unit.update({name: EPS32 * scale for name, scale in zeros.items() if unit[name] <= BY_NATURE_ZERO * scale})
    for name, units in slices.items():
        for axis, sizes in _along_axes(np.abs(floats[name])).items():
            is_zero = sizes <= BY_NATURE_ZERO * largest(floats[name])  # but for rounding, whose size the whole tensor tells
            middle = float(np.median(units[axis][~is_zero])) if not is_zero.all() else 0.0
            least = max(LEAST_OF_A_SLICE * unit[name], middle)  # the smaller errors of some slices are luck
            units[axis] = np.where(is_zero, unit[name], np.maximum(units[axis], least))
    return Calibration(truth, unit, zeros, {name: units for name, units in slices.items() if unit[name] and name not in zeros})


def _distance(array: Array, truth: Array) -> Array:
    """Return the distance of each number from the truth; NaN where both are infinite."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(array.astype(np.float64) - truth))


def _along_axes(sizes: Array) -> Slices:
    """Return the largest finite number of each slice, for each axis with several slices that are large enough."""
    finite = np.where(np.isfinite(sizes), sizes, 0)
    axes = [axis for axis, n in enumerate(sizes.shape) if n > 1 and sizes.size // n >= SMALLEST_SLICE]
    return {axis: finite.max(axis=tuple(other for other in range(sizes.ndim) if other != axis)) for axis in axes}


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
