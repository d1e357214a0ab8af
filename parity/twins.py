"""Runs one side of a comparison: the outputs, every gradient and every buffer, as NumPy arrays by name.

The names are `y` (`y.0`, `y.1` for several outputs), `grad x` for an input, `grad layers.0.weight` for a parameter and
`buffer layers.1.running_mean`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import torch

from parity import tree
from parity.case import ParityCase, resolve
from parity.inputs import Draw
from parity.subject import find
from parity.trace import Trace, to_numpy, watch_reference, watch_scratch
from parity.weights import set_state
from scratch.module import Array, Module, state_mismatch

Tensors = dict[str, Array]
Build = Callable[[], Any]


@dataclass(frozen=True)
class Problem:
    """What both sides are given: everything a run depends on, but for the implementation, dtype and device.

    Of `unasked` inputs of a part the whole has no use for a gradient: one that comes is neither expected nor wrong.
    """

    inputs: Mapping[str, Any]
    state: Mapping[str, Array]
    cotangents: tuple[Array, ...]
    constants: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    noise: Callable[[], Trace] = Trace

    def map(self, function: Callable[[Any], Any]) -> Problem:
        """The problem with a function applied to every array."""
        inputs, state, cotangents = (
            tree.map_leaves(function, part) for part in (dict(self.inputs), dict(self.state), self.cotangents)
        )
        return replace(self, inputs=inputs, state=state, cotangents=cotangents)


class ContractError(ValueError):
    """The subject cannot be called as its contract says; the message says how it differs."""


@dataclass
class Run:
    """What came out of one run, what its submodules met, and in which ways it broke the contract."""

    tensors: Tensors
    trace: Trace
    broken: list[str] = field(default_factory=list)


def builders(case: ParityCase, package: str = "scratch") -> tuple[Build, Build]:
    """How to make the case's two sides: a fresh module, or the function with its options."""
    return scratch_builder(case, package), reference_builder(case)


def scratch_builder(case: ParityCase, package: str = "scratch") -> Build:
    """How to make the side under judgement; whatever makes layers will do for one: a class, or a function that adapts one."""
    target = find(case.scratch, package)
    if isinstance(resolve(case.reference, "reference"), type):
        return lambda: target(**case.config).train(case.training)
    return lambda: partial(target, **case.config)


def reference_builder(case: ParityCase) -> Build:
    """How to make the PyTorch side."""
    target = resolve(case.reference, "reference")
    options = {name: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for name, v in case.config.items()}
    if isinstance(target, type):
        return lambda: target(**options).train(case.training)
    return lambda: partial(target, **options)


def pose_case(case: ParityCase, build_reference: Build, seed: int) -> Problem:
    """Draw a case's inputs, and its weights where it brings none."""
    draw = Draw(seed, 0)
    inputs = case.inputs(draw)
    subject = build_reference()
    state = case.state
    if state is None and isinstance(subject, torch.nn.Module):
        buffers = {name: to_numpy(buffer) for name, buffer in subject.named_buffers()}
        tensors, first = subject.state_dict(keep_vars=True), dict[int, str]()
        names = {name: first.setdefault(id(tensor), name) for name, tensor in tensors.items()}  # tied weights have several
        drawn = draw.state({name: tuple(tensors[name].shape) for name in first.values()}, buffers)
        for part, scale in case.scales.items():
            drawn |= {name: scale * array for name, array in drawn.items() if part in name}
        state = {name: drawn[original] for name, original in names.items()}
    return pose(build_reference, inputs, state or {}, case.constants, seed)


def pose(
    build_reference: Build, inputs: Mapping[str, Any], state: Mapping[str, Array], constants: tuple[str, ...], seed: int
) -> Problem:
    """The problem with these inputs and weights: a random cotangent for each output that has a gradient."""
    problem = Problem(inputs, state, (), constants, noise=partial(Trace, seed))
    draw = Draw(seed, 1)
    outputs = run_reference(build_reference, problem, "float64", backward=False, taps=False).tensors
    return replace(problem, cotangents=tuple(draw.normal(*y.shape) for y in outputs.values()))


