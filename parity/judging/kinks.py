"""Ties that rounding decides: right code may take the other side of a ReLU's zero, or the other of two nearly equal maxima.

At such a tie the value stays the same but for rounding, and the gradient jumps. If a comparison of gradients fails, the reference
runs again in float64; each number within a rounding of a tie is moved across it, one after the other. Code that then agrees in
every tensor computes the same function. Exact ties and exact zeros are not moved: a rule of the function decides them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from parity.judging.reference_run import ReferenceRun
from parity.judging.tolerance import Calibration
from parity.judging.verdict import Finding, compare
from parity.judging.windows import windows
from parity.running.problem import Run, Tensors
from parity.running.run_reference import run_reference
from parity.running.tensor_name import Phase
from parity.running.trace import Trace

NEAR_ROUNDINGS = 4  # the largest distance from a tie of a number that may be moved, in roundings of its tensor's largest number
MOST_TRIED = 32  # numbers that are moved, the nearest first; each costs a run of the reference


@dataclass(frozen=True)
class Kink:
    """A number within a rounding of a tie: one element of an operand of an op."""

    call: int
    op: str
    path: str
    element: int
    distance: float  # signed, to the tie
    roundings: float  # the distance in roundings of the largest number

    def __str__(self) -> str:
        return f"{self.op}{f' in {self.path}' if self.path else ''} ({abs(self.distance):.1e} apart)"


def explained_by_kinks(run: Run, reference_run: ReferenceRun, dtype: str, findings: Sequence[Finding]) -> tuple[str, float] | None:
    """Return a note and the largest error / tolerance if ties that rounding decides explain every finding, else None."""
    if any(finding.phase is Phase.FORWARD or not np.isfinite(finding.ratio) for finding in findings):
        return None
    with suppress(Exception):  # some code does not run under a dispatch mode
        return _explained(run, reference_run, dtype)
    return None


def _explained(run: Run, reference_run: ReferenceRun, dtype: str) -> tuple[str, float] | None:
    """Move one number after the other across its tie; keep each move that brings the reference nearer to the run."""
    moved: list[Kink] = []
    least = _error(run, reference_run.calibration, dtype)
    for kink in near_ties(reference_run, dtype)[:MOST_TRIED]:
        tensors = _run([*moved, kink], reference_run, dtype)[0]
        calibration = replace(reference_run.calibration, truth=tensors)
        error = _error(run, calibration, dtype)
        if error < least - 1:  # a smaller gain is no effect of the move
            moved, least = [*moved, kink], error
            findings, worst_ratio = compare(run, calibration, dtype)
            if not findings:
                ties = "a tie" if len(moved) == 1 else f"{len(moved)} ties"
                places = ", ".join(map(str, moved))
                return f"agrees with the other choice at {ties} that {dtype} rounding decides: {places}", worst_ratio
    return None


@lru_cache(maxsize=1)  # the next verdict on the same case needs them again
def near_ties(reference_run: ReferenceRun, dtype: str) -> list[Kink]:
    """Return the numbers of the reference's forward pass that are within a rounding of a tie, the nearest first."""
    return sorted(_run([], reference_run, dtype)[1], key=lambda kink: kink.roundings)


def _run(moved: Sequence[Kink], reference_run: ReferenceRun, dtype: str) -> tuple[Tensors, list[Kink]]:
    """Run the reference in float64 with numbers moved across their ties; return its tensors and all near ties."""
    trace = reference_run.problem.new_trace()
    problem = replace(reference_run.problem, new_trace=lambda: trace)
    with _Ties(moved, trace, float(np.finfo(dtype).eps)) as ties:
        return run_reference(reference_run.build, problem, "float64", record_calls=False).tensors, ties.found


def _error(run: Run, calibration: Calibration, dtype: str) -> float:
    """Return the sum of all squared errors, of numbers and of slices, each over its tolerance."""
    with np.errstate(divide="ignore", invalid="ignore"):
        total = 0.0
        for name in calibration.unit:
            array = run.tensors[name]
            ratios = [(array - calibration.truth[name]) / calibration.tolerance(name, dtype)]
            ratios += [sizes / tolerances for sizes, tolerances in calibration.slices(name, array, dtype).values()]
            total += sum(float(np.nansum(np.square(each))) for each in ratios)
        return total


