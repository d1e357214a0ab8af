"""The cause of a culprit's error.

There are two sources of hypotheses. A counterfactual reference computes a known mistake; if the culprit equals it up to rounding,
the culprit makes that mistake. Otherwise the arrays are compared: a factor, a permutation of axes, a shift, a missing term, half
the digits. A cause is given only if the repair that it names makes the tensors match.
"""

from __future__ import annotations

import numpy as np

from parity.explaining.counterfactual_runs import known_mistakes
from parity.explaining.dtypes import dependence_on_dtype
from parity.explaining.hints import FEWEST_WRONG, MARGIN, hint, matches
from parity.explaining.locate import Evidence
from parity.explaining.unsteady import is_unsteady
from parity.judging.tolerance import deviation, largest
from parity.running.problem import Tensors
from parity.running.tensor_name import Phase, TensorName, phase_of

MOST_ALTERNATIVES = 3  # causes that this case cannot tell apart
UNSTEADY = "it gives other numbers on the same inputs: it draws random numbers of its own, or reads memory that it never set"


def cause_of(evidence: Evidence) -> str:
    """Return the cause in one line, or "" where none is certain."""
    if not evidence.worst.tensor:  # it breaks the contract, or does not run
        return evidence.worst.message
    if is_unsteady(evidence):
        return UNSTEADY
    if evidence.phase is Phase.STEP:
        cause = _as_mistaken_steps(evidence) or _from_first_step(evidence)
    else:
        cause = _as_counterfactual(evidence) or _from_arrays(evidence)
    return "; ".join(filter(None, (cause, dependence_on_dtype(evidence))))


def _as_counterfactual(evidence: Evidence) -> str:
    """Return the known mistakes whose results equal the culprit's in every tensor, or else in all tensors of the wrong pass."""
    truth, ours, phase = evidence.calibration.truth, evidence.tensors, evidence.worst.phase
    failing = {name for name in truth.keys() | ours.keys() if phase_of(name) is phase}

    def equal_to(tensors: Tensors) -> set[str]:
        return {name for name in tensors.keys() & ours.keys() if matches(evidence, name, ours[name], tensors[name])}

    whole: list[str] = []
    partly: list[str] = []
    for text, run in known_mistakes(evidence.reference_run):
        if phase is Phase.FORWARD and not (first := run(False)).keys() & failing <= equal_to(first):
            continue  # the forward pass rules most mistakes out, so their backward need not run
        wrong = run(True)
        equal = equal_to(wrong)
        if failing <= equal and not all(
            name in truth and matches(evidence, name, wrong[name], truth[name], MARGIN) for name in failing
        ):
            whole += [text] * (equal == ours.keys())
            partly.append(f"in the {phase} pass, {text}")
    return "; or, which is the same here: ".join((whole or partly)[:MOST_ALTERNATIVES])


def _as_mistaken_steps(evidence: Evidence) -> str:
    """Return the known mistakes whose results equal the culprit's; a mistake need not have every result."""
    truth, found = evidence.calibration.truth, []
    for text, run in known_mistakes(evidence.reference_run):
        wrong = run(True)
        if _same_steps(evidence, wrong, evidence.tensors) and not _same_steps(evidence, wrong, truth, MARGIN):
            found.append(text)
    return "; or, which is the same here: ".join(found[:MOST_ALTERNATIVES])


def _same_steps(evidence: Evidence, wrong: Tensors, others: Tensors, slack: float = 1.0) -> bool:
    """Return whether a mistake has these results; the rounding error of a step with large numbers stays in all later ones."""
    allowed: dict[str, float] = {}
    for name, array in wrong.items():
        if name not in others or others[name].shape != array.shape:
            return False
        if name not in evidence.calibration.unit:  # whole numbers: tokens, counts of steps
            if not np.array_equal(others[name], array):
                return False
            continue
        of_all_steps = TensorName.parse(name).path
        scale, tolerance = evidence.calibration.scale(name), evidence.calibration.tolerance(name, evidence.dtype)
        grown = tolerance * max(1.0, largest(array) / scale if scale else 1.0)
        allowed[of_all_steps] = max(allowed.get(of_all_steps, 0.0), grown)
        if deviation(others[name].astype(np.float64), array) > slack * allowed[of_all_steps]:
            return False
    return True


def _from_arrays(evidence: Evidence) -> str:
    """Return the hint of the worst array of the wrong pass that has one."""
    for finding in evidence.findings:
        if finding.phase is evidence.worst.phase:
            text = hint(evidence, finding.tensor)
            if text:
                return f"{finding.tensor} {text}"
    return ""


def _from_first_step(evidence: Evidence) -> str:
    """Return the hint of a wrong result of the first wrong step; later steps inherit its error."""
    findings = {finding.tensor for finding in evidence.findings}
    sizes = {name: truth.size for name, truth in evidence.calibration.truth.items()}
    wrong = [name for name in sizes if name in findings and sizes[name] >= FEWEST_WRONG]  # fewer would fit any repair
    for name in wrong:
        if TensorName.parse(name).step != TensorName.parse(wrong[0]).step:
            break
        if text := _factor_of_step(evidence, name) or hint(evidence, name):
            return f"{name} {text}"
    return ""


def _factor_of_step(evidence: Evidence, name: str) -> str:
    """Return the factor by which the first step of a parameter must become longer or shorter, or "" where none fits."""
    result = TensorName.parse(name)
    starts = {f"parameter {i}": array for i, array in enumerate(evidence.problem.inputs.get("parameters", ()))}
    start = starts.get(result.path)
    if start is None or result.step != 1 or name not in evidence.tensors:
        return ""
    truth, ours = evidence.calibration.truth[name], evidence.tensors[name]
    if ours.shape != truth.shape or ours.size < FEWEST_WRONG:
        return ""
    step, right = ours.astype(np.float64) - start, truth - start
    length = float(np.vdot(step, step))
    factor = float(np.vdot(step, right)) / length if length else 0.0
    return f"needs a step {factor:.6g} times as long" if matches(evidence, name, start + factor * step, truth) else ""
