"""Run the NumPy side of a problem, as inconveniently as its contract allows.

The upstream gradients are not contiguous, and the subject is called once more, on other inputs, before the first call's
backward runs. `Run.breaches` has each breach of the contract: an input, an upstream gradient or a parameter that has changed, a
value that the backward changes, a result in the memory of another array, a gradient that a second backward overwrites, a
gradient that depends on which parameters are frozen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from parity.running import nested
from parity.running.contract import (
    changed_in_place,
    changed_value,
    gradients_of_inputs,
    overwritten_gradients,
    require_parameters,
    shared_memory,
    value_and_backward,
)
from parity.running.freezing import can_be_frozen, changed_by_freezing
from parity.running.layout import Layout, in_layout
from parity.running.problem import Build, Problem, Run, Tensors, copied, other_numbers
from parity.running.state import set_state
from parity.running.tensor_name import Phase, buffer, gradient
from parity.running.trace import record_scratch
from parity.running.training_steps import TrainingSteps
from scratch.module import Array, Backward, Module


def run_scratch(build: Build, problem: Problem, dtype: str, backward: bool = True) -> Run:
    """Run the NumPy side; without the backward, return only the outputs and the buffers.

    Raise ContractError where the subject cannot be called as its contract says, and NotImplementedError where its backward is None.
    """
    problem = problem.map(lambda value: _in_dtype(value, dtype))
    subject, parameters, buffers, called_before = build(), {}, {}, False
    if isinstance(subject, TrainingSteps):
        return _run_steps(subject, problem)
    if isinstance(subject, Module):
        require_parameters(subject, problem.state)
        called_before = any(parameter.grad is not None for parameter in subject.parameters())
        set_state(subject.astype(dtype), problem.state)
        subject.zero_grad()
        parameters, buffers = dict(subject.named_parameters()), dict(subject.named_buffers())
    inputs = {name: _in_layouts(name, value, problem.layouts) for name, value in problem.inputs.items()}
    cotangents = tuple(_in_known_layout(name, dy, problem.layouts) for name, dy in _named(problem.cotangents))
    trace = problem.new_trace()
    with record_scratch(subject, trace):
        y, run_backward = value_and_backward(subject(*inputs.values()))
    outputs = {name: np.array(leaf) for name, leaf in nested.leaves("y", y)}
    held = {buffer(name): each.data.copy() for name, each in buffers.items()}
    breaches = changed_in_place(Phase.FORWARD, problem, inputs, cotangents, parameters)
    later = None
    if not breaches:
        _, later = subject(*nested.map_leaves(other_numbers, dict(problem.inputs)).values())
        breaches = changed_value(Phase.FORWARD, "a second call", outputs, y)
    if not backward:
        return Run(outputs | held, trace, breaches)
    if run_backward is None:
        raise NotImplementedError("the backward is None")
    upstream = _in_dtypes_of(cotangents, outputs)
    gradients = _gradients(run_backward, upstream, inputs)
    if not breaches:
        breaches = changed_in_place(Phase.BACKWARD, problem, inputs, cotangents, parameters)
        breaches += changed_value(Phase.BACKWARD, "the backward", outputs, y)
    found = _by_printed_name(gradients, problem)
    found |= {gradient(name): parameter.grad.copy() for name, parameter in parameters.items() if parameter.grad is not None}
    breaches += shared_memory(y, gradients, inputs, parameters)
    if parameters and later and not breaches:
        breaches += overwritten_gradients(later, [np.zeros_like(dy) for dy in upstream], parameters)
    if parameters and not breaches and dtype == "float64" and not called_before and can_be_frozen(subject):
        breaches += changed_by_freezing(partial(_run_again, subject, problem, inputs, upstream), parameters, found)
    return Run(outputs | found | held, trace, breaches)


def _run_again(subject: Module, problem: Problem, inputs: Mapping[str, Any], upstream: Sequence[Array]) -> Tensors:
    """Run a module forward and backward with the same dropout masks, and return the gradients of its inputs."""
    with record_scratch(subject, problem.new_trace()):
        _, backward = subject(*inputs.values())
    return _by_printed_name(_gradients(backward, upstream, inputs), problem)


def _gradients(backward: Backward, upstream: Sequence[Array], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the gradients of the inputs; None for each where no output has a gradient."""
    nothing = None if len(inputs) == 1 else (None,) * len(inputs)
    return gradients_of_inputs(backward(*upstream) if upstream else nothing, inputs)


def _by_printed_name(gradients: Mapping[str, Any], problem: Problem) -> Tensors:
    """Return the gradients that are to be compared by their printed names."""
    return {
        gradient(leaf_name): np.asarray(leaf)
        for name, nest in gradients.items()
        if name not in problem.ignored_gradients
        for leaf_name, leaf in nested.leaves(name, nest)
    }


def _run_steps(subject: TrainingSteps, problem: Problem) -> Run:
    """Run the steps of an optimiser, schedule or clipping function; gradients must stay as they are given."""
    inputs = nested.map_leaves(copied, dict(problem.inputs))
    results = {name: np.asarray(value) for name, value in subject(**inputs).items()}
    return Run(results, problem.new_trace(), changed_in_place(Phase.STEP, problem, inputs, (), {}))


def _in_dtype(value: Any, dtype: str) -> Any:
    """Return a copy of an array, floating-point ones in the dtype; an option as it is."""
    if not isinstance(value, np.ndarray):
        return value
    return np.array(value, dtype=dtype if np.issubdtype(value.dtype, np.floating) else None, order="C")


def _in_dtypes_of(cotangents: tuple[Array, ...], outputs: Tensors) -> list[Array]:
    """Return upstream gradients in the dtypes of the outputs, which may be wrong: the backward is judged all the same."""
    floats = [y for y in outputs.values() if y.dtype.kind == "f"]
    dtypes = [y.dtype for y in floats] if len(floats) >= len(cotangents) else [dy.dtype for dy in cotangents]
    return [dy.astype(dtype, copy=False) for dy, dtype in zip(cotangents, dtypes, strict=False)]


def _in_layouts(name: str, value: Any, layouts: Mapping[str, Layout]) -> Any:
    """Return a copy of an input, each array in its known layout or else in C order."""
    if isinstance(value, tuple | list):
        return type(value)(_in_layouts(f"{name}.{i}", item, layouts) for i, item in enumerate(value))
    known = isinstance(value, np.ndarray) and name in layouts and len(layouts[name]) == value.ndim
    return in_layout(value, layouts[name]) if known else nested.map_leaves(copied, value)


def _named(cotangents: tuple[Array, ...]) -> list[tuple[str, Array]]:
    """Return the upstream gradients with the names of their outputs."""
    return [("y", cotangents[0])] if len(cotangents) == 1 else [(f"y.{i}", dy) for i, dy in enumerate(cotangents)]


def _in_known_layout(name: str, dy: Array, layouts: Mapping[str, Layout]) -> Array:
    """Return a copy of an upstream gradient in its known layout, or else in memory that is not contiguous."""
    known = name in layouts and len(layouts[name]) == dy.ndim
    return in_layout(dy, layouts[name]) if known else _not_contiguous(dy)


def _not_contiguous(array: Array) -> Array:
    """Return the same numbers in memory that is not contiguous."""
    if array.ndim == 0:
        return array.copy()
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]
