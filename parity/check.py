"""The way from a case to its verdict."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, lru_cache, partial
from typing import Any

from parity.case import ParityCase, resolve
from parity.explaining.cause import cause_of
from parity.explaining.constructor import holder_of_odd_parameters, place_of_constructor, raising_constructors, wrong_option
from parity.explaining.locate import Evidence, can_be_located, examine, locate
from parity.explaining.places import source_of
from parity.inputs import Draw
from parity.judging.kinks import explained_by_kinks
from parity.judging.reference_run import ReferenceRun
from parity.judging.status import Status
from parity.judging.verdict import Culprit, Finding, Verdict, compare, describe
from parity.running.builders import reference_builder, scratch_builder
from parity.running.contract import parameters_amiss
from parity.running.device import reproducible
from parity.running.importing import SubjectError, find
from parity.running.pose import pose_case
from parity.running.problem import Build, Problem
from parity.running.run_reference import run_reference
from parity.running.run_scratch import run_scratch
from parity.running.safe_text import message_of
from parity.running.tensor_name import Phase, gradient

DTYPES = ("float64", "float32")
ONLY_THE_SECOND_CALL = "only its second call is wrong: it keeps something from the first"


def check(
    case: ParityCase, dtype: str = "float64", device: str = "cpu", seed: int = 0, package: str = "scratch", diagnose: bool = True
) -> Verdict:
    """Return the verdict on the NumPy twin, or on the PyTorch twin where the device is not the CPU.

    The truth is PyTorch in float64 on the CPU. `package` holds the NumPy twin. A twin that is not written yet makes the status
    "missing". `diagnose` looks for the culprit and its cause, which takes longer than the verdict.
    """
    verdict = Verdict(case.name, case.family, dtype, device, seed)
    with reproducible():
        try:
            if lacking := missing_twins(case, package):
                return _missing(verdict, lacking)
            build_scratch = scratch_builder(case, package)
            if package != "scratch":
                _refuse_options(find(case.scratch, package), case)
                _try_forward(build_scratch, case, seed)
        except NotImplementedError as error:
            return _missing(verdict, [_what_is_missing(error)])
        except SubjectError as error:
            return _error(verdict, str(error))
        try:
            reference_run = reference_run_of(case, seed)
        except NotImplementedError as error:
            return _missing(verdict, [f"the reference is not written: {_what_is_missing(error)}"])
        except Exception as error:
            return _error(verdict, f"the reference did not run: {describe(error)}")
        return judge(verdict, build_scratch, reference_run, diagnose)


def missing_twins(case: ParityCase, package: str = "scratch") -> list[str]:
    """Return a message for each side of a case that has no such function or class; SubjectError where the package is broken."""
    lookups: tuple[Callable[[], Any], ...] = (lambda: find(case.scratch, package), lambda: resolve(case.reference, "reference"))
    messages = []
    for look_up in lookups:
        try:
            look_up()
        except NotImplementedError as error:
            messages.append(_what_is_missing(error))
    return messages


def judge(verdict: Verdict, build_scratch: Build, reference_run: ReferenceRun, diagnose: bool = True) -> Verdict:
    """Return the verdict on the side under judgement, with the culprits of a difference.

    In float64 on the CPU, a subject that agrees is called again on numbers that need all digits of float64. This finds a cast to
    float32, and an object that keeps something from one call to the next.
    """
    first, build_once = reference_run, cache(build_scratch)
    judged = _judge_run(verdict, build_once, reference_run)
    if judged.ok and verdict.device == "cpu" and verdict.dtype == "float64":
        reference_run = reference_run.on_all_digits
        again = _judge_run(verdict, build_once, reference_run)
        again.worst_ratio, again.note = max(again.worst_ratio, judged.worst_ratio), again.note or judged.note
        if not again.ok and (alone := _judge_run(again, build_scratch, reference_run)).ok:
            again.message = again.message or ONLY_THE_SECOND_CALL
            build_scratch = partial(_called_before, build_scratch, first.problem, verdict.dtype)
        elif not again.ok:
            again = alone
            again.note = "it agrees on numbers that float32 can hold, not on these, which need all digits of float64"
        judged = again
    if diagnose and verdict.device == "cpu" and judged.status in (Status.MISMATCH, Status.ERROR) and not judged.culprits:
        try:
            _name_culprits(judged, build_scratch, reference_run)
        except Exception as error:  # code may answer differently when it is asked again
            judged.message = judged.message or f"the search for its culprit failed: {describe(error)}"
    return judged


def _judge_run(verdict: Verdict, build_scratch: Build, reference_run: ReferenceRun) -> Verdict:
    """Return the verdict on one run of the side under judgement, without culprits."""
    verdict, dtype, device = replace(verdict, findings=[], culprits=[]), verdict.dtype, verdict.device
    problem, calibration = reference_run.problem, reference_run.calibration
    if unfit := calibration.ill_conditioned():
        name = max(unfit, key=unfit.__getitem__)
        verdict.status = Status.INVALID
        verdict.message = (
            f"one rounding of the inputs changes {name} by {unfit[name]:.1g} of its scale, so agreement would mean nothing; "
            "choose inputs of better condition"
        )
        return verdict
    on_cpu = device == "cpu"
    try:
        run = run_scratch(build_scratch, problem, dtype) if on_cpu else run_reference(reference_run.build, problem, dtype, device)
        verdict.findings, verdict.worst_ratio = compare(run, calibration, dtype)
        if verdict.findings and (explained := explained_by_kinks(run, reference_run, dtype, verdict.findings)):
            verdict.findings, (verdict.note, verdict.worst_ratio) = [], explained
        verdict.tensors = len(calibration.truth.keys() | run.tensors.keys())
        verdict.status = Status.MISMATCH if verdict.findings else Status.OK
    except Exception as error:
        if on_cpu and isinstance(error, NotImplementedError):
            return _judge_forward(verdict, build_scratch, reference_run, _what_is_missing(error))
        _error(verdict, describe(error))
        if on_cpu:
            with suppress(Exception):  # if the forward pass runs, its findings are of use
                run = run_scratch(build_scratch, problem, dtype, backward=False)
                verdict.findings, _ = compare(run, calibration.of_forward(), dtype)
    return verdict


def _called_before(build_scratch: Build, problem: Problem, dtype: str) -> Any:
    """Return a new object that has solved a problem once."""
    subject = build_scratch()
    with suppress(Exception):  # the first call has been judged
        run_scratch(lambda: subject, problem, dtype)
    return subject


def _name_culprits(verdict: Verdict, build_scratch: Build, reference_run: ReferenceRun) -> None:
    """Add the culprits to the verdict: the submodules that are wrong alone, or the subject itself."""
    dtype, problem = verdict.dtype, reference_run.problem
    try:
        build_scratch()
    except Exception as error:
        if found := raising_constructors(error):
            verdict.culprits = [Culprit("", found[0], Phase.FORWARD, float("inf"), found[1], verdict.message)]
        return
    if can_be_located(build_scratch, reference_run.build):
        root = build_scratch()
        if parameters_amiss(root, problem.state):
            path = holder_of_odd_parameters(root, reference_run.build(), problem.state)
            kind, place = type(dict(root.named_modules())[path]).__name__, place_of_constructor(path, root)
            verdict.culprits = [Culprit(path, kind, Phase.FORWARD, float("inf"), place, verdict.message)]
            return
        suspects, verdict.inherited = locate(build_scratch, reference_run, dtype)
    else:
        whole = examine("", build_scratch(), reference_run, dtype)
        suspects = [whole] if whole.findings else []
    again = verdict.message == ONLY_THE_SECOND_CALL
    verdict.culprits = [_culprit(replace(evidence, second_call=again), build_scratch()) for evidence in suspects]


def _culprit(evidence: Evidence, root: Any) -> Culprit:
    """Return the culprit that evidence speaks against, with its cause; `root` is the whole model."""
    if option := wrong_option(evidence):
        cause, source = option, place_of_constructor(evidence.path.split("#")[0], root)
    else:
        cause, source = cause_of(evidence), source_of(evidence)
    return Culprit(evidence.path, evidence.kind, evidence.phase, evidence.worst.ratio, source, cause)


def _judge_forward(verdict: Verdict, build_scratch: Build, reference_run: ReferenceRun, lacking: str) -> Verdict:
    """Judge the forward pass alone, because the backward is not written: the twin is wrong, or only incomplete."""
    problem, forward = reference_run.problem, reference_run.calibration.of_forward()
    try:
        run = run_scratch(build_scratch, problem, verdict.dtype, backward=False)
    except NotImplementedError as error:
        return _missing(verdict, [_what_is_missing(error)])
    except Exception as error:  # code may answer differently when it is asked again
        return _error(verdict, describe(error))
    verdict.findings, verdict.worst_ratio = compare(run, forward, verdict.dtype)
    verdict.tensors = len(forward.truth.keys() | run.tensors.keys())
    if verdict.findings:
        verdict.status, verdict.message = Status.MISMATCH, f"the backward is missing: {lacking}"
        subject = build_scratch()
        evidence = Evidence("", subject, reference_run, forward, run.tensors, verdict.findings, verdict.dtype)
        verdict.culprits = [_culprit(evidence, subject)]
    else:
        verdict.status, verdict.findings = Status.MISSING, [Finding(gradient("y"), lacking, Phase.BACKWARD)]
    return verdict


def _missing(verdict: Verdict, messages: Sequence[str]) -> Verdict:
    """Let the verdict say that a twin is not written yet."""
    verdict.status = Status.MISSING
    verdict.findings = [Finding("", message, Phase.FORWARD) for message in messages]
    return verdict


def _error(verdict: Verdict, message: str) -> Verdict:
    """Let the verdict say that a side does not run."""
    verdict.status, verdict.message = Status.ERROR, message
    return verdict


def _what_is_missing(error: NotImplementedError) -> str:
    """Return the message of an error, which may be empty."""
    return message_of(error) or "it raises NotImplementedError"


def _refuse_options(target: Any, case: ParityCase) -> None:
    """Raise NotImplementedError where the target does not take one of the case's options."""
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):  # a builtin has no signature, and an object may lie about its own
        return
    lacking = [option for option in case.config if option not in parameters]
    if lacking and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        raise NotImplementedError(f"it takes no {' and no '.join(lacking)}")


def _try_forward(build_scratch: Build, case: ParityCase, seed: int) -> None:
    """Raise NotImplementedError where the forward pass does; the judgement will find any other error."""
    try:
        build_scratch()(*case.inputs(Draw(seed, 0)).values())
    except NotImplementedError:
        raise
    except Exception:
        return


@lru_cache(maxsize=4)
def reference_run_of(case: ParityCase, seed: int) -> ReferenceRun:
    """Return the reference run of a case and a seed, which serves every dtype and device."""
    build_reference = reference_builder(case)
    return ReferenceRun(build_reference, pose_case(case, build_reference, seed))
