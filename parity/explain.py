"""Why a culprit is wrong.

Two sources of hypotheses. Counterfactual references compute a known mistake: what the culprit equals to rounding is what
it computes. Else the arrays are asked: a factor, a permutation of axes, a shift, a missing term, half the digits. A cause
is given only if the repair that it names makes the tensors match.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any, Self

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from parity import tree
from parity.counterfactuals import counterfactuals
from parity.hints import MARGIN, hint, matches
from parity.locate import Evidence
from parity.tolerance import deviation, largest
from parity.twins import Build, Problem, Tensors, other_numbers, run_reference, run_scratch

ALTERNATIVES = 3  # causes that this case cannot tell apart and that are all given


def explain(evidence: Evidence) -> str:
    """The cause in one line, or "" where none is certain."""
    if not evidence.worst.tensor:  # it breaks the contract, or does not run
        return evidence.worst.message
    cause = _as_counterfactual(evidence) or _from_arrays(evidence)
    if evidence.dtype == "float32" and _is_inaccuracy(evidence):
        return "; ".join(filter(None, (cause, "far less wrong in float64: digits or range are lost, the formula is right")))
    return cause


def _is_inaccuracy(evidence: Evidence) -> bool:
    """Whether in float64 the wrong numbers come out right to the digits of float32, which no wrong formula does."""
    name, truth = evidence.worst.tensor, evidence.calibration.truth
    if name not in truth or name not in evidence.tensors or matches(evidence, name, evidence.tensors[name], truth[name]):
        return False
    with suppress(Exception):
        exact = run_scratch(lambda: evidence.subject, evidence.problem, "float64").tensors
        return exact.keys() == truth.keys() and all(
            deviation(exact[key], truth[key]) <= 1e-6 * largest(truth[key]) for key in truth
        )
    return False


def _as_counterfactual(evidence: Evidence) -> str:
    """The known mistakes whose results the culprit's are: in every tensor, or else in every one of the failing phase."""
    truth, ours, phase = evidence.calibration.truth, evidence.tensors, evidence.worst.phase
    failing = {name for name in truth if _phase(name) == phase}
    whole: list[str] = []
    partly: list[str] = []
    for text, wrong in _wrong_runs(evidence):
        equal = {name for name in wrong.keys() & ours.keys() if matches(evidence, name, ours[name], wrong[name])}
        if failing <= equal and not all(matches(evidence, name, wrong[name], truth[name], MARGIN) for name in failing):
            whole += [text] * (equal == ours.keys())
            partly.append(f"in the {phase} pass, {text}")
    return "; or, which is the same here: ".join((whole or partly)[:ALTERNATIVES])


def _wrong_runs(evidence: Evidence) -> Iterator[tuple[str, Tensors]]:
    """The reference's tensors under every mistake there is: in its mode, in what it remembers, in the functions it calls."""
    build, problem = evidence.build_reference, evidence.problem
    calls = _Calls()
    with calls:
        subject = build()
        run_reference(lambda: subject, problem, "float64", backward=False)
    if isinstance(subject, torch.nn.Module):
        mode = "eval mode though in training" if subject.training else "training though in eval mode"
        yield f"behaves as in {mode}", _tensors(lambda: build().train(not subject.training), problem)
    for name, without, other in _left_out(build, problem):
        yield f"takes no notice of {name}", _tensors(without, other)
        yield f"goes on where {name} ends it: y alone is 0 there", _cut(without, other, evidence.calibration.truth)
    later = replace(problem, inputs=tree.map_leaves(other_numbers, dict(problem.inputs)))
    yield "is that of a later call: what the backward needs is kept where the next call overwrites it", _tensors(build, later)
    for name, (arguments, options) in calls.seen.items():
        for text, wrong in counterfactuals(name, arguments, options):
            yield text, _tensors(build, problem, _Instead(name, wrong))


def _left_out(build: Build, problem: Problem) -> Iterator[tuple[str, Build, Problem]]:
    """The reference without one of what it may do without: an input of a module, an array among the options of a function."""
    subject = build()
    if isinstance(subject, torch.nn.Module):
        for name, parameter in zip(problem.inputs, inspect.signature(subject.forward).parameters.values(), strict=False):
            if parameter.default is None and problem.inputs[name] is not None:
                yield name, build, replace(problem, inputs={**problem.inputs, name: None})
    elif isinstance(subject, partial):
        for name, value in subject.keywords.items():
            if isinstance(value, torch.Tensor):
                yield name, partial(partial, subject, **{name: None}), problem


def _cut(build: Build, problem: Problem, truth: Tensors) -> Tensors:
    """What a reference computes whose first output is made 0 where the truth is; {} where the truth is 0 nowhere."""
    first = next(name for name in truth if name.split(".")[0] == "y")
    kept = truth[first] != 0
    if kept.all() or kept.shape != problem.cotangents[0].shape:
        return {}
    dy, *others = problem.cotangents
    tensors = _tensors(build, replace(problem, cotangents=(dy * kept, *others)))
    return {**tensors, first: tensors[first] * kept} if first in tensors else {}


def _tensors(build: Build, problem: Problem, mode: TorchFunctionMode | None = None) -> Tensors:
    """What a wrong reference computes; of one whose output has another shape, only that; {} where it cannot run at all."""
    for backward in (True, False):
        with suppress(Exception), mode or nullcontext():
            return run_reference(build, problem, "float64", backward=backward).tensors
    return {}


class _OwnCalls(TorchFunctionMode):
    """Meets the torch functions that a subject calls itself: those that its submodules call have been found right."""

    def __enter__(self) -> Self:
        self.depth = 0
        self.hooks = (
            register_module_forward_pre_hook(lambda module, inputs: self._go(1)),
            register_module_forward_hook(lambda module, inputs, output: self._go(-1), always_call=True),
        )
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for hook in self.hooks:
            hook.remove()

    def _go(self, deeper: int) -> None:
        self.depth += deeper

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return (self.met(function, args, kwargs or {}) if self.depth <= 1 else function)(*args, **kwargs or {})

    def met(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The function to call instead of the one that is called."""
        raise NotImplementedError


class _Calls(_OwnCalls):
    """Notes the arguments of the first call of each function."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def met(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        self.seen.setdefault(function.__name__, (arguments, options))
        return function


class _Instead(_OwnCalls):
    """Another function in place of every function of one name; inside it, that name means torch's again."""

    def __init__(self, name: str, wrong: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.name, self.wrong = name, wrong

    def met(self, function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return self.wrong if function.__name__ == self.name else function


def _from_arrays(evidence: Evidence) -> str:
    """What the arrays of the failing phase say, worst first."""
    for finding in evidence.findings:
        if finding.phase == evidence.worst.phase:
            text = hint(evidence, finding.tensor)
            if text:
                return f"{finding.tensor} {text}"
    return ""


def _phase(name: str) -> str:
    return "backward" if name.startswith("grad ") else "forward"
