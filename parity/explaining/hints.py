"""Hypotheses about a wrong array, each with the repair that would make the array right.

A hypothesis becomes a hint only if its repair makes the array match the truth. If no repair does, the hint names the place of
the wrong numbers, provided that the place has a name.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from parity.explaining.locate import Evidence
from parity.explaining.noise import has_both_signs, is_rounding
from parity.judging.tolerance import BY_NATURE_ZERO, deviation, largest
from parity.running import nested
from parity.running.tensor_name import Kind, TensorName
from scratch.module import Array

Repair = tuple[str, Array]

FEWEST_WRONG = 4  # numbers that must be wrong before a fitted factor proves anything
UNLIKELY = math.log(1e4)  # a place is named where chance would put the wrong numbers there in fewer than 1 of 10,000 draws
MARGIN = 10  # tolerances by which each of them must be wrong
FLOAT32_UNITS = 4  # units of error that a float64 computation may have and still be right to float32's precision
LEAST_OF_A_CAST = 1 / 20  # of a rounding of float32 in the tensor's largest number; a smaller error is no cast to float32
MOST_NAMES = 3  # names of one number in a hint


def hint(evidence: Evidence, name: str) -> str:
    """Return the mistake in one tensor of a culprit, or "" where none is certain."""
    if name not in evidence.tensors:
        return "is missing: it is neither returned nor accumulated"
    if name not in evidence.calibration.truth:
        return "is not expected: torch has none"
    if name not in evidence.calibration.unit:
        return ""
    array, truth = evidence.tensors[name], evidence.calibration.truth[name]
    if array.dtype.kind != "f" or not np.isfinite(truth).all():
        return ""
    if matches(evidence, name, array, np.zeros_like(truth)) and _is_something(evidence, name, truth):
        return "is zero everywhere"
    if array.shape == truth.shape and not np.isfinite(array).all():
        return f"is NaN or infinite in {int((~np.isfinite(array)).sum())} of {array.size} values"
    if matches(evidence, name, array, truth):
        wrong = f"is {array.dtype} in {evidence.dtype}, its numbers are right: something of that dtype enters the computation"
        return "" if array.dtype == evidence.dtype else wrong
    exact, error = array.astype(np.float64), deviation(array, truth) if array.shape == truth.shape else float("inf")
    if error < MARGIN * evidence.calibration.tolerance(name, evidence.dtype):
        return ""  # so small an error matches many repairs
    sources = [_precision(evidence, name, array, truth), _reshaped(exact, truth)]
    if array.shape == truth.shape:
        sources += [
            _factors(evidence, name, exact, truth),
            _moved(exact, truth),
            _terms(evidence, name, exact, truth),
            _swapped(evidence, exact, truth),
        ]
    if text := _confirmed(evidence, name, truth, itertools.chain(*sources)):
        return text
    if array.shape != truth.shape:
        return ""
    return _place(evidence, name, array, truth) or _confirmed(evidence, name, truth, _along_axes(evidence, name, exact, truth))


def _confirmed(evidence: Evidence, name: str, truth: Array, repairs: Iterable[Repair]) -> str:
    """Return the first hypothesis whose repair makes the array match."""
    return next((text for text, repaired in repairs if matches(evidence, name, repaired, truth)), "")


def matches(evidence: Evidence, name: str, array: Array, target: Array, slack: float = 1.0) -> bool:
    """Return whether two arrays are equal by the tolerance of the tensor of this name; larger numbers may have a larger error."""
    if array.shape != target.shape:
        return False
    if name not in evidence.calibration.unit:
        return bool(np.array_equal(array, target))
    scale, expected = largest(target), evidence.calibration.scale(name)
    tolerance = slack * evidence.calibration.tolerance(name, evidence.dtype) * max(1.0, scale / expected if expected else 1.0)
    return deviation(array.astype(np.float64), target.astype(np.float64)) <= tolerance


def _precision(evidence: Evidence, name: str, array: Array, truth: Array) -> Iterator[Repair]:
    """Yield repairs of numbers that went through a dtype of fewer digits."""
    if array.shape != truth.shape or not _is_something(evidence, name, truth):
        return
    error = deviation(array.astype(np.float64), truth)
    rounded = array.astype(np.float16).astype(np.float64)
    is_rounded = deviation(array, rounded) <= evidence.calibration.tolerance(name, "float64")
    if error < 4 * float(np.finfo(np.float16).eps) * largest(truth) and is_rounded:
        yield f"holds numbers of float16 precision in {evidence.dtype}", truth
    is_large = error >= LEAST_OF_A_CAST * float(np.finfo(np.float32).eps) * largest(truth)
    right = all(_right_to_float32(evidence, each.tensor) for each in evidence.findings)
    may_be_cast = evidence.dtype == "float64" and is_large and right and not evidence.second_call  # which is next to the first
    if may_be_cast and (is_rounding(evidence, name) or has_both_signs(evidence, name)):
        yield "is right to the precision of float32 only", truth


def _right_to_float32(evidence: Evidence, name: str) -> bool:
    """Return whether a tensor is as near to the truth as float32 would be."""
    if name not in evidence.tensors or name not in evidence.calibration.unit:
        return False
    array, truth = evidence.tensors[name], evidence.calibration.truth[name]
    return array.shape == truth.shape and deviation(array, truth) <= FLOAT32_UNITS * evidence.calibration.unit[name]


def _reshaped(array: Array, truth: Array) -> Iterator[Repair]:
    """Yield the same numbers in another shape, with axes in another order, or summed over broadcast axes."""
    if array.ndim == truth.ndim <= 5:
        for axes in itertools.permutations(range(array.ndim)):
            if axes != tuple(range(array.ndim)) and tuple(array.shape[axis] for axis in axes) == truth.shape:
                yield f"has its axes in another order: .transpose{axes} puts them right", array.transpose(axes)
    if array.shape == truth.shape:
        return
    if array.size == truth.size:
        yield f"has shape {array.shape}; .reshape{truth.shape} puts it right", array.reshape(truth.shape)
    for n in range(1, array.ndim + 1):
        for axes in itertools.combinations(range(array.ndim), n):
            total = array.sum(axis=axes)
            if total.size == truth.size:
                yield f"is not summed over the broadcast {'axis' if n == 1 else 'axes'} {_listed(axes)}", total.reshape(truth.shape)


def _factors(evidence: Evidence, name: str, array: Array, truth: Array) -> Iterator[Repair]:
    """Yield one factor for all numbers, named by its meaning in this case, or a known array as a factor.

    A truth of zeros proves nothing: a known array of zeros would repair any array.
    """
    if not _is_something(evidence, name, truth):
        return
    scale = float(np.vdot(array, array))
    factor = float(np.vdot(array, truth)) / scale if scale else 0.0
    if math.isclose(factor, -1, rel_tol=_closeness(evidence)):
        yield "has the wrong sign", -array
    if not math.isclose(abs(factor), 1, rel_tol=1e-6) and (named := _named(evidence, abs(factor))):
        yield f"needs the factor {'-' if factor < 0 else ''}{named}", array * factor
    for text, known in _known(evidence, truth.shape).items():
        if text == name:
            continue
        with np.errstate(all="ignore"):
            yield f"lacks the factor {text}", array * known
            if np.abs(known).min() > BY_NATURE_ZERO * largest(known):
                yield f"has the factor {text} too many", array / known
    if _evident(evidence, name, array, truth).sum() >= FEWEST_WRONG and math.isfinite(factor):
        yield f"needs the factor {factor:.6g}", array * factor


def _moved(array: Array, truth: Array) -> Iterator[Repair]:
    """Yield the same numbers reversed or shifted along axes, or in another order."""
    for axis in range(array.ndim):
        if array.shape[axis] > 2:
            yield f"is reversed along axis {axis}", np.flip(array, axis)
            for step in (1, -1):
                yield f"is shifted by {-step} along axis {axis}", np.roll(array, step, axis)
    if array.ndim > 2:
        yield "is reversed along both of the last axes", np.flip(array, (-2, -1))
    if array.size >= FEWEST_WRONG:
        order = np.argsort(array, axis=None)[np.argsort(np.argsort(truth, axis=None))]
        yield "holds the right numbers in the wrong order", array.reshape(-1)[order].reshape(array.shape)


def _terms(evidence: Evidence, name: str, array: Array, truth: Array) -> Iterator[Repair]:
    """Yield the array plus a missing term: a known array times a factor."""
    missing = truth - array
    known = {key: term for key, term in _known(evidence, truth.shape).items() if key != name}
    if _evident(evidence, name, array, truth).sum() < FEWEST_WRONG:
        return
    for text, term in known.items():
        scale = float(np.vdot(term, term))
        factor = float(np.vdot(term, missing)) / scale if scale else 0.0
        if factor:
            number = _named(evidence, abs(factor)) or f"{abs(factor):.6g}"
            times = "" if number == "1" else f"({number}) x " if "=" in number else f"{number} x "
            yield f"lacks the term {'-' if factor < 0 else '+'} {times}{text}", array + factor * term


def _along_axes(evidence: Evidence, name: str, array: Array, truth: Array) -> Iterator[Repair]:
    """Yield the array with a missing factor or term that is constant along an axis, whatever its numbers are."""
    known = {key: term for key, term in _known(evidence, truth.shape).items() if key != name}
    evident = _evident(evidence, name, array, truth)
    for axis in range(array.ndim):
        counts = evident.sum(axis)
        if 2 * counts[counts >= FEWEST_WRONG].sum() <= counts.sum():  # too few wrong numbers share a fitted number
            continue
        with np.errstate(all="ignore"):
            level = (array * truth).sum(axis, keepdims=True) / (array * array).sum(axis, keepdims=True)
            one_row = _is_multiples_of_one_row(evidence, name, np.moveaxis(truth, axis, -1))
            if _is_something(evidence, name, truth) and not one_row:
                yield f"needs a factor that is constant along axis {axis}", array * np.nan_to_num(level)
            for text, term in ({"": np.ones_like(truth)} | ({} if one_row else known)).items():
                level = (term * (truth - array)).sum(axis, keepdims=True) / (term * term).sum(axis, keepdims=True)
                constant = f"something constant along axis {axis}, such as a sum or mean over it"
                yield f"lacks the term {f'{text} x ' if text else ''}({constant})", array + term * np.nan_to_num(level)


def _evident(evidence: Evidence, name: str, array: Array, truth: Array) -> Array:
    """Return which numbers are so wrong that a repair of them is no accident."""
    return np.abs(truth - array) > MARGIN * evidence.calibration.tolerance(name, evidence.dtype)


def _is_multiples_of_one_row(evidence: Evidence, name: str, truth: Array) -> bool:
    """Return whether all rows are multiples of one row; then a factor per row could repair any error, which proves nothing."""
    rows = truth.reshape(-1, truth.shape[-1])
    row = rows[np.square(rows).sum(axis=1).argmax()]
    return len(rows) > 1 and not _evident(evidence, name, np.outer(rows @ row / (row @ row), row), rows).any()


def _is_something(evidence: Evidence, name: str, truth: Array) -> bool:
    """Return whether the truth is more than rounding errors; a factor of 0 would turn any array into those."""
    return bool(_evident(evidence, name, np.zeros_like(truth), truth).any())


def _swapped(evidence: Evidence, array: Array, truth: Array) -> Iterator[Repair]:
    """Yield the truth where the array holds the right numbers of another tensor."""
    for other, value in evidence.calibration.truth.items():
        if other in evidence.calibration.unit and _is_something(evidence, other, value) and matches(evidence, other, array, value):
            yield f"is what {other} should be", truth


def _named(evidence: Evidence, number: float) -> str:
    """Return a name of a number in this case: a small number, a size, an option, or a formula of one; "" where it has none."""
    bases: dict[float, list[str]] = {1.0: [], 2.0: [], 3.0: []}
    arrays = dict(leaf for key, value in evidence.problem.inputs.items() for leaf in nested.leaves(key, value))
    arrays |= dict(evidence.problem.state) | _upstream(evidence)
    for key, array in arrays.items():
        if isinstance(array, np.ndarray) and array.ndim:
            sizes = {f"{key}.shape[{axis}]": n for axis, n in enumerate(array.shape)} | {f"{key}.size": array.size}
            if array.ndim > 1:
                sizes |= {f"{key}.size / {key}.shape[{axis}]": array.size // array.shape[axis] for axis in range(array.ndim)}
            for text, n in sizes.items():
                bases.setdefault(float(n), []).append(text)
    for key, value in _options(evidence.subject).items():
        bases.setdefault(value, []).append(key)
    for base, names in bases.items():
        n = f"{base:g}"
        made = {
            n: base,
            f"1/{n}": 1 / base if base else 0.0,
            f"√{n}": math.sqrt(abs(base)),
            f"1/√{n}": 1 / math.sqrt(abs(base)) if base else 0.0,
            f"(1 - {n})": 1 - base,
            f"(1 - {n})/{n}": (1 - base) / base if base else 0.0,
            f"{n}/(1 - {n})": base / (1 - base) if base != 1 else 0.0,
            f"1/(1 - {n})²": (1 - base) ** -2 if base != 1 else 0.0,
            f"1/(1 - {n})": 1 / (1 - base) if base != 1 else 0.0,
            f"{n}/({n} - 1)": base / (base - 1) if base > 1 else 0.0,
            f"({n} - 1)/{n}": (base - 1) / base if base > 1 else 0.0,
        }
        for text, value in made.items():
            if value > 0 and math.isclose(number, value, rel_tol=_closeness(evidence)):
                return " = ".join([f"{text}, {n}" if names and text != n else text, *names[:MOST_NAMES]])
    return ""


def _upstream(evidence: Evidence) -> dict[str, Array]:
    """Return the upstream gradients by their names in a backward."""
    cotangents = evidence.problem.cotangents
    return {"dy" if len(cotangents) == 1 else f"dy[{i}]": dy for i, dy in enumerate(cotangents)}


def _closeness(evidence: Evidence) -> float:
    """Return the relative difference up to which two numbers are the same number."""
    return 1e-6 if evidence.dtype == "float32" else 1e-11


def _options(subject: Any) -> dict[str, float]:
    """Return the floating-point options of a function or attributes of a layer."""
    found = dict(subject.keywords) if isinstance(subject, partial) else dict(getattr(subject, "__dict__", {}))
    return {name: float(value) for name, value in found.items() if isinstance(value, float)}


def _known(evidence: Evidence, shape: tuple[int, ...]) -> dict[str, Array]:
    """Return this case's arrays that a tensor could lack, in its shape: inputs, weights, upstream gradients, outputs."""
    problem = evidence.problem
    found: dict[str, Any] = dict(leaf for key, value in problem.inputs.items() for leaf in nested.leaves(key, value))
    found |= dict(problem.state) | _upstream(evidence) | _outputs(evidence)
    arrays = {}
    for key, value in found.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "fb":
            channels = value.ndim == 1 and len(shape) > 1 and value.size == shape[1]
            with suppress(ValueError):
                array = value.reshape(-1, *[1] * (len(shape) - 2)) if channels else value
                arrays[key] = np.broadcast_to(array, shape).astype(np.float64)
    return {key: array for key, array in arrays.items() if np.isfinite(array).all()}


