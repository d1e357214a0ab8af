"""Which submodule is the culprit.

One wrong layer spoils nearly every tensor of a model, so the end-to-end comparison cannot say where it is. Here each
scratch submodule is fed the inputs that the reference's own submodule met, and its backward the gradient that met it
there. Only the culprit fails on its own; the others merely inherit its error.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Container
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from parity.tolerance import Calibration, calibrate
from parity.trace import Call, Trace
from parity.twins import Build, ContractError, Problem, Run, Tensors, run_reference, run_scratch
from parity.verdict import Finding, compare, describe
from scratch.module import Module


@dataclass
class Evidence:
    """One subject judged on its own: what it was given, what came out, what should have, and what is wrong with it."""

    path: str
    subject: Any
    build_reference: Build
    problem: Problem
    calibration: Calibration
    tensors: Tensors  # empty where it did not run
    findings: list[Finding]
    dtype: str

    @property
    def kind(self) -> str:
        """The name of the function or class."""
        return str(target_of(self.subject).__name__)

    @property
    def worst(self) -> Finding:
        """The worst finding of the forward pass, or of the backward where the forward is right."""
        return next((finding for finding in self.findings if finding.phase == "forward"), self.findings[0])


def locate(build_scratch: Build, build_reference: Build, problem: Problem, dtype: str) -> tuple[list[Evidence], int]:
    """The culprits in the order of the forward pass, and how many other modules only inherit their error.

    A module that fails on its own is a culprit unless a module inside it fails too.
    """
    paths, reference_parts = {path for path, _ in build_scratch().named_modules()}, dict(build_reference().named_modules())
    truth = run_reference(build_reference, problem, "float64")
    failed: dict[str, Evidence] = {}
    for call in truth.trace.calls:
        if call.path in paths and call.path not in failed:
            evidence = _judge_alone(call, build_scratch, reference_parts[call.path], problem, dtype)
            if evidence.findings:
                failed[call.path] = evidence
    culprits = [evidence for path, evidence in failed.items() if not any(_inside(other, path) for other in failed)]
    differing = _differing(build_scratch, build_reference, problem, dtype)
    return culprits, len(differing - failed.keys())


def examine(
    path: str, build_scratch: Build, build_reference: Build, problem: Problem, calibration: Calibration, dtype: str
) -> Evidence:
    """Judge one subject on its own; where its backward raises, by its forward pass."""
    tensors: Tensors = {}
    try:
        run = run_scratch(build_scratch, problem, dtype)
        tensors, (findings, _) = run.tensors, compare(run, calibration, dtype)
    except Exception as error:
        findings = [Finding("", _raised("it", error))]
        with suppress(Exception):
            run = run_scratch(build_scratch, problem, dtype, backward=False)
            tensors, (findings, _) = run.tensors, compare(run, calibration.of_forward(), dtype)
            findings.append(Finding("", _raised("the backward", error)))
    return Evidence(path, build_scratch(), build_reference, problem, calibration, tensors, findings, dtype)


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

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        module = sys.modules.get(frame.f_globals.get("__name__", ""))
        caller = frame.f_back.f_globals.get("__name__", "") if frame.f_back else ""
        if event == "call" and module and module.__name__.startswith(package) and not caller.startswith(package):
            function = getattr(module, frame.f_code.co_name, None)
            if inspect.isfunction(function) and not module.__name__.endswith(".checks"):
                found.setdefault(function.__qualname__, function)

    profile = sys.getprofile()
    sys.setprofile(watch)
    try:
        subject(*problem.inputs.values())
    except Exception:
        return list(found.values())
    finally:
        sys.setprofile(profile)
    return list(found.values())


def _judge_alone(call: Call, build_scratch: Build, reference_part: torch.nn.Module, problem: Problem, dtype: str) -> Evidence:
    """Run one submodule on what the reference's met there."""

    def build_part() -> Any:  # anew: in a copy, functions that hold on to their module would still hold on to the first
        return dict(build_scratch().named_modules())[call.path]

    build_reference_part = partial(deepcopy, reference_part)  # cheaper than a new model
    prefix = f"{call.path}." if call.path else ""
    state = {name.removeprefix(prefix): array for name, array in problem.state.items() if name.startswith(prefix)}
    names = _argument_names(build_part(), call, taken=state)
    alone = Problem(
        inputs={names[name]: value for name, value in call.inputs.items()},
        state=state | call.buffers,
        cotangents=tuple(call.cotangents.values()),
        constants=tuple(names[name] for name in call.constants),
        noise=partial(Trace, problem.noise().seed, call.path, call.draws),
    )
    calibration = calibrate(lambda posed, leg: run_reference(build_reference_part, posed, leg, taps=False).tensors, alone)
    return examine(call.name, build_part, build_reference_part, alone, calibration, dtype)


def _argument_names(part: Any, call: Call, taken: Container[str]) -> dict[str, str]:
    """What the part itself calls the inputs that it met, where it has a name of its own for each."""
    parameters = inspect.signature(part.forward).parameters.values()
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD][: len(call.inputs)]
    fit = len(names) == len(call.inputs) and not any(name in taken for name in names)
    return dict(zip(call.inputs, names if fit else call.inputs, strict=True))


def _differing(build_scratch: Build, build_reference: Build, problem: Problem, dtype: str) -> set[str]:
    """The paths whose outputs or upstream gradients differ when the whole model runs."""
    calibration = calibrate(lambda posed, leg: _taps(run_reference(build_reference, posed, leg)), problem)
    try:
        run = run_scratch(build_scratch, problem, dtype)
    except Exception:  # the verdict has told it; what lies behind the place that raised has nothing to compare
        return set()
    taps = {name: np.asarray(array) for name, array in _taps(run).items() if name in calibration.truth}
    findings, _ = compare(Run(taps, run.trace), calibration, dtype)
    return {finding.tensor.split(" ")[1].split("#")[0] for finding in findings}


def _taps(run: Run) -> Tensors:
    outputs = {f"tap {call.name} {name}": array for call in run.trace.calls for name, array in call.outputs.items()}
    gradients = {f"grad {call.name} {name}": array for call in run.trace.calls for name, array in call.cotangents.items()}
    return outputs | gradients


def _inside(path: str, other: str) -> bool:
    return path != other and (not other or path.startswith(f"{other}."))
