"""Which submodule is the culprit.

One wrong layer spoils nearly every tensor of a model, so the end-to-end comparison cannot say where it is. Here each
scratch submodule is fed the inputs that the reference's own submodule met, and its backward the gradient that met it
there. Only the culprit fails on its own; the others merely inherit its error.
"""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from parity.tolerance import calibrate
from parity.trace import Call, Trace
from parity.twins import Build, Problem, Run, Tensors, run_reference, run_scratch
from parity.verdict import Culprit, Finding, compare, describe
from parity.weights import set_state
from scratch.module import Module


def locate(
    build_scratch: Build, build_reference: Build, problem: Problem, dtype: str, findings: list[Finding]
) -> tuple[list[Culprit], int]:
    """The culprits in the order of the forward pass, and how many other modules only inherit their error.

    A module that fails on its own is a culprit unless a module inside it fails too.
    """
    scratch_root = build_scratch()
    if not isinstance(scratch_root, Module) or not isinstance(build_reference(), torch.nn.Module):
        return [_culprit("", scratch_root, findings)] if findings else [], 0
    paths = {path for path, _ in scratch_root.named_modules()}
    truth = run_reference(build_reference, problem, "float64")
    calls = [call for call in truth.trace.calls if call.path in paths]
    failed: dict[str, Culprit] = {}
    for call in calls:
        culprit = _judge_alone(call, build_scratch, build_reference, problem, dtype)
        if culprit:
            failed.setdefault(call.path, culprit)
    culprits = [culprit for path, culprit in failed.items() if not any(_inside(other, path) for other in failed)]
    differing = _differing(build_scratch, build_reference, problem, dtype)
    return culprits, len(differing - failed.keys())


def source_of(target: Any) -> str:
    """Where a class or function is written: `scratch/ops/norm.py, batch_norm`."""
    target = _target(target)
    try:
        file = Path(inspect.getsourcefile(target) or "")
    except TypeError:
        return getattr(target, "__qualname__", repr(target))
    package = target.__module__.split(".")[0]
    parts = file.parts[file.parts.index(package) :] if package in file.parts else file.parts[-1:]
    return f"{'/'.join(parts)}, {target.__qualname__}"


def _target(subject: Any) -> Any:
    """The function or class that a subject is made of."""
    subject = subject.func if isinstance(subject, partial) else subject
    return subject if inspect.isroutine(subject) or isinstance(subject, type) else type(subject)


def _judge_alone(call: Call, build_scratch: Build, build_reference: Build, problem: Problem, dtype: str) -> Culprit | None:
    """Run one submodule on what the reference's met there."""

    def part_of(build: Build) -> Build:
        def part() -> Any:
            root = build()
            set_state(root, problem.state)
            return dict(root.named_modules())[call.path]

        return part

    prefix = f"{call.path}." if call.path else ""
    state = {name.removeprefix(prefix): array for name, array in problem.state.items() if name.startswith(prefix)}
    alone = Problem(
        inputs=call.inputs,
        state=state | call.buffers,
        cotangents=tuple(call.cotangents.values()),
        constants=call.constants,
        noise=partial(Trace, problem.noise().seed, call.path, call.draws),
    )
    calibration = calibrate(lambda posed, leg: run_reference(part_of(build_reference), posed, leg).tensors, alone)
    subject = part_of(build_scratch)()
    try:
        findings, _ = compare(run_scratch(part_of(build_scratch), alone, dtype), calibration, dtype)
    except Exception as error:
        findings = [Finding("", describe(error))]
    return _culprit(call.name, subject, findings) if findings else None


def _culprit(path: str, subject: Any, findings: list[Finding]) -> Culprit:
    forward = [finding for finding in findings if finding.phase == "forward"]
    worst = (forward or findings)[0]
    return Culprit(path, _target(subject).__name__, worst.phase, worst.ratio, source_of(subject))


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