def run_reference(build: Build, problem: Problem, dtype: str, device: str = "cpu", backward: bool = True, taps: bool = True) -> Run:
    """Run the PyTorch side; without the backward, only the outputs that have a gradient come back.

    Without the taps, the trace does not say what the submodules met, which costs time and memory.
    """
    to_dtype = getattr(torch, dtype)

    def as_tensor(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        tensor = torch.from_numpy(np.ascontiguousarray(value).reshape(value.shape)).to(device, copy=True)
        return tensor.to(to_dtype) if tensor.is_floating_point() else tensor

    subject, parameters, buffers = build(), {}, {}
    if isinstance(subject, torch.nn.Module):
        subject = subject.to(device, to_dtype)
        subject.load_state_dict({name: as_tensor(array) for name, array in problem.state.items()})
        parameters, buffers = dict(subject.named_parameters()), dict(subject.named_buffers())
        for parameter in parameters.values():
            parameter.grad = None
    inputs = {name: tree.map_leaves(as_tensor, value) for name, value in problem.inputs.items()}
    wanted = {
        leaf_name: leaf.requires_grad_()
        for name, value in inputs.items()
        for leaf_name, leaf in tree.leaves(name, value)
        if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() and name not in problem.constants
    }
    trace = problem.noise()
    with watch_reference(subject, trace, taps):
        outputs = dict(tree.leaves("y", subject(*inputs.values())))
        differentiable = {name: y for name, y in outputs.items() if y.requires_grad}
        if not backward:
            return Run({name: to_numpy(y) for name, y in differentiable.items()}, trace)
        if differentiable:
            torch.autograd.backward(list(differentiable.values()), [as_tensor(dy) for dy in problem.cotangents])
    tensors = outputs | {f"grad {name}": x.grad for name, x in (wanted | parameters).items() if x.grad is not None}
    tensors |= {f"buffer {name}": buffer for name, buffer in buffers.items()}
    return Run({name: to_numpy(tensor) for name, tensor in tensors.items()}, trace)


def parameters_amiss(subject: Any, state: Mapping[str, Array]) -> str:
    """In what a module's parameters and buffers are not those of the reference; "" where nothing."""
    return state_mismatch({name: array.shape for name, array in state.items()}, subject.state_dict())


def run_scratch(build: Build, problem: Problem, dtype: str, backward: bool = True) -> Run:
    """Run the NumPy side, as inconveniently as its contract allows.

    The cotangents are not contiguous, and the subject is called once more, on other inputs, before the first call's
    backward runs. Inputs, cotangents and parameters that have changed afterwards are named in `broken`, and so are
    gradients that two parameters share, and those that the second call's backward does not add to. Without the
    backward, only the outputs and the buffers come back.
    """

    def as_array(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return np.array(value, dtype=dtype if np.issubdtype(value.dtype, np.floating) else None, order="C")

    problem = problem.map(as_array)
    subject, parameters, buffers = build(), {}, {}
    if isinstance(subject, Module):
        if problems := parameters_amiss(subject, problem.state):
            raise ContractError(
                f"the parameters of {type(inspect.unwrap(subject)).__name__} are not those of PyTorch's: {problems}"
            )
        set_state(subject.astype(dtype), problem.state)
        subject.zero_grad()
        parameters, buffers = dict(subject.named_parameters()), dict(subject.named_buffers())
    inputs = tree.map_leaves(copied, dict(problem.inputs))
    cotangents = tuple(_strided(dy) for dy in problem.cotangents)
    trace = problem.noise()
    broken: list[str] = []

    def note_changes(during: str) -> None:
        expected = dict(tree.leaves("input", problem.inputs)) | dict(tree.leaves("gradient of y", _single(problem.cotangents)))
        expected |= {f"parameter {name}": problem.state[name] for name in parameters}
        found = dict(tree.leaves("input", inputs)) | dict(tree.leaves("gradient of y", _single(cotangents)))
        found |= {f"parameter {name}": parameter.data for name, parameter in parameters.items()}
        broken.extend(
            f"the {during} changes its {name.replace('.', ' ', 1)} in place"
            for name, array in expected.items()
            if isinstance(array, np.ndarray) and not np.array_equal(array, found[name], equal_nan=array.dtype.kind == "f")
        )

    with watch_scratch(subject, trace):
        result = subject(*inputs.values())
    if not isinstance(result, tuple | list) or len(result) != 2 or not (callable(result[1]) or result[1] is None):
        raise ContractError(f"it returned {_kind(result)}, expected the pair (y, backward)")
    y, run_backward = result
    if y is None:
        raise ContractError("it returned None as its value, expected an array")
    outputs = {name: np.array(leaf) for name, leaf in tree.leaves("y", y)}
    held = {f"buffer {name}": buffer.data.copy() for name, buffer in buffers.items()}
    note_changes("forward")
    later: Callable[..., Any] | None = None
    if not broken:
        _, later = subject(*tree.map_leaves(other_numbers, dict(problem.inputs)).values())
    if not backward:
        return Run(outputs | held, trace, broken)
    if run_backward is None:
        raise NotImplementedError("the backward is None")
    nothing = None if len(inputs) == 1 else (None,) * len(inputs)
    gradients = run_backward(*_alike(cotangents, outputs)) if cotangents else nothing
    if not broken:
        note_changes("backward")
    if len(inputs) == 1:
        ((name, only),) = inputs.items()
        if isinstance(gradients, tuple | list) and not isinstance(only, tuple | list):
            raise ContractError(f"its backward returned {_kind(gradients)}, expected the gradient of {name} itself")
        gradients = (gradients,)
    while isinstance(gradients, tuple | list) and len(gradients) > len(inputs) and gradients[-1] is None:
        gradients = gradients[:-1]  # of an optional input that was not given
    if not isinstance(gradients, tuple | list) or len(gradients) != len(inputs):
        raise ContractError(
            f"its backward returned {_kind(gradients)} for {len(inputs)} inputs ({', '.join(inputs)}), "
            "expected a gradient or None for each, and None for what is not given"
        )
    tensors = outputs | {
        f"grad {leaf_name}": np.asarray(leaf)
        for name, gradient in zip(inputs, gradients, strict=True)
        if name not in problem.unasked
        for leaf_name, leaf in tree.leaves(name, gradient)
    }
    tensors |= {f"grad {name}": parameter.grad.copy() for name, parameter in parameters.items() if parameter.grad is not None}
    held_twice = (
        (name, other)
        for (name, one), (other, two) in combinations(parameters.items(), 2)
        if one.grad is not None and two.grad is not None and np.shares_memory(one.grad, two.grad)
    )
    broken += [
        f"the backward gives {name} and {other} one array as their gradient, expected one for each: what is done to one "
        "in place happens to both"
        for name, other in held_twice
    ]
    if parameters and later and not broken:  # a gradient of zero, which leaves those that are there as they are
        for parameter in parameters.values():
            parameter.grad = None if parameter.grad is None else np.ones_like(parameter.grad)
        later(*(np.zeros_like(dy) for dy in _alike(cotangents, outputs)))
        broken += [
            f"the backward overwrites the gradient of {name}, expected it to be added"
            for name, parameter in parameters.items()
            if parameter.grad is not None and not parameter.grad.any()
        ]
    return Run(tensors | held, trace, broken)


def _alike(cotangents: tuple[Array, ...], outputs: Tensors) -> list[Array]:
    """Return upstream gradients in the dtypes of the outputs, which may be wrong: the backward is judged all the same."""
    floats = [y for y in outputs.values() if y.dtype.kind == "f"]
    dtypes = [y.dtype for y in floats] if len(floats) >= len(cotangents) else [dy.dtype for dy in cotangents]
    return [dy.astype(dtype, copy=False) for dy, dtype in zip(cotangents, dtypes, strict=False)]


def _single(arrays: tuple[Array, ...]) -> Array | tuple[Array, ...]:
    """The array itself where there is one."""
    return arrays[0] if len(arrays) == 1 else arrays


def _kind(value: Any) -> str:
    """What came back, in a word or two."""
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)} ({', '.join(type(item).__name__ for item in value)})"
    return "None" if value is None else f"one {type(value).__name__}"


def _strided(array: Array) -> Array:
    """The same numbers in memory that is not contiguous."""
    if array.ndim == 0:
        return array.copy()
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def copied(value: Any) -> Any:
    """Return a copy of an array, and an option as it is: of True, np.copy would make an array."""
    return value.copy() if isinstance(value, np.ndarray) else value


def other_numbers(value: Any) -> Any:
    """Other numbers of the same kind: an array of numbers turned round along its first axis."""
    return value[::-1].copy() if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind in "fiu" else value
