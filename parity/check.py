"""From a case to its verdict."""

from __future__ import annotations

import inspect
from contextlib import suppress
from functools import lru_cache
from typing import Any

from parity.case import ParityCase
from parity.explaining.cause import explain
from parity.explaining.locate import Evidence, can_be_located, examine, locate, source_of
from parity.inputs import Draw
from parity.judging.kinks import explained_by_kinks
from parity.judging.reference_run import ReferenceRun
from parity.judging.verdict import Culprit, Finding, Verdict, compare, describe
from parity.running.builders import reference_builder, scratch_builder
from parity.running.contract import parameters_amiss
from parity.running.device import reproducible
from parity.running.importing import SubjectError, find
from parity.running.pose import pose_case
from parity.running.problem import Build
from parity.running.run_reference import run_reference
from parity.running.run_scratch import run_scratch
from parity.running.safe_text import message_of

DTYPES = ("float64", "float32")


def check(
    case: ParityCase, dtype: str = "float64", device: str = "cpu", seed: int = 0, package: str = "scratch", why: bool = True
) -> Verdict:
    """Judge the NumPy twin, or on another device than the CPU the PyTorch twin there, against PyTorch in float64.

    `package` has the NumPy twin. What someone's own does not have yet is "missing", which is found before any work is done.
    Looking for the culprit and its cause takes longer than the judgement; `why` says whether to.
    """
    verdict = Verdict(case.name, case.family, dtype, device, seed)
    with reproducible():
        try:
            build_scratch = scratch_builder(case, package)
            if package != "scratch":
                _refuse_options(find(case.scratch, package), case)
                _try_forward(build_scratch, case, seed)
        except NotImplementedError as error:
            verdict.verdict, verdict.findings = "missing", [Finding("", message_of(error))]
            return verdict
        except SubjectError as error:
            verdict.verdict, verdict.message = "error", str(error)
            return verdict
        try:
            standard = posed(case, seed)
        except Exception as error:
            verdict.verdict, verdict.message = "error", f"the reference did not run: {describe(error)}"
            return verdict
        return judge(verdict, build_scratch, standard, why)


def judge(verdict: Verdict, build_scratch: Build, standard: ReferenceRun, why: bool = True) -> Verdict:
    """Fill a verdict in: run the side under judgement, compare, and where it differs look for the culprit."""
    dtype, device, problem, calibration = verdict.dtype, verdict.device, standard.problem, standard.calibration
    unfit = calibration.ill_conditioned()
    if unfit:
        name = max(unfit, key=unfit.__getitem__)
        verdict.verdict = "invalid"
        verdict.message = (
            f"one rounding of the inputs changes {name} by {unfit[name]:.1g} of its scale, so agreement would mean nothing; "
            "choose inputs of better condition"
        )
        return verdict
    try:
        on_cpu = device == "cpu"
        run = run_scratch(build_scratch, problem, dtype) if on_cpu else run_reference(standard.build, problem, dtype, device)
        verdict.findings, verdict.worst_ratio = compare(run, calibration, dtype)
        if verdict.findings and (explained := explained_by_kinks(run, standard, dtype, verdict.findings)):
            verdict.findings, (verdict.note, verdict.worst_ratio) = [], explained
        verdict.tensors = len(calibration.truth.keys() | run.tensors.keys())
        verdict.verdict = "mismatch" if verdict.findings else "ok"
    except NotImplementedError as error:
        return _judge_forward(verdict, build_scratch, standard, message_of(error))
    except Exception as error:
        verdict.verdict, verdict.message = "error", describe(error)
        if device == "cpu":
            with suppress(Exception):  # where the forward pass runs, what is wrong with it
                run = run_scratch(build_scratch, problem, dtype, backward=False)
                verdict.findings, _ = compare(run, calibration.of_forward(), dtype)
    if device == "cpu" and why and not verdict.ok:
        try:
            _name_culprits(verdict, build_scratch, standard)
        except Exception as error:  # of what answers otherwise when it is asked again
            verdict.message = verdict.message or f"the search for its culprit failed: {describe(error)}"
    return verdict


def _name_culprits(verdict: Verdict, build_scratch: Build, standard: ReferenceRun) -> None:
    """Add the submodules that are wrong on their own to the verdict, or the subject itself, each with its cause."""
    dtype, problem = verdict.dtype, standard.problem
    if can_be_located(build_scratch, standard.build):
        if parameters_amiss(build_scratch(), problem.state):
            return
        suspects, verdict.inherited = locate(build_scratch, standard, dtype)
    else:
        whole = examine("", build_scratch(), standard, dtype)
        suspects = [whole] if whole.findings else []
    verdict.culprits = [Culprit(e.path, e.kind, e.phase, e.worst.ratio, source_of(e), explain(e)) for e in suspects]


def _judge_forward(verdict: Verdict, build_scratch: Build, standard: ReferenceRun, lacking: str) -> Verdict:
    """Where the backward is not written, what can be said of the forward pass: it is wrong, or nothing but the rest is missing."""
    problem, forward = standard.problem, standard.calibration.of_forward()
    try:
        run = run_scratch(build_scratch, problem, verdict.dtype, backward=False)
    except NotImplementedError as error:
        verdict.verdict, verdict.findings = "missing", [Finding("", message_of(error))]
        return verdict
    verdict.findings, verdict.worst_ratio = compare(run, forward, verdict.dtype)
    verdict.tensors = len(forward.truth.keys() | run.tensors.keys())
    if verdict.findings:
        verdict.verdict, verdict.message = "mismatch", f"the backward is missing: {lacking}"
        e = Evidence("", build_scratch(), standard, forward, run.tensors, verdict.findings, verdict.dtype)
        verdict.culprits = [Culprit(e.path, e.kind, e.phase, e.worst.ratio, source_of(e), explain(e))]
    else:
        verdict.verdict, verdict.findings = "missing", [Finding("grad y", lacking)]
    return verdict


def _refuse_options(target: Any, case: ParityCase) -> None:
    """Raise NotImplementedError where the target does not take one of the case's options."""
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):  # of a builtin, or of an object that lies about its signature
        return
    lacking = [option for option in case.config if option not in parameters]
    if lacking and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        raise NotImplementedError(f"it takes no {' and no '.join(lacking)}")


def _try_forward(build_scratch: Build, case: ParityCase, seed: int) -> None:
    """Raise NotImplementedError where the forward pass does; what else it may raise is for the judgement to find."""
    try:
        build_scratch()(*case.inputs(Draw(seed, 0)).values())
    except NotImplementedError:
        raise
    except Exception:
        return


@lru_cache(maxsize=4)
def posed(case: ParityCase, seed: int) -> ReferenceRun:
    """What a case asks on a seed, of every dtype and device."""
    build_reference = reference_builder(case)
    return ReferenceRun(build_reference, pose_case(case, build_reference, seed))
