"""Run both twins on one call and compare their results and refusals."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from parity.case import resolve
from parity.inputs import Draw
from parity.running import nested
from parity.running.device import reproducible
from parity.running.trace import Trace, record_reference, record_scratch, to_numpy
from parity.weights import set_state
from parity_tests.fuzzing.changes import Call, apply
from scratch.module import Module

RELATIVE_TOLERANCE = {"float64": 1e-4, "float32": 1e-3, "float16": 3e-2}  # error allowed, as a share of a tensor's largest number
FLOOR = {
    "float64": 1e-3,
    "float32": 1e-3,
    "float16": 1e-1,
}  # share of the largest number of all tensors: the error allowed in a tensor that is 0 except for rounding
JITTER = {
    "float64": 1e-9,
    "float32": 1e-6,
    "float16": 1e-3,
}  # relative change of each number, too small to matter if torch is stable


@dataclass
class Outcome:
    """The tensors that one twin returned, by name, or the error that it raised."""

    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    error: BaseException | None = None
    state: dict[str, np.ndarray] = field(default_factory=dict)
    upstream: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """A difference between the twins on one call.

    kind    "accepted" (torch refuses it), "refused" (torch accepts it), "cryptic" (refused without a clear line), "differs", or
            "not finite" (differs after NaN or infinity was given)
    """

    kind: str
    call: Call
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}  {self.call}\n    {self.detail}"


def judge(call: Call) -> Finding | None:
    """Return the first thing that is wrong with a call, or None if both twins agree or both refuse it."""
    with _quiet():
        theirs = _run_reference(call)
        mine = _run_scratch(call, theirs)
        if mine.error is not None:
            said = cryptic(mine.error, call.case.scratch)
            if said:
                return Finding("cryptic", call, f"{said}; torch: {_one_line(theirs.error)}")
            return None if theirs.error else Finding("refused", call, str(mine.error))
        if theirs.error is not None:
            return Finding("accepted", call, _one_line(theirs.error))
        detail = _difference(mine.tensors, theirs.tensors)
        if detail and (_ill_conditioned(call, theirs.tensors) or _is_nearer_to_float64(call, mine.tensors, theirs.tensors)):
            return None
        return Finding("not finite" if call.holds_nonfinite else "differs", call, detail) if detail else None


def cryptic(error: BaseException, target: str) -> str:
    """Say why an error message is unclear; return "" if it is one line of a ValueError that names an op or a layer."""
    text = str(error)
    if type(error) is not ValueError:
        return f"{type(error).__name__}: {_one_line(error)}"
    if "\n" in text or ":" not in text:
        return f"expected one line that begins with the name of an op or a layer: {text}"
    speaker = text.split(":")[0].split()[0] if text.split(":")[0] else ""
    known = hasattr(resolve("ops", "scratch"), speaker) or hasattr(resolve("layers", "scratch"), speaker)
    known = known or hasattr(resolve("models", "scratch"), speaker) or speaker == target.split(".")[-1]
    return "" if known else f"expected a line that begins with the name of an op or a layer: {text}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Turn off warnings of numbers that are not finite: these calls produce them on purpose."""
    with reproducible(), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _run_reference(call: Call, jittered: bool = False) -> Outcome:
    """Run PyTorch: outputs, gradients, and the weights and upstream gradients that scratch will get too."""
    noise, outcome = np.random.default_rng(1), Outcome()

    def leaf(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        if jittered and value.dtype.name in JITTER:
            value = (value * (1 + JITTER[value.dtype.name] * noise.uniform(-1, 1, value.shape))).astype(value.dtype)
        return torch.from_numpy(np.array(value, order="C"))

    try:
        subject = _build_reference(call)
        parameters: dict[str, Any] = {}
        if isinstance(subject, torch.nn.Module):
            outcome.state = _draw_state(subject)
            set_state(subject, outcome.state)
            parameters = dict(subject.named_parameters())
        inputs = {name: nested.map_leaves(leaf, value) for name, value in call.inputs.items()}
        wanted = {part: t for name, v in inputs.items() if name not in call.case.constants for part, t in nested.leaves(name, v)}
        wanted = {name: t.requires_grad_() for name, t in wanted.items() if isinstance(t, torch.Tensor) and t.is_floating_point()}
        with record_reference(subject, Trace(0), record_calls=False):
            outputs = dict(nested.leaves("y", subject(*inputs.values())))
        differentiable = {name: y for name, y in outputs.items() if isinstance(y, torch.Tensor) and y.requires_grad}
        outcome.upstream = {name: _draw_upstream(i, to_numpy(y)) for i, (name, y) in enumerate(differentiable.items())}
        if differentiable:
            torch.autograd.backward(list(differentiable.values()), [torch.from_numpy(dy) for dy in outcome.upstream.values()])
        gradients = {f"grad {name}": t.grad for name, t in (wanted | parameters).items() if t.grad is not None}
        buffers = dict(subject.named_buffers()) if isinstance(subject, torch.nn.Module) else {}
        tensors = outputs | gradients | {f"buffer {name}": buffer for name, buffer in buffers.items()}
        outcome.tensors = {name: np.asarray(to_numpy(tensor)) for name, tensor in tensors.items()}
    except Exception as error:
        outcome.error = error
    return outcome


def _run_scratch(call: Call, theirs: Outcome) -> Outcome:
    """Run the NumPy twin: outputs and gradients."""
    outcome = Outcome()
    try:
        target = resolve(call.case.scratch, "scratch")
        subject = target(**call.config) if isinstance(target, type) else partial(target, **call.config)
        parameters: dict[str, Any] = {}
        if isinstance(subject, Module):
            subject = subject.train(call.case.training).astype(call.dtype)
            if theirs.state:
                set_state(subject, theirs.state)
            parameters = dict(subject.named_parameters())
        with record_scratch(subject, Trace(0)):
            y, backward = subject(*call.inputs.values())
        outcome.tensors = {name: np.array(leaf) for name, leaf in nested.leaves("y", y)}
        if isinstance(subject, Module):
            outcome.tensors |= {f"buffer {name}": buffer.data.copy() for name, buffer in subject.named_buffers()}
        same_shapes = all(outcome.tensors[n].shape == dy.shape for n, dy in theirs.upstream.items() if n in outcome.tensors)
        if theirs.error is not None or not theirs.upstream or not same_shapes:
            return outcome
        gradients = backward(*(dy.copy() for dy in theirs.upstream.values()))
        gradients = gradients if isinstance(gradients, tuple | list) and len(call.inputs) > 1 else (gradients,)
        for name, gradient in zip(call.inputs, gradients, strict=False):
            outcome.tensors |= {f"grad {part}": np.asarray(g) for part, g in nested.leaves(name, gradient)}
        outcome.tensors |= {f"grad {name}": p.grad for name, p in parameters.items() if p.grad is not None}
    except Exception as error:
        outcome.error = error
    return outcome


def _build_reference(call: Call) -> Any:
    """Build the PyTorch side: a module, or a function with its options."""
    target = resolve(call.case.reference, "reference")
    options = {name: torch.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for name, v in call.config.items()}
    if isinstance(target, type):
        return target(**options).train(call.case.training).to(getattr(torch, call.dtype))
    return partial(target, **options)


def _draw_state(subject: torch.nn.Module) -> dict[str, np.ndarray]:
    """Draw weights and buffers in which no bias is zero; tied ones are equal."""
    tensors, first = subject.state_dict(keep_vars=True), dict[int, str]()
    names = {name: first.setdefault(id(tensor), name) for name, tensor in tensors.items()}
    buffers = {name: to_numpy(buffer) for name, buffer in subject.named_buffers()}
    drawn = Draw(0, 1).state({name: tuple(tensors[name].shape) for name in first.values()}, buffers)
    dtypes = {name: to_numpy(tensor).dtype for name, tensor in tensors.items()}
    return {name: drawn[original].astype(dtypes[name]) for name, original in names.items()}


def _draw_upstream(number: int, y: np.ndarray) -> np.ndarray:
    """Draw an upstream gradient for an output."""
    return np.asarray(Draw(2, number).normal(*y.shape), dtype=y.dtype)


def _difference(mine: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> str:
    """Say in words how the tensors differ; return "" if they agree. A missing gradient counts as zeros."""
    largest = max((np.abs(t[np.isfinite(t)]).max(initial=0) for t in theirs.values() if t.dtype.kind == "f"), default=0.0)
    for name, truth in theirs.items():
        found = mine.get(name)
        if found is None and name.startswith("grad"):
            found = np.zeros_like(truth)
        if found is None:
            return f"{name} is missing"
        if found.shape != truth.shape:
            return f"{name} has shape {found.shape}, torch {truth.shape}"
        if found.dtype != truth.dtype and "f" in (found.dtype.kind, truth.dtype.kind):
            return f"{name} is {found.dtype}, torch {truth.dtype}"
        if truth.dtype.kind != "f":
            if not np.array_equal(found, truth):
                return f"{name} is {found.ravel()[:5]}, torch {truth.ravel()[:5]}"
            continue
        if truth.dtype == np.float16 and (not name.startswith("y") or not np.isfinite(truth).all()):
            continue  # torch rounds other intermediate steps of float16
        if detail := _numbers_differ(
            found.astype(np.float64),
            truth.astype(np.float64),
            RELATIVE_TOLERANCE[truth.dtype.name],
            FLOOR[truth.dtype.name] * largest,
        ):
            return f"{name} {detail}"
    extra = [name for name, found in mine.items() if name not in theirs and not name.startswith("grad")]
    return f"{extra[0]} is missing in torch" if extra else ""


def _numbers_differ(found: np.ndarray, truth: np.ndarray, allowed: float, floor: float) -> str:
    """Say how far apart the numbers are, or where only one side is finite; return "" if they agree."""
    finite = np.isfinite(truth)
    same = np.where(finite, np.isfinite(found), (np.isnan(found) & np.isnan(truth)) | (found == truth))
    if not same.all():
        place = tuple(int(i) for i in np.argwhere(~same)[0])
        return f"at {place} of {truth.shape} is {found[place]}, torch {truth[place]} ({(~same).sum()} of {truth.size} places)"
    if not finite.any():
        return ""
    scale = np.abs(truth[finite]).max()
    error = np.abs(found[finite] - truth[finite]).max()
    return f"is off by {error:.2g} of {scale:.2g}" if error > allowed * (scale + floor) else ""


def _ill_conditioned(call: Call, truth: Mapping[str, np.ndarray]) -> bool:
    """Return whether rounding the inputs or the options changes torch's result too; then a comparison means nothing."""
    rounded = [_run_reference(_with_rounded_options(call, sign)) for sign in (1, -1)]
    if all(run.error is None and _difference(run.tensors, truth) for run in rounded):
        return True
    return bool(_difference(_run_reference(call, jittered=True).tensors, truth))


def _with_rounded_options(call: Call, sign: int) -> Call:
    """Return the call with every fractional option rounded up or down."""
    factor = 1 + sign * JITTER["float64"]
    return replace(call, config={name: v * factor if isinstance(v, float) else v for name, v in call.config.items()})


def _is_nearer_to_float64(call: Call, mine: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> bool:
    """Return whether float32 is what torch gives in float64, or nearer to it than torch's own float32.

    Some of torch's float32 kernels give NaN for gelu of infinity; others lose more digits than ours.
    """
    if call.dtype != "float32":
        return False
    exact = _run_reference(apply(call, ("every dtype", "", "float64"))).tensors
    rounded = {name: array.astype(np.float32) if array.dtype == np.float64 else array for name, array in exact.items()}
    if not rounded or mine.keys() != rounded.keys():
        return False
    if call.holds_nonfinite:
        return not _difference(mine, rounded)
    differing = [name for name in rounded if _difference({name: mine[name]}, {name: theirs[name]})]
    return all(_furthest(mine[name], rounded[name]) <= _furthest(theirs[name], rounded[name]) for name in differing)


def _furthest(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the largest distance of two arrays."""
    return float(np.max(np.abs(found.astype(np.float64) - truth), initial=0.0)) if found.shape == truth.shape else np.inf


def _one_line(error: BaseException | None) -> str:
    return "accepts" if error is None else f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:160]}"
