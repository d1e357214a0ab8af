"""Which submodule is the culprit.

One wrong layer spoils nearly every tensor of a model, so the end-to-end comparison cannot say where it is. Here each
scratch submodule is fed the inputs that the reference's own submodule met, and its backward the gradient that met it
there. Only the culprit fails on its own; the others merely inherit its error.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from parity.judging.reference_run import ReferenceRun, taps
from parity.judging.tolerance import Calibration
from parity.judging.verdict import Finding, compare, describe
from parity.running import nested
from parity.running.contract import ContractError
from parity.running.problem import Build, Problem, Run, Tensors, copied
from parity.running.run_scratch import run_scratch
from parity.running.trace import Call
from parity.running.training_steps import TrainingSteps
from scratch.module import Module


@dataclass
class Evidence:
    """One subject judged on its own: what it was given, what came out, what should have, and what is wrong with it."""

    path: str
    subject: Any
    standard: ReferenceRun
    calibration: Calibration  # the standard's, or that of its forward pass alone
    tensors: Tensors  # empty where it did not run
    findings: list[Finding]
    dtype: str

    @property
    def problem(self) -> Problem:
        """What it was given."""
        return self.standard.problem

    @property
    def kind(self) -> str:
        """The name of the function or class."""
        return str(target_of(self.subject).__name__)

    @property
    def worst(self) -> Finding:
        """The worst finding of the forward pass, or of the backward where the forward is right."""
        return next((finding for finding in self.findings if finding.phase == "forward"), self.findings[0])

    @property
    def phase(self) -> str:
        """Return the pass that is wrong: "forward" or "backward", or "step" where the subject is a part of a training step."""
        return "step" if isinstance(self.subject, TrainingSteps) else self.worst.phase


def locate(build_scratch: Build, standard: ReferenceRun, dtype: str) -> tuple[list[Evidence], int]:
    """The culprits in the order of the forward pass, and how many other modules only inherit their error.

    A module that fails on its own is a culprit unless a module inside it fails too.
    """
    paths = {path for path, _ in build_scratch().named_modules()}
    failed: dict[str, Evidence] = {}
    for call in standard.calls:
        if call.path in paths and call.path not in failed:
            evidence = _judge_alone(call, build_scratch, standard, dtype)
            if evidence.findings:
                failed[call.path] = evidence
    culprits = [evidence for path, evidence in failed.items() if not any(_inside(other, path) for other in failed)]
    return culprits, len(_differing(build_scratch, standard, dtype) - failed.keys())


def examine(path: str, subject: Any, standard: ReferenceRun, dtype: str) -> Evidence:
    """Judge one subject on its own; where its backward raises, by its forward pass."""
    problem, calibration = standard.problem, standard.calibration
    tensors: Tensors = {}
    try:
        run = run_scratch(lambda: subject, problem, dtype)
        tensors, (findings, _) = run.tensors, compare(run, calibration, dtype)
    except Exception as error:
        findings = [Finding("", _raised("it", error))]
        with suppress(Exception):
            run = run_scratch(lambda: subject, problem, dtype, backward=False)
            tensors, (findings, _) = run.tensors, compare(run, calibration.of_forward(), dtype)
            findings.append(Finding("", _raised("the backward", error)))
    return Evidence(path, subject, standard, calibration, tensors, findings, dtype)


def _raised(what: str, error: Exception) -> str:
    """That something raises, unless it was the harness that did so over what came back."""
    return describe(error) if isinstance(error, ContractError) else f"{what} raises {describe(error)}"


def can_be_located(build_scratch: Build, build_reference: Build) -> bool:
    """Whether both sides are modules, whose submodules can be judged one by one."""
    return isinstance(build_scratch(), Module) and isinstance(build_reference(), torch.nn.Module)


def target_of(subject: Any) -> Any:
    """The function or class that a subject is made of."""
    subject = inspect.unwrap(subject.func if isinstance(subject, partial) else subject)
    return subject if inspect.isroutine(subject) or isinstance(subject, type) else type(subject)


def source_of(evidence: Evidence) -> str:
    """Where to look: the ops that a layer is made of, or else the subject itself: `scratch/ops/norm.py, batch_norm`."""
    subject = evidence.subject
    ops = _ops_called(subject, evidence.problem) if isinstance(subject, Module) else []
    return "; ".join(_place(target) for target in ops or [target_of(subject)])


def _place(target: Any) -> str:
    target = inspect.unwrap(target)
    try:
        file = Path(inspect.getsourcefile(target) or "")
    except TypeError:
        return str(getattr(target, "__qualname__", repr(target)))
    package = target.__module__.split(".")[0]
    parts = file.parts[file.parts.index(package) :] if package in file.parts else file.parts[-1:]
    return f"{'/'.join(parts)}, {target.__qualname__}"


def _ops_called(subject: Any, problem: Problem) -> list[Callable[..., Any]]:
    """The functions of the ops package that a layer calls itself, found by watching it run."""
    if any(True for _ in subject.named_children()):
        return []
    package = f"{type(subject).__module__.split('.')[0]}.ops."
    found: dict[str, Any] = {}
    running: list[FrameType] = []  # the op that is running; what it calls, directly or not, is its own affair

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        name = frame.f_globals.get("__name__", "")
        if event == "return" and running == [frame]:
            running.clear()
        if event == "call" and not running and name.startswith(package):
            running.append(frame)
            function = getattr(sys.modules.get(name), frame.f_code.co_name, None)
            if inspect.isfunction(function) and not name.endswith(".checks"):
                found.setdefault(function.__qualname__, function)

    profile = sys.getprofile()
    sys.setprofile(watch)
    try:
        subject(*nested.map_leaves(copied, dict(problem.inputs)).values())
    except Exception:
        return list(found.values())
    finally:
        sys.setprofile(profile)
    return list(found.values())


def _judge_alone(call: Call, build_scratch: Build, standard: ReferenceRun, dtype: str) -> Evidence:
    """Run one submodule on what the reference's met there."""
    # of a new model: in a copy, functions that hold on to their module would still hold on to the first
    part = dict(build_scratch().named_modules())[call.path]
    return examine(call.name, part, standard.part(call, _argument_names(part, call)), dtype)


def _argument_names(part: Any, call: Call) -> tuple[str, ...]:
    """What the part itself calls the inputs that it met, where it has a name of its own for each."""
    parameters = inspect.signature(part.forward).parameters.values()
    names = tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)[: len(call.inputs)]
    taken = part.state_dict()
    fit = len(names) == len(call.inputs) and not any(name in taken for name in names)
    return names if fit else tuple(call.inputs)


def _differing(build_scratch: Build, standard: ReferenceRun, dtype: str) -> set[str]:
    """The paths whose outputs or upstream gradients differ when the whole model runs."""
    try:
        run = run_scratch(build_scratch, standard.problem, dtype)
    except Exception:  # the verdict has told it; what lies behind the place that raised has nothing to compare
        return set()
    met = {name: np.asarray(array) for name, array in taps(run).items() if name in standard.between.truth}
    findings, _ = compare(Run(met, run.trace), standard.between, dtype)
    return {finding.tensor.split(" ")[1].split("#")[0] for finding in findings}


def _inside(path: str, other: str) -> bool:
    return path != other and (not other or path.startswith(f"{other}."))
