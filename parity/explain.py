"""Why a culprit is wrong.

Two sources of hypotheses. Counterfactual references compute a known mistake; if the culprit equals one of them in every
tensor, that is what it computes. Else the arrays are asked: a factor, a permutation of axes, a flip, a shift, a missing
term, half the digits. A cause is given only if the repair that it names makes the tensors match the truth.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from parity import tree
from parity.counterfactuals import counterfactuals
from parity.locate import Evidence
from parity.tolerance import deviation
from parity.twins import run_reference
from scratch.module import Array

Repair = tuple[str, Array]


def explain(evidence: Evidence) -> str:
    """The cause in one line, or "" where none is certain."""
    if not evidence.tensors:
        return ""
    return _as_counterfactual(evidence) or _from_arrays(evidence)


def _as_counterfactual(evidence: Evidence) -> str:
    """The known mistake whose results the culprit's are, in every tensor."""
    matching = []
    for name, text, wrong in counterfactuals():
        tensors = _run_counterfactual(evidence, name, wrong)
        if tensors and _same_tensors(evidence, tensors):
            matching.append(text)
    return matching[0] if matching else ""


def _run_counterfactual(evidence: Evidence, name: str, wrong: Any) -> dict[str, Array]:
    """The reference's tensors with one function of torch.nn.functional replaced, {} where it is not called or cannot run."""
    original, called = getattr(torch.nn.functional, name), False

    def noting(*arguments: Any, **options: Any) -> Any:
        nonlocal called
        called = True
        return wrong(*arguments, **options)

    def build() -> Any:
        subject = evidence.build_reference()
        if isinstance(subject, partial) and subject.func is original:
            return partial(noting, *subject.args, **subject.keywords)
        return subject

    with patch.object(torch.nn.functional, name, noting), suppress(Exception):
        tensors = run_reference(build, evidence.problem, "float64").tensors
        return tensors if called else {}
    return {}


def _same_tensors(evidence: Evidence, candidate: dict[str, Array]) -> bool:
    """Whether the culprit's tensors are the candidate's, and the candidate's are not the truth."""
    if candidate.keys() != evidence.tensors.keys():
        return False
    return all(_matches(evidence, name, evidence.tensors[name], candidate[name]) for name in candidate) and not all(
        _matches(evidence, name, candidate[name], evidence.calibration.truth[name])
        for name in candidate.keys() & evidence.calibration.truth.keys()
    )


def _matches(evidence: Evidence, name: str, array: Array, target: Array) -> bool:
    if array.shape != target.shape:
        return False
    if name not in evidence.calibration.unit:
        return bool(np.array_equal(array, target))
    return deviation(array.astype(np.float64), target.astype(np.float64)) <= evidence.calibration.tolerance(name, evidence.dtype)


def _from_arrays(evidence: Evidence) -> str:
    """What the arrays of the first failing phase say."""
    failing = [finding.tensor for finding in evidence.findings if finding.phase == evidence.worst.phase and finding.tensor]
    for name in failing:
        if name not in evidence.tensors or name not in evidence.calibration.unit:
            continue
        array, truth = evidence.tensors[name], evidence.calibration.truth[name]
        if array.dtype.kind != "f" or not np.isfinite(truth).all():
            continue
        text = _precision(evidence, name) or next(
            (text for text, repaired in _repairs(evidence, name, array, truth) if _matches(evidence, name, repaired, truth)), ""
        )
        text = text or _where(evidence, name, array, truth)
        if text:
            return f"{name} {text}"
    return ""


def _repairs(evidence: Evidence, name: str, array: Array, truth: Array) -> Iterator[Repair]:
    """Hypotheses, simplest first: what is wrong, and the array with that put right."""
    if not np.isfinite(array).all():
        return
    if array.shape == truth.shape:
        if not array.any() and truth.any():
            return
        yield from _factors(evidence, array, truth)
    yield from _permutations(array, truth)
    if array.shape != truth.shape:
        return
    yield from _moves(array)
    yield from _terms(evidence, name, array, truth)


