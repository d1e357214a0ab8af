"""The assertion for tests in any project."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from parity import siblings
from parity.adapters import Weights, adapted
from parity.check import DTYPES, judge
from parity.inputs import float32_representable
from parity.judging.reference_run import ReferenceRun
from parity.judging.status import Status
from parity.judging.verdict import Verdict, describe
from parity.report import explain
from parity.running import nested
from parity.running.builders import steps_of
from parity.running.device import reproducible
from parity.running.pose import pose
from parity.running.problem import Build
from parity.running.schedule_steps import FactorSteps, ScheduleSteps
from parity.running.training_steps import ClippingSteps, OptimiserSteps, TrainingSteps
from parity.weights import get_state
from scratch.module import Module

siblings.refuse_namesakes()

__tracebackhide__ = True  # pytest shows the test that failed, and nothing of this file


class ParityError(AssertionError):
    """A difference between a twin and its reference: the first line has the mistake, the others its place and size."""

    __module__ = "parity"  # the name that users import, and short enough for a line of pytest's summary


def assert_parity(
    mine: Callable[..., Any],
    theirs: Callable[..., Any],
    inputs: Mapping[str, Any],
    constants: tuple[str, ...] = (),
    dtypes: tuple[str, ...] = DTYPES,
    seed: int = 0,
    weights: Weights | None = None,
    **options: Any,
) -> None:
    """Raise ParityError unless `mine` and `theirs` have the same value and the same gradient of every input.

    mine        a function of the inputs in their order, as NumPy arrays, and of the options. It returns (y, backward); backward
                takes the upstream gradient and returns one gradient for each input, None for integers. A scratch Module, an
                object with forward and backward, or a layer adapted by parity.adapters will do as well
    theirs      a torch function of the same inputs and options, or a torch module; mine gets the weights of the module. Or an
                optimiser of torch.optim with these options; mine is then a class of the same API over scratch Parameters
    inputs      arrays by name; floating-point ones are rounded to float32, so that both dtypes start from the same numbers
    constants   names of floating-point inputs without a gradient
    weights     if theirs is a module: a map from names of my weights to names of theirs, or to their name and the layout of
                mine, as in parity.adapters

        assert_parity(my_conv2d, torch.nn.functional.conv2d, inputs=dict(x=x, weight=w, bias=b), stride=2)
        assert_parity(MyAdam, torch.optim.Adam, inputs=dict(parameters=[w, b], gradients=[[dw, db], [dw2, None]]), lr=0.01)
        assert_parity(MyDense(7, 3), torch.nn.Linear(7, 3), inputs=dict(x=x), weights={"W": ("weight", "T"), "b": "bias"})
    """
    arrays = {name: nested.map_leaves(_as_input, value) for name, value in inputs.items()}
    unknown = [name for name in constants if name not in arrays]
    if unknown:
        raise ValueError(f"constants names {unknown[0]!r}, expected one of the inputs: {', '.join(arrays)}")
    steps = steps_of(theirs)
    mine = mine if steps else adapted(mine, weights)
    build_mine, build_theirs = _builder(mine, options, steps), _builder(theirs, options, steps)
    reference = _reference_name(theirs)
    with reproducible():
        try:
            state = get_state(theirs) if isinstance(theirs, torch.nn.Module) else {}
            problem = pose(build_theirs, arrays, nested.map_leaves(_as_input, state), constants, seed)
            reference_run = ReferenceRun(build_theirs, problem)
        except Exception as error:
            raise ValueError(f"{reference} does not run on these inputs: {describe(error)}") from None
        for dtype in dtypes:
            verdict = judge(Verdict(_name(mine), "", dtype, "cpu", seed), build_mine, reference_run)
            if not verdict.ok:
                raise ParityError(difference(verdict, reference))


def difference(verdict: Verdict, reference: str) -> str:
    """Return the message of a failed test: the headline, then the whole explanation."""
    return f"{headline(verdict, reference)}\n{explain(verdict)}"


def headline(verdict: Verdict, reference: str) -> str:
    """Return the mistake in one line: the culprit, and the cause where one is certain."""
    name = verdict.name
    match verdict.status:
        case Status.MISMATCH:
            line = f"{name} differs from {reference}: {_worst(verdict)} ({verdict.dtype})"
        case Status.INVALID:
            line = f"{name} cannot be judged on these inputs: {verdict.message}"
        case Status.MISSING:
            line = f"{name} is not complete: {'; '.join(finding.message for finding in verdict.findings)}"
        case _:
            line = f"{name} cannot be compared with {reference}: {verdict.message}"
    return " ".join(line.split())


def _worst(verdict: Verdict) -> str:
    """Return the place and the cause of the first culprit; without a culprit, the worst finding."""
    worst = verdict.findings[0].message
    if not verdict.culprits:
        return worst
    first, others = verdict.culprits[0], len(verdict.culprits) - 1
    if first.path:
        worst = f"{first.path} ({first.kind}) is wrong in its {first.phase}" + (f": {first.cause}" if first.cause else "")
    else:
        worst = first.cause or worst
    return worst + (f"; {others} more in the lines below" if others else "")


def _name(subject: Any) -> str:
    whole = inspect.unwrap(subject)
    return str(getattr(whole, "__name__", type(whole).__name__))


def _reference_name(theirs: Any) -> str:
    """Return the name of the reference; a part of torch is called "torch's linear"."""
    whole = theirs if hasattr(theirs, "__name__") else type(theirs)
    library = (getattr(whole, "__module__", None) or "").split(".")[0]
    return f"torch's {whole.__name__}" if library == "torch" else str(whole.__name__).replace("<lambda>", "the reference")


def _builder(subject: Any, options: Mapping[str, Any], steps: type[TrainingSteps] | None) -> Build:
    if steps:
        if not issubclass(steps, OptimiserSteps | ClippingSteps):
            kind = "a schedule" if issubclass(steps, ScheduleSteps | FactorSteps) else "text generation"
            raise ValueError(
                f"{_name(subject)} is {kind}, expected an optimiser or a clipping function; use `parity check --scratch`"
            )
        return lambda: steps(subject, options, find=lambda path: None)
    if isinstance(subject, Module | torch.nn.Module):
        if options:
            raise ValueError(f"a module takes no options, got {', '.join(options)}")
        return lambda: copy.deepcopy(subject)
    return lambda: partial(subject, **options)


def _as_input(value: Any) -> Any:
    value = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
    return float32_representable(value) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
