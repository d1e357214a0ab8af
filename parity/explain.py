"""Why a culprit is wrong.

Two sources of hypotheses. Counterfactual references compute a known mistake: what the culprit equals to rounding is what
it computes. Else the arrays are asked: a factor, a permutation of axes, a shift, a missing term, half the digits. A cause
is given only if the repair that it names makes the tensors match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from parity import tree
from parity.counterfactuals import counterfactuals
from parity.hints import hint, matches
from parity.locate import Evidence
from parity.twins import Tensors, other_numbers, run_reference

ALTERNATIVES = 3  # causes that this case cannot tell apart and that are all given


def explain(evidence: Evidence) -> str:
    """The cause in one line, or "" where none is certain."""
    if not evidence.worst.tensor:  # it breaks the contract, or does not run
        return evidence.worst.message
    return _as_counterfactual(evidence) or _from_arrays(evidence)


def _as_counterfactual(evidence: Evidence) -> str:
    """The known mistakes whose results the culprit's are: in every tensor, or else in every one of the failing phase."""
    truth, ours, phase = evidence.calibration.truth, evidence.tensors, evidence.worst.phase
    failing = {name for name in truth if _phase(name) == phase}
    whole: list[str] = []
    partly: list[str] = []
    for text, wrong in _wrong_runs(evidence):
        equal = {name for name in wrong.keys() & ours.keys() if matches(evidence, name, ours[name], wrong[name])}
        if failing <= equal and not all(matches(evidence, name, wrong[name], truth[name]) for name in failing):
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
        yield f"behaves as in {mode}", run_reference(lambda: build().train(not subject.training), problem, "float64").tensors
    later = replace(problem, inputs=tree.map_leaves(other_numbers, dict(problem.inputs)))
    text = "is that of a later call: what the backward needs is kept where the next call overwrites it"
    with suppress(Exception):
        yield text, run_reference(build, later, "float64").tensors
    for name, (arguments, options) in calls.seen.items():
        for text, wrong in counterfactuals(name, arguments, options):
            for backward in (True, False):  # a mistake need not fit every call; of another shape, it has no backward here
                with suppress(Exception), _Instead(name, wrong):
                    yield text, run_reference(build, problem, "float64", backward=backward).tensors
                    break


class _Calls(TorchFunctionMode):
    """Notes the arguments of the first call of each torch function."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.setdefault(function.__name__, (args, kwargs or {}))
        return function(*args, **kwargs or {})


class _Instead(TorchFunctionMode):
    """Another function in place of every torch function of one name; inside it, that name means torch's again."""

    def __init__(self, name: str, wrong: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.name, self.wrong = name, wrong

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return (self.wrong if function.__name__ == self.name else function)(*args, **kwargs or {})


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