def _factors(evidence: Evidence, array: Array, truth: Array) -> Iterator[Repair]:
    """One factor for all elements, called by what it equals in this case."""
    scale = float(np.vdot(array, array))
    factor = float(np.vdot(array, truth)) / scale if scale else 0.0
    if factor == 0:
        return
    close = 1e-6 if evidence.dtype == "float32" else 1e-11
    for text, value in _named_factors(evidence):
        if math.isclose(factor, value, rel_tol=close):
            yield f"needs the factor {text}", array * factor
            return
    if array.size > 2:
        yield f"needs the factor {factor:.6g}", array * factor


def _named_factors(evidence: Evidence) -> Iterator[tuple[str, float]]:
    """Numbers that mean something in this case: signs, halves, sizes, options, and what is made of them."""
    yield "-1: the sign is wrong", -1.0
    yield "2", 2.0
    yield "1/2", 0.5
    sizes: dict[str, int] = {}
    arrays = dict(leaf for name, value in evidence.problem.inputs.items() for leaf in tree.leaves(name, value))
    for name, array in (arrays | dict(evidence.problem.state)).items():
        if isinstance(array, np.ndarray) and array.ndim:
            sizes |= {f"{n} = {name}.shape[{axis}]": n for axis, n in enumerate(array.shape)}
            sizes[f"{array.size} = {name}.size"] = array.size
            if array.ndim > 1:
                n = array.size // array.shape[1]
                sizes[f"{n} = {name}.size / {name}.shape[1]"] = n
                n = array.size // array.shape[-1]
                sizes[f"{n} = {name}.size / {name}.shape[-1]"] = n
    for text, n in sizes.items():
        if n > 1:
            yield text, n
            yield f"1/{text}", 1 / n
            yield f"sqrt({text.split(' ')[0]}), {text}", math.sqrt(n)
            yield f"1/sqrt({text.split(' ')[0]}), {text}", 1 / math.sqrt(n)
            yield f"n/(n - 1), n = {text}", n / (n - 1)
            yield f"(n - 1)/n, n = {text}", (n - 1) / n
    for name, value in _options(evidence.subject).items():
        for text, number in ((name, value), (f"1 - {name}", 1 - value)):
            if number > 0:
                yield f"{text}, {name} = {value:g}", number
                yield f"1/({text}), {name} = {value:g}", 1 / number


def _options(subject: Any) -> dict[str, float]:
    """The numbers that a function was given or a layer was made with."""
    found = dict(subject.keywords) if isinstance(subject, partial) else dict(vars(subject)) if hasattr(subject, "__dict__") else {}
    return {name: float(value) for name, value in found.items() if isinstance(value, float) and not isinstance(value, bool)}


def _permutations(array: Array, truth: Array) -> Iterator[Repair]:
    """The same numbers with axes in another order."""
    if array.ndim > 5 or array.ndim != truth.ndim:
        return
    for axes in itertools.permutations(range(array.ndim)):
        if axes != tuple(range(array.ndim)) and tuple(array.shape[axis] for axis in axes) == truth.shape:
            yield f"has its axes in another order: .transpose{axes} puts them right", array.transpose(axes)
    if array.size == truth.size and array.shape != truth.shape:
        yield f"has shape {array.shape}; .reshape{truth.shape} puts it right", array.reshape(truth.shape)


def _moves(array: Array) -> Iterator[Repair]:
    """The same numbers turned round or shifted along an axis."""
    for axis in range(array.ndim):
        if array.shape[axis] > 2:
            yield f"is reversed along axis {axis}", np.flip(array, axis)
            for step in (1, -1):
                yield f"is shifted by {-step} along axis {axis}", np.roll(array, step, axis)


def _terms(evidence: Evidence, name: str, array: Array, truth: Array) -> Iterator[Repair]:
    """A missing term: a known array, or a known array times something constant along an axis."""
    difference = truth - array
    known = _known(evidence, name, truth.shape)
    for text, term in known.items():
        scale = float(np.vdot(term, term))
        if scale and truth.size > 3:
            factor = float(np.vdot(term, difference)) / scale
            for whole in (1.0, -1.0, factor):
                if whole and math.isclose(whole, factor, rel_tol=1e-6):
                    sign = {1.0: "+ ", -1.0: "- "}.get(round(whole, 9), f"+ {whole:.6g} x ")
                    yield f"lacks the term {sign}{text}", array + whole * term
                    break
    if truth.size < 12:
        return
    for text, term in ({"": np.ones_like(truth)} | known).items():
        if (term == 0).any():
            continue
        ratio = difference / term
        for axis in range(truth.ndim):
            if truth.shape[axis] > 2:
                level = ratio.mean(axis=axis, keepdims=True)
                times = f"{text} x " if text else ""
                yield (
                    f"lacks the term {times}(something constant along axis {axis}, such as a sum or mean over it)",
                    array + term * level,
                )


