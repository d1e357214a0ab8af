"""The backends that a case is timed in, and whether they agree."""

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

KINK_ALLOWANCE = 4  # times the error of the probes: a run may meet more kinks than they did


@dataclass(frozen=True)
class Backend:
    """One way to run a case: PyTorch on a device, or NumPy where there is none."""

    name: str
    device: str | None = "cpu"
    channels_last: bool = False
    variant: str = ""  # "compiled", or of the optimiser "fused"

    def work(self, case: ParityCase, phase: str) -> Work:
        """The phase of the case, in float32."""
        if self.device is None:
            return numpy_work(case, posed(case), phase, channels_last=self.channels_last)
        return torch_work(case, posed(case), phase, "float32", self.device, self.channels_last, self.variant)


NUMPY = Backend("numpy", device=None)
NUMPY_CHANNELS_LAST = Backend("numpy-channels_last", device=None, channels_last=True)
TORCH = Backend("torch")


def backends_for(case: ParityCase, phase: str, device: str = "cpu", compiled: bool = False) -> list[Backend]:
    """NumPy and PyTorch on the CPU; on another device too where one is named, and compiled where asked for."""
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
def posed(case: ParityCase) -> Problem:
    """The case's inputs, weights and cotangents."""
    return pose_case(case, builders(case)[1], seed=0)


@lru_cache(maxsize=1)
def calibration(case: ParityCase, phase: str) -> Calibration:
    """What the phase should give, by PyTorch in float64, and how far float32 may be from it.

    Among the millions of activations of a training step some lie so near a kink that rounding carries them over it. One
    probe may meet none of them and the next meets one, so there the unit comes from probes of 64 roundings, not of one, and from
    PyTorch's own float32: a gradient that is 0 but for rounding, as of the bias of keys, no probe of the inputs moves.
    """

    def run(problem: Problem, dtype: str = "float64") -> Tensors:
        return torch_work(case, problem, phase, dtype).results()

    problem = posed(case)
    if phase != STEP:
        return measure(run, problem)
    truth = run(problem)
    others = [run(problem, "float32"), *(run(problem.map(partial(_shaken, probe=probe))) for probe in range(1, PROBES + 1))]
    unit = {
        name: max(EPS32 * largest(array), *(KINK_ALLOWANCE * deviation(other[name], array) / UNITS_ALLOWED for other in others))
        for name, array in truth.items()
    }
    return Calibration(truth, unit)


def _shaken(array: Any, probe: int) -> Any:
    """Move an array by as many roundings at once as units are allowed."""
    return array + UNITS_ALLOWED * (jittered(array, probe) - array)


@cache
def disagreement(case: ParityCase, phase: str, backend: Backend) -> str:
    """In what the backend's results differ from the truth, in one line; "" where they agree.

    What runs here is what is timed afterwards: the same function, sizes, layout and threads.
    """
    truth = calibration(case, phase)
    unfit = truth.ill_conditioned()
    if unfit:
        return f"the inputs of {case.name} are of bad condition for {', '.join(unfit)}"
    try:
        results = backend.work(case, phase).results()
    except Exception as error:
        return f"{case.name} {phase} did not run in {backend.name}: {describe(error)}"
    findings, _ = compare(Run(results, Trace()), truth, "float32")
    return f"{case.name} {phase} in {backend.name}: {'; '.join(finding.message for finding in findings)}" if findings else ""
