"""From a case to its verdict."""

from __future__ import annotations

from functools import lru_cache

from parity.case import ParityCase
from parity.device import reproducible
from parity.explain import explain
from parity.locate import Evidence, can_be_located, locate, source_of
from parity.tolerance import Calibration, calibrate
from parity.twins import Build, Problem, Tensors, builders, pose_case, run_reference, run_scratch
from parity.verdict import Culprit, Verdict, compare, describe

DTYPES = ("float64", "float32")


def check(case: ParityCase, dtype: str = "float64", device: str = "cpu", seed: int = 0) -> Verdict:
    """Judge the NumPy twin, or on another device than the CPU the PyTorch twin there, against PyTorch in float64."""
    verdict = Verdict(case.name, case.family, dtype, device, seed)
    with reproducible():
        try:
            problem, calibration = posed(case, seed)
        except Exception as error:
            verdict.verdict, verdict.message = "error", f"the reference did not run: {describe(error)}"
            return verdict
        return judge(verdict, *builders(case), problem, calibration)


def judge(verdict: Verdict, build_scratch: Build, build_reference: Build, problem: Problem, calibration: Calibration) -> Verdict:
    """Fill a verdict in: run the side under judgement, compare, and where it differs look for the culprit."""
    dtype, device = verdict.dtype, verdict.device
    unfit = calibration.ill_conditioned()
    if unfit:
        name = max(unfit, key=unfit.__getitem__)
        verdict.verdict = "invalid"
        verdict.message = (
            f"one rounding of the inputs changes {name} by {unfit[name]:.1g} of its scale, so agreement would mean nothing; "
            "choose inputs of better condition"
        )
        return verdict
    tensors: Tensors = {}
    try:
        on_cpu = device == "cpu"
        run = run_scratch(build_scratch, problem, dtype) if on_cpu else run_reference(build_reference, problem, dtype, device)
        tensors = run.tensors
        verdict.findings, verdict.headroom = compare(run, calibration, dtype)
        verdict.tensors = len(calibration.truth.keys() | tensors.keys())
        verdict.verdict = "mismatch" if verdict.findings else "ok"
    except Exception as error:
        verdict.verdict, verdict.message = "error", describe(error)
    if verdict.ok or device != "cpu":
        return verdict
    if can_be_located(build_scratch, build_reference):
        suspects, verdict.inherited = locate(build_scratch, build_reference, problem, dtype)
    else:
        whole = Evidence("", build_scratch(), build_reference, problem, calibration, tensors, verdict.findings, dtype)
        suspects = [whole] if verdict.findings else []
    verdict.culprits = [Culprit(e.path, e.kind, e.worst.phase, e.worst.ratio, source_of(e), explain(e)) for e in suspects]
    return verdict


@lru_cache(maxsize=4)
def posed(case: ParityCase, seed: int) -> tuple[Problem, Calibration]:
    """A case's problem and calibration, which serve every dtype and device."""
    _, build_reference = builders(case)
    problem = pose_case(case, build_reference, seed)
    return problem, calibrate(lambda posed, dtype: run_reference(build_reference, posed, dtype).tensors, problem)