def _known(evidence: Evidence, name: str, shape: tuple[int, ...]) -> dict[str, Array]:
    """Arrays of this case that a missing term could be, in the shape of the tensor."""
    problem = evidence.problem
    found: dict[str, Any] = dict(leaf for key, value in problem.inputs.items() for leaf in tree.leaves(key, value))
    found |= dict(problem.state)
    if name.startswith("grad "):
        found |= {"dy" if len(problem.cotangents) == 1 else f"dy[{i}]": dy for i, dy in enumerate(problem.cotangents)}
        found |= {key: value for key, value in evidence.calibration.truth.items() if key.startswith("y")}
    arrays = {}
    for key, value in found.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim:
            per_channel = (
                value.reshape(-1, *[1] * (len(shape) - 2))
                if value.ndim == 1 and len(shape) > 2 and value.size == shape[1]
                else value
            )
            with suppress(ValueError):
                arrays[key] = np.broadcast_to(per_channel, shape).astype(np.float64)
    return arrays


def _precision(evidence: Evidence, name: str) -> str:
    """Right to float32 where float64 was asked for, or to float16."""
    array, truth = evidence.tensors[name], evidence.calibration.truth[name]
    if array.shape != truth.shape or not np.isfinite(array).all():
        return ""
    scale = float(np.abs(truth).max(initial=0))
    error = deviation(array.astype(np.float64), truth) / scale if scale else 0.0
    for half, bound in (("float32", 2.0**-22), ("float16", 2.0**-9)):
        rounded = array.astype(half).astype(array.dtype)
        if (
            half != evidence.dtype
            and error < bound
            and np.array_equal(rounded, array)
            and not np.array_equal(truth.astype(half), truth)
        ):
            return f"holds numbers of {half} precision in {evidence.dtype}"
    return ""


def _where(evidence: Evidence, name: str, array: Array, truth: Array) -> str:
    """Where the differences sit, if that is a place with a name."""
    if array.shape != truth.shape or truth.ndim == 0:
        return ""
    finite = np.isfinite(array)
    if not finite.all():
        return f"is NaN or infinite in {int((~finite).sum())} of {array.size} values"
    if not array.any() and truth.any():
        return "is zero everywhere"
    wrong = np.abs(array.astype(np.float64) - truth) > evidence.calibration.tolerance(name, evidence.dtype)
    count = f"{int(wrong.sum())} of {wrong.size} values"
    if wrong.all() or not wrong.any():
        return ""
    inputs = dict(leaf for key, value in evidence.problem.inputs.items() for leaf in tree.leaves(key, value))
    for key, value in inputs.items():
        if isinstance(value, np.ndarray) and value.shape == truth.shape and value.dtype.kind == "f":
            for text, place in ((f"{key} is 0", value == 0), (f"{key} is negative", value < 0), (f"{key} is positive", value > 0)):
                if not (wrong & ~place).any() and wrong.sum() > 0.7 * place.sum():
                    return f"differs only where {text} ({count})"
    for axis in range(truth.ndim):
        others = tuple(a for a in range(truth.ndim) if a != axis)
        hit = np.flatnonzero(wrong.any(axis=others))
        n = truth.shape[axis]
        if n > 2 and len(hit) == 1:
            place = "first" if hit[0] == 0 else "last" if hit[0] == n - 1 else f"at index {hit[0]}"
            return f"differs only {place} along axis {axis} ({count})"
    if truth.ndim >= 3 and min(truth.shape[-2:]) > 2 and not wrong[..., 1:-1, 1:-1].any():
        return f"differs only at the edges of the images ({count})"
    return ""
