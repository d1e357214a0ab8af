"""Ties that rounding decides: right code may take the other side of a ReLU's zero, or another of two nearly equal maxima.

The value is the same there but for rounding; the gradient jumps. Where a comparison of gradients fails, the reference runs
again in float64 with its numbers that are within a rounding of a tie moved across, one after the other. Code that then agrees
in every tensor computes the same function. Exact ties and exact zeros are not moved: what happens there is a rule, and judged.
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
from parity.running.trace import Trace

NEAR_ROUNDINGS = 4  # of the largest number of a tensor, from a tie to the numbers that may be moved across it
MOST_TRIED = 32  # numbers that are moved, the nearest first: each costs a run of the reference


@dataclass(frozen=True)
class Kink:
    """One number that is within a rounding of a tie: an element of an operand of an op."""

    call: int
    op: str
    path: str
    element: int
    distance: float  # signed, to the tie
    roundings: float  # the distance in roundings of the largest number

    def __str__(self) -> str:
        return f"{self.op}{f' in {self.path}' if self.path else ''} ({abs(self.distance):.1e} apart)"


def explained_by_kinks(run: Run, standard: ReferenceRun, dtype: str, findings: Sequence[Finding]) -> tuple[str, float] | None:
    """Return a note and the largest error / tolerance, where ties that rounding decides explain every finding."""
    if any(finding.phase == "forward" or not np.isfinite(finding.ratio) for finding in findings):
        return None
    with suppress(Exception):  # of code that does not run under a dispatch mode
        return _explained(run, standard, dtype)
    return None


def _explained(run: Run, standard: ReferenceRun, dtype: str) -> tuple[str, float] | None:
    """Move one number after the other across its tie, and keep those moves that bring the reference nearer to the run."""
    moved: list[Kink] = []
    least = _error(run, standard.calibration, dtype)
    for kink in near_ties(standard, dtype)[:MOST_TRIED]:
        tensors = _run([*moved, kink], standard, dtype)[0]
        calibration = replace(standard.calibration, truth=tensors)
        error = _error(run, calibration, dtype)
        if error < least - 1:  # by more than one tolerance: others have no effect
            moved, least = [*moved, kink], error
            findings, worst_ratio = compare(run, calibration, dtype)
            if not findings:
                ties = "a tie" if len(moved) == 1 else f"{len(moved)} ties"
                places = ", ".join(map(str, moved))
                return f"agrees with the other choice at {ties} that {dtype} rounding decides: {places}", worst_ratio
    return None


@lru_cache(maxsize=1)  # for whoever makes the next mistake in the same case
def near_ties(standard: ReferenceRun, dtype: str) -> list[Kink]:
    """Return the numbers of the reference's forward pass that are within a rounding of a tie, the nearest first."""
    return sorted(_run([], standard, dtype)[1], key=lambda kink: kink.roundings)


def _run(moved: Sequence[Kink], standard: ReferenceRun, dtype: str) -> tuple[Tensors, list[Kink]]:
    """Run the reference in float64 with numbers moved across their ties; return its tensors and all near ties."""
    trace = standard.problem.new_trace()
    problem = replace(standard.problem, new_trace=lambda: trace)
    with _Ties(moved, trace, float(np.finfo(dtype).eps)) as ties:
        return run_reference(standard.build, problem, "float64", taps=False).tensors, ties.found


def _error(run: Run, calibration: Calibration, dtype: str) -> float:
    """Return the sum of all squared errors, each over its tolerance."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return sum(
            float(np.nansum(np.square((run.tensors[name] - truth) / calibration.tolerance(name, dtype))))
            for name, truth in calibration.truth.items()
            if name in calibration.unit
        )


class _Ties(TorchDispatchMode):
    """A watch on the ops of a forward pass that have ties; it moves some of the numbers across before the op meets them."""

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
                    self._meet(op, args[0], distance)
                elif distance.shape == args[1].shape:
                    self._meet(op, args[1], -distance)
                self.calls += 1
        return function(*args, **kwargs or {})

    def _meet(self, op: str, x: Tensor, distance: Tensor) -> None:
        """Note the near ties of an operand, and move those of its numbers that are to be moved."""
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
            for x, place, number in self.before:  # a constant of the reference goes on to its next run
                x[place] = number


def _from(x: Tensor, tie: Any = 0.0, *rest: Any, **options: Any) -> list[Tensor]:
    """Return how far each number is beyond a number, or beyond that of another tensor."""
    return [x - tie]


def _from_bounds(x: Tensor, min: Any = None, max: Any = None, **options: Any) -> list[Tensor]:
    return [x - bound for bound in (min, max) if bound is not None]


def _from_slope(x: Tensor, *slope: Any, **options: Any) -> list[Tensor]:
    return [x]


def _from_largest(x: Tensor, dim: Any = None, *rest: Any, **options: Any) -> list[Tensor]:
    """Return, for the second largest number of each row, how far it is from the largest; 0 for the others."""
    axes = tuple(range(x.ndim)) if dim is None or dim == [] else dim
    below = x - x.amax(axes, keepdim=True)
    second = below.masked_fill(below == 0, -torch.inf).amax(axes, keepdim=True)
    return [torch.where(below == second, below, 0)]


def _from_smallest(x: Tensor, dim: Any = None, *rest: Any, **options: Any) -> list[Tensor]:
    return [-distance for distance in _from_largest(-x, dim)]


def _from_largest_of_window(
    x: Tensor, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, *rest: Any
) -> list[Tensor]:
    """Return, for the second largest number of each window, how far it is from the largest; 0 for the others."""
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
