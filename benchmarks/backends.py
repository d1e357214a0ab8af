"""The backends in which a case is timed, and the check that they agree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Any

from benchmarks.numpy_side import numpy_work
from benchmarks.torch_side import torch_work
from benchmarks.work import STEP, UPDATE, Work
from parity.case import ParityCase
from parity.check import describe
from parity.inputs import EPS32, jittered
from parity.judging.tolerance import PROBES, UNITS_ALLOWED, Calibration, deviation, largest, measure
from parity.judging.verdict import compare
from parity.running.builders import builders
from parity.running.pose import pose_case
from parity.running.problem import Problem, Run, Tensors
from parity.running.trace import Trace

KINK_ALLOWANCE = 4  # kinks may move a timed run this many times further than the probe runs


@dataclass(frozen=True)
class Backend:
    """One way to run a case: NumPy, or PyTorch on a device."""

    name: str
    device: str | None = "cpu"
    channels_last: bool = False
    variant: str = ""  # "compiled", or "fused" for an optimiser

    def work(self, case: ParityCase, phase: str) -> Work:
        """Return the work of one phase of the case, in float32."""
        if self.device is None:
            return numpy_work(case, problem_of(case), phase, channels_last=self.channels_last)
        return torch_work(case, problem_of(case), phase, "float32", self.device, self.channels_last, self.variant)


NUMPY = Backend("numpy", device=None)
NUMPY_CHANNELS_LAST = Backend("numpy-channels_last", device=None, channels_last=True)
TORCH = Backend("torch")


def backends_for(case: ParityCase, phase: str, device: str = "cpu", compiled: bool = False) -> list[Backend]:
    """Return NumPy and PyTorch on the CPU, and if asked PyTorch on another device and compiled."""
    if phase == UPDATE:
        places = dict.fromkeys(("cpu", device))
        return [NUMPY, *(Backend(_name(place, variant), place, variant=variant) for place in places for variant in ("", "fused"))]
    images = case.family == "images"
    found = [NUMPY, NUMPY_CHANNELS_LAST] if images and case.scratch.startswith("ops.") else [NUMPY]
    for place in dict.fromkeys(("cpu", device)):
        found.append(Backend(_name(place), place))
        if images:
            found.append(Backend(_name(place, "channels_last"), place, channels_last=True))
        if compiled:
            found.append(Backend(_name(place, "compiled"), place, variant="compiled"))
    return found


def _name(device: str, variant: str = "") -> str:
    name = "torch" if device == "cpu" else device
    return f"{name}-{variant}" if variant else name


@lru_cache(maxsize=1)
def problem_of(case: ParityCase) -> Problem:
    """Return the case's inputs, weights and upstream gradients."""
    return pose_case(case, builders(case)[1], seed=0)


@lru_cache(maxsize=1)
def calibration(case: ParityCase, phase: str) -> Calibration:
    """Compute a phase in float64 with PyTorch, and the error that float32 may have.

    A training step has millions of activations, and some lie so near a kink that rounding moves them across it. One probe may meet
    no such activation, and the next may. Therefore the unit of a step comes from probes of 64 roundings, not of one. It also
    comes from PyTorch's own float32 run: some gradients, such as that of the keys' bias, are 0 except for rounding, and no probe
    changes them.
    """

    def run(problem: Problem, dtype: str = "float64") -> Tensors:
        return torch_work(case, problem, phase, dtype).results()

    problem = problem_of(case)
    if phase != STEP:
        return measure(run, problem)
    truth = run(problem)
    others = [
        run(problem, "float32"),
        *(run(problem.map(partial(_moved_by_many_roundings, probe=probe))) for probe in range(1, PROBES + 1)),
    ]
    unit = {
        name: max(EPS32 * largest(array), *(KINK_ALLOWANCE * deviation(other[name], array) / UNITS_ALLOWED for other in others))
        for name, array in truth.items()
    }
    return Calibration(truth, unit)


def _moved_by_many_roundings(array: Any, probe: int) -> Any:
    """Move the numbers of an array by as many roundings as units are allowed."""
    return array + UNITS_ALLOWED * (jittered(array, probe) - array)


@cache
def disagreement(case: ParityCase, phase: str, backend: Backend) -> str:
    """Say in one line how the backend's results differ from the exact ones; return "" if they agree.

    The function, sizes, layout and threads are those that are timed afterwards.
    """
    truth = calibration(case, phase)
    unfit = truth.ill_conditioned()
    if unfit:
        return f"{', '.join(unfit)} of {case.name} is ill-conditioned for these inputs"
    try:
        results = backend.work(case, phase).results()
    except Exception as error:
        return f"{case.name} {phase} did not run in {backend.name}: {describe(error)}"
    findings, _ = compare(Run(results, Trace()), truth, "float32")
    return f"{case.name} {phase} in {backend.name}: {'; '.join(finding.message for finding in findings)}" if findings else ""