def _outputs(evidence: Evidence) -> dict[str, Array]:
    """Return the outputs of the reference by name."""
    return {key: value for key, value in evidence.calibration.truth.items() if TensorName.parse(key).kind is Kind.OUTPUT}


def _zero(evidence: Evidence, key: str) -> float:
    """Return the largest magnitude of a known number that counts as zero: a computed number may be off by a rounding."""
    return evidence.calibration.tolerance(key, "float64") if key in evidence.calibration.unit else 0.0


def _place(evidence: Evidence, name: str, array: Array, truth: Array) -> str:
    """Return the place of the differences, or "" where it has no name."""
    wrong = np.abs(array.astype(np.float64) - truth) > evidence.calibration.tolerance(name, evidence.dtype)
    count = f"{int(wrong.sum())} of {wrong.size} values"
    if wrong.all() or not wrong.any() or truth.ndim == 0:
        return ""
    could_be = wrong | (np.abs(truth) > evidence.calibration.tolerance(name, evidence.dtype))  # a zero may be right by chance

    def is_no_luck(place: Array) -> bool:
        return bool(wrong.sum() * np.log((could_be | place).sum() / place.sum()) > UNLIKELY)

    for text, place in _places(evidence, truth.shape):
        if not (wrong & ~place).any() and wrong.sum() > 0.7 * place.sum() and is_no_luck(place):
            return f"differs only where {text} ({count})"
    for axis in range(truth.ndim):
        hit = np.flatnonzero(wrong.any(axis=tuple(a for a in range(truth.ndim) if a != axis)))
        n = truth.shape[axis]
        if n > 2 and len(hit) == 1 and wrong.sum() > 1:  # one wrong number lies at one index by necessity
            there = np.broadcast_to(np.arange(n).reshape(-1, *(1,) * (truth.ndim - 1 - axis)) == hit[0], truth.shape)
            if (could_be & ~there).sum() > (could_be & there).sum():
                index = "first" if hit[0] == 0 else "last" if hit[0] == n - 1 else f"at index {hit[0]}"
                return f"differs only {index} along axis {axis} ({count})"
    if truth.ndim >= 3 and min(truth.shape[-2:]) > 2 and not wrong[..., 1:-1, 1:-1].any():
        edges = 1 - math.prod(n - 2 for n in truth.shape[-2:]) / math.prod(truth.shape[-2:])
        return f"differs only at the edges of the images ({count})" if wrong.sum() * -math.log(edges) > UNLIKELY else ""
    return ""


