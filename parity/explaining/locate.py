"""The search for the submodule that is the culprit.

One wrong layer spoils nearly every tensor of a model, so the comparison of the whole cannot tell which layer is wrong. Therefore
each NumPy submodule is judged alone. It gets the inputs that the reference's submodule had, and its backward gets the upstream
gradient that the reference's had. Only the culprit fails alone; the other submodules inherit its error.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from parity.explaining.replaced import replace_by_reference
from parity.judging.reference_run import ReferenceRun, submodule_tensors
from parity.judging.tolerance import Calibration
from parity.judging.verdict import Finding, compare, describe
from parity.running import nested
from parity.running.contract import ContractError
from parity.running.layout import Layout, layout_of
from parity.running.problem import Build, Problem, Run, Tensors
from parity.running.run_scratch import run_scratch
from parity.running.tensor_name import Phase, TensorName
from parity.running.trace import Call
from parity.running.training_steps import TrainingSteps
from scratch.module import Module


@dataclass
class Evidence:
    """A subject that was judged alone: its problem, its tensors, those of the reference, and the findings.

    path            the path of the subject in the model; "" for the whole
    subject         the function or module
    reference_run   the reference run of the same problem
    calibration     the calibration of the reference run, or of its forward pass alone
    tensors         the subject's tensors; empty where it did not run
    second_call     whether only a second call is wrong
    """

    path: str
    subject: Any
    reference_run: ReferenceRun
    calibration: Calibration
    tensors: Tensors
    findings: list[Finding]
    dtype: str
    second_call: bool = False

    @property
    def problem(self) -> Problem:
        """Return the problem that the subject was given."""
        return self.reference_run.problem

    @property
    def kind(self) -> str:
        """Return the name of the function or class."""
        return str(target_of(self.subject).__name__)

    @property
    def worst(self) -> Finding:
        """Return the worst finding of the forward pass, or of the backward where the forward is right."""
        return next((finding for finding in self.findings if finding.phase is Phase.FORWARD), self.findings[0])

    @property
    def phase(self) -> Phase:
        """Return the pass that is wrong; for an optimiser or a schedule, which have no passes, the step."""
        return Phase.STEP if isinstance(self.subject, TrainingSteps) else self.worst.phase


def locate(build_scratch: Build, reference_run: ReferenceRun, dtype: str) -> tuple[list[Evidence], int]:
    """Return the culprits in the order of the forward pass, and the number of other modules that inherit their error.

    A module that fails alone is a culprit. If a module inside it fails too, it is one only if it still fails with that module
    replaced by the reference's.
    """
    paths = {path for path, _ in build_scratch().named_modules()}
    run = _run_of_all(build_scratch, reference_run, dtype)
    calls = {} if run is None else {call.name: call for call in run.trace.calls}
    failed: dict[str, Evidence] = {}
    for call in reference_run.calls:
        if call.path in paths and call.path not in failed:
            evidence = _examine_call(call, calls.get(call.name), build_scratch, reference_run, dtype)
            if evidence.findings:
                failed[call.path] = evidence
    culprits = [own for path, evidence in failed.items() if (own := _of_its_own(path, evidence, failed, build_scratch))]
    return culprits, 0 if run is None else len(_differing(run, reference_run, dtype) - failed.keys())


def _of_its_own(path: str, evidence: Evidence, failed: Collection[str], build_scratch: Build) -> Evidence | None:
    """Return the evidence of a fault in a module itself, not in a module inside it; None where there is none."""
    inside = [other for other in failed if _inside(other, path)]
    outermost = [other for other in inside if not any(_inside(other, between) for between in inside)]
    if not inside:
        return evidence
    with suppress(Exception):  # code that does not take the reference's modules cannot be judged with them
        submodule = dict(build_scratch().named_modules())[path]
        relative = {other.removeprefix(path).removeprefix(".") for other in outermost}
        called = replace_by_reference(submodule, evidence.reference_run.build(), relative)
        again = examine(evidence.path, submodule, evidence.reference_run, evidence.dtype)
        fails_only_with_the_reference = evidence.tensors and not again.tensors  # its sizes are those of the wrong submodule
        return again if again.findings and called == relative and not fails_only_with_the_reference else None
    return None


def examine(path: str, subject: Any, reference_run: ReferenceRun, dtype: str) -> Evidence:
    """Judge one subject alone; if its backward raises, judge its forward pass."""
    problem, calibration = reference_run.problem, reference_run.calibration
    tensors: Tensors = {}
    try:
        run = run_scratch(lambda: subject, problem, dtype)
        tensors, (findings, _) = run.tensors, compare(run, calibration, dtype)
    except Exception as error:
        findings = [_finding_of("it", error, Phase.FORWARD)]
        with suppress(Exception):
            run = run_scratch(lambda: subject, problem, dtype, backward=False)
            tensors, (findings, _) = run.tensors, compare(run, calibration.of_forward(), dtype)
            findings.append(_finding_of("the backward", error, Phase.BACKWARD))
    return Evidence(path, subject, reference_run, calibration, tensors, findings, dtype)


def _finding_of(what: str, error: Exception, phase: Phase) -> Finding:
    """Return the finding that something raises an error, or breaks the contract where the harness raised it."""
    if isinstance(error, ContractError):
        return Finding("", describe(error), error.phase)
    return Finding("", f"{what} raises {describe(error)}", phase)


def can_be_located(build_scratch: Build, build_reference: Build) -> bool:
    """Return whether both sides are modules, whose submodules can be judged alone."""
    return isinstance(build_scratch(), Module) and isinstance(build_reference(), torch.nn.Module)


def target_of(subject: Any) -> Any:
    """Return the function or class that a subject is made from."""
    subject = inspect.unwrap(subject.func if isinstance(subject, partial) else subject)
    return subject if inspect.isroutine(subject) or isinstance(subject, type) else type(subject)


def _run_of_all(build_scratch: Build, reference_run: ReferenceRun, dtype: str) -> Run | None:
    """Return a run of the whole model; None where it raises, which the verdict reports."""
    try:
        return run_scratch(build_scratch, reference_run.problem, dtype)
    except Exception:
        return None


def _examine_call(call: Call, ours: Call | None, build_scratch: Build, reference_run: ReferenceRun, dtype: str) -> Evidence:
    """Judge one submodule alone, on the inputs of one call of the reference's submodule.

    The inputs have the memory layouts that they had in our own call, if the submodule was called.
    """
    # each time from a new model: in a copy of a model, closures would still refer to the original
    submodule = dict(build_scratch().named_modules())[call.path]
    names = _argument_names(submodule, call)
    alone = reference_run.of_submodule(call, names)
    if ours is not None and call.path:
        alone = alone.in_layouts(_layouts(ours, dict(zip(call.inputs, names, strict=True))))
    return examine(call.name, submodule, alone, dtype)


def _layouts(call: Call, names: Mapping[str, str]) -> dict[str, Layout]:
    """Return the layouts of the inputs and upstream gradients of a call; `names` has the submodule's own names of the inputs."""
    leaves = [leaf for name, value in call.inputs.items() if name in names for leaf in nested.leaves(names[name], value)]
    arrays = {name: leaf for name, leaf in (*leaves, *call.cotangents.items()) if isinstance(leaf, np.ndarray)}
    return {name: layout for name, array in arrays.items() if (layout := layout_of(array)) is not None}


def _argument_names(submodule: Any, call: Call) -> tuple[str, ...]:
    """Return the submodule's own names for its inputs; the names in the call where it has not one for each."""
    parameters = inspect.signature(submodule.forward).parameters.values()
    names = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)[: len(call.inputs)]
    taken = submodule.state_dict()
    fit = len(names) == len(call.inputs) and not any(name in taken for name in names)
    return names if fit else tuple(call.inputs)


def _differing(run: Run, reference_run: ReferenceRun, dtype: str) -> set[str]:
    """Return the paths whose outputs or upstream gradients differ when the whole model runs."""
    truth = reference_run.between.truth
    tensors = {name: np.asarray(array) for name, array in submodule_tensors(run).items() if name in truth}
    findings, _ = compare(Run(tensors, run.trace), reference_run.between, dtype)
    return {TensorName.parse(finding.tensor).path for finding in findings}


def _inside(path: str, other: str) -> bool:
    """Return whether one path lies inside another."""
    return path != other and (not other or path.startswith(f"{other}."))