class _Ties(TorchDispatchMode):
    """A mode that observes the ops with ties in a forward pass, and moves given numbers across a tie before the op runs."""

    def __init__(self, moved: Sequence[Kink], trace: Trace, eps: float):
        super().__init__()
        self.moved, self.trace, self.near = moved, trace, NEAR_ROUNDINGS * eps
        self.found: list[Kink] = []
        self.before: list[tuple[Tensor, Any, Tensor]] = []
        self.calls = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        op = function.__name__.split(".")[0].removesuffix("_").removesuffix("_with_indices")
        if op in DISTANCES and torch.is_grad_enabled() and args[0].is_floating_point():
            for distance in DISTANCES[op](*args, **kwargs or {}):
                if distance.shape == args[0].shape:
                    self._handle(op, args[0], distance)
                elif distance.shape == args[1].shape:
                    self._handle(op, args[1], -distance)
                self.calls += 1
        return function(*args, **kwargs or {})

    def _handle(self, op: str, x: Tensor, distance: Tensor) -> None:
        """Note the near ties of an operand, and move the given numbers across theirs."""
        size = max(float(each.abs().nan_to_num(0, 0, 0).max()) if each.numel() else 0.0 for each in (x, x - distance))
        far = (distance == 0) | ~(distance.abs() < self.near * size)
        nearest = distance.abs().masked_fill(far, torch.inf).flatten().topk(min(MOST_TRIED, distance.numel()), largest=False)
        for gap, element in zip(nearest.values.tolist(), nearest.indices.tolist(), strict=True):
            if gap < np.inf:
                signed = float(distance.flatten()[element])
                self.found.append(Kink(self.calls, op, self.trace.path, element, signed, gap / size))
        for kink in self.moved:
            if kink.call == self.calls:
                place = np.unravel_index(kink.element, tuple(x.shape))
                self.before.append((x, place, x[place].clone()))
                x[place] -= 2 * kink.distance

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        with torch.no_grad():
            for x, place, number in self.before:  # the next run of the reference may use the same tensor
                x[place] = number


def _from(x: Tensor, tie: Any = 0.0, *rest: Any, **options: Any) -> list[Tensor]:
    """Return each number's distance from one number, or from the same element of another tensor."""
    return [x - tie]


def _from_bounds(x: Tensor, min: Any = None, max: Any = None, **options: Any) -> list[Tensor]:
    return [x - bound for bound in (min, max) if bound is not None]


def _from_slope(x: Tensor, *slope: Any, **options: Any) -> list[Tensor]:
    return [x]


def _from_largest(x: Tensor, dim: Any = None, *rest: Any, **options: Any) -> list[Tensor]:
    """Return the distance of each row's second largest number from its largest; 0 for all other numbers."""
    axes = tuple(range(x.ndim)) if dim is None or dim == [] else dim
    below = x - x.amax(axes, keepdim=True)
    second = below.masked_fill(below == 0, -torch.inf).amax(axes, keepdim=True)
    return [torch.where(below == second, below, 0)]


def _from_smallest(x: Tensor, dim: Any = None, *rest: Any, **options: Any) -> list[Tensor]:
    return [-distance for distance in _from_largest(-x, dim)]


def _from_largest_of_window(
    x: Tensor, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, *rest: Any
) -> list[Tensor]:
    """Return the distance of each window's second largest number from its largest; 0 for all other numbers."""
    geometry = kernel_size, stride, padding, dilation
    seen = windows(x, *geometry, -torch.inf)
    below = seen - seen.amax(-1, keepdim=True)
    second, which = below.masked_fill(below == 0, -torch.inf).max(-1, keepdim=True)
    elements = torch.arange(x.numel(), dtype=torch.float64, device=x.device).view(x.shape)
    element = windows(elements, *geometry, 0.0).gather(-1, which).long()
    distance = torch.full_like(x, -torch.inf).view(-1).scatter_reduce(0, element.view(-1), second.view(-1), "amax").view(x.shape)
    return [distance.masked_fill(distance.isinf() | distance.isnan(), 0)]


DISTANCES: dict[str, Callable[..., list[Tensor]]] = {
    **dict.fromkeys("relu abs maximum minimum clamp_min clamp_max gt ge lt le threshold".split(), _from),
    **dict.fromkeys("leaky_relu elu".split(), _from_slope),
    **dict.fromkeys("clamp hardtanh".split(), _from_bounds),
    **dict.fromkeys("max amax argmax".split(), _from_largest),
    **dict.fromkeys("min amin argmin".split(), _from_smallest),
    "max_pool2d": _from_largest_of_window,
}