def _places(evidence: Evidence, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Yield the places that the case's inputs and outputs mark in a tensor of this shape."""
    inputs = dict(leaf for key, value in evidence.problem.inputs.items() for leaf in nested.leaves(key, value))
    options = evidence.subject.keywords if isinstance(evidence.subject, partial) else getattr(evidence.subject, "__dict__", {})
    marks: list[tuple[str, Array]] = []
    for key, value in (inputs | _outputs(evidence)).items():
        if not isinstance(value, np.ndarray) or not value.ndim:
            continue
        if value.dtype.kind == "b":
            marks += [(f"{key} is false", ~value), (f"{key} is true", value)]
        elif value.dtype.kind == "i" and "ignore_index" in options:
            marks.append((f"{key} is ignore_index", value == options["ignore_index"]))
        elif value.dtype.kind == "f":
            zero = _zero(evidence, key)
            marks += [(f"{key} is 0", np.abs(value) <= zero)]
            marks += [(f"{key} is negative", value < -zero), (f"{key} is positive", value > zero)]
    for text, mark in marks:
        if mark.shape == shape:
            yield text, mark
        elif mark.ndim + 1 == len(shape) and mark.shape == shape[:1] + shape[2:]:  # a label for each row of classes
            yield text, np.broadcast_to(np.expand_dims(mark, 1), shape)


def _listed(axes: tuple[int, ...]) -> str:
    return ", ".join(map(str, axes))
