"""The contract of the NumPy side: it returns `(y, backward)`, changes nothing that it is given, and adds its gradients.

A subject that cannot be called as the contract says raises ContractError. Each other breach is a Breach with its message.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from itertools import chain, combinations, product
from typing import Any

import numpy as np

from parity.running import nested
from parity.running.problem import Breach, Problem
from parity.running.tensor_name import Phase, gradient
from scratch.module import Array, Module, Parameter, state_mismatch

MOST_KINDS = 8  # of the items of a tuple that a message names


class ContractError(ValueError):
    """An error of a subject that cannot be called as its contract says: the message, and the pass that is wrong."""

    def __init__(self, message: str, phase: Phase = Phase.FORWARD):
        super().__init__(message)
        self.phase = phase


def parameters_amiss(subject: Any, state: Mapping[str, Array]) -> str:
    """Return how a module's parameters and buffers differ from those of the reference, or an empty string."""
    return state_mismatch({name: array.shape for name, array in state.items()}, subject.state_dict())


def require_parameters(subject: Module, state: Mapping[str, Array]) -> None:
    """Raise ContractError unless a module has the parameters and buffers of the reference."""
    if problems := parameters_amiss(subject, state):
        raise ContractError(f"the parameters of {type(inspect.unwrap(subject)).__name__} are not those of PyTorch's: {problems}")


def value_and_backward(result: Any) -> tuple[Any, Any]:
    """Return what a subject returned as the pair (y, backward); the backward may still be None."""
    if not isinstance(result, tuple | list) or len(result) != 2 or not (callable(result[1]) or result[1] is None):
        raise ContractError(f"it returned {_kind(result)}, expected the pair (y, backward)")
    y, backward = result
    if y is None:
        raise ContractError("it returned None as its value, expected an array")
    return y, backward


def gradients_of_inputs(gradients: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a backward returned by the names of the inputs."""
    if len(inputs) == 1:
        ((name, only),) = inputs.items()
        if isinstance(gradients, tuple | list) and not isinstance(only, tuple | list):
            raise ContractError(f"its backward returned {_kind(gradients)}, expected the gradient of {name} itself", Phase.BACKWARD)
        return {name: gradients}
    (first, _), *others = inputs.items()
    if isinstance(gradients, np.ndarray) and all(value is None for _, value in others):
        return {first: gradients, **dict(others)}  # nothing else was given
    while isinstance(gradients, tuple | list) and len(gradients) > len(inputs) and gradients[-1] is None:
        gradients = gradients[:-1]  # None for an optional input that was not given
    if not isinstance(gradients, tuple | list) or len(gradients) != len(inputs):
        raise ContractError(
            f"its backward returned {_kind(gradients)} for {len(inputs)} inputs ({', '.join(inputs)}), "
            "expected a gradient or None for each, and None for what is not given",
            Phase.BACKWARD,
        )
    return dict(zip(inputs, gradients, strict=True))


def changed_in_place(
    phase: Phase, problem: Problem, inputs: Any, cotangents: tuple[Array, ...], parameters: Mapping[str, Parameter]
) -> list[Breach]:
    """Return a breach for each input, upstream gradient and parameter that differs from the problem's after a pass."""
    expected = _given(problem.inputs, problem.cotangents, {name: problem.state[name] for name in parameters})
    found = _given(inputs, cotangents, {name: parameter.data for name, parameter in parameters.items()})
    return [
        Breach(phase, f"the {phase} changes its {name} in place")
        for name, array in expected.items()
        if isinstance(array, np.ndarray) and not np.array_equal(array, found[name], equal_nan=array.dtype.kind == "f")
    ]


def _given(inputs: Any, cotangents: tuple[Array, ...], parameters: Mapping[str, Array]) -> dict[str, Any]:
    """Return everything that a subject is given, by what it is called in a message."""
    upstream = cotangents[0] if len(cotangents) == 1 else cotangents
    named = [*nested.leaves("input", inputs), *nested.leaves("gradient of y", upstream)]
    return {name.replace(".", " ", 1): leaf for name, leaf in named} | {f"parameter {name}": a for name, a in parameters.items()}


def changed_value(phase: Phase, changer: str, before: Mapping[str, Array], y: Any) -> list[Breach]:
    """Return a breach for each output that a later call or the backward has changed."""
    return [
        Breach(phase, f"{changer} changes {name}, which the forward has returned, in place")
        for name, leaf in nested.leaves("y", y)
        if not np.array_equal(before[name], leaf, equal_nan=before[name].dtype.kind == "f")
    ]


def shared_memory(y: Any, gradients: Mapping[str, Any], inputs: Any, parameters: Mapping[str, Parameter]) -> list[Breach]:
    """Return a breach for each result in the memory of another array: what is done to one in place happens to both.

    As in torch, y may be a view of an input (flatten), an output one of another, and a gradient one of its upstream gradient.
    """
    weights = _given({}, (), {name: parameter.data for name, parameter in parameters.items()})
    outputs = dict(nested.leaves("y", y))
    others = (outputs | _given(inputs, (), {}) | weights).items()
    accumulated = {name: parameter.grad for name, parameter in parameters.items()}
    results = dict(
        leaf for name, nest in (*gradients.items(), *accumulated.items()) for leaf in nested.leaves(gradient(name), nest)
    )
    pairs = {
        Phase.FORWARD: product(outputs.items(), weights.items()),
        Phase.BACKWARD: chain(combinations(results.items(), 2), product(results.items(), others)),
    }
    return [
        Breach(phase, f"the {phase} returns {name} in the memory of {other}, expected a copy", harmless_alone=True)
        for phase, pairs_of_phase in pairs.items()
        for (name, one), (other, two) in pairs_of_phase
        if isinstance(one, np.ndarray)
        and isinstance(two, np.ndarray)
        and np.may_share_memory(one, two)
        and np.shares_memory(one, two)
    ]


def overwritten_gradients(backward: Any, zeros: Sequence[Array], parameters: Mapping[str, Parameter]) -> list[Breach]:
    """Return a breach for each parameter whose gradient a second backward overwrites.

    An upstream gradient of zeros leaves gradients of one as they are, unless they are overwritten.
    """
    for parameter in parameters.values():
        parameter.grad = None if parameter.grad is None else np.ones_like(parameter.grad)
    backward(*zeros)
    return [
        Breach(Phase.BACKWARD, f"the backward overwrites the gradient of {name}, expected it to be added")
        for name, parameter in parameters.items()
        if parameter.grad is not None and not parameter.grad.any()
    ]


def _kind(value: Any) -> str:
    """Describe in a few words what came back."""
    if isinstance(value, tuple | list):
        kinds = [type(item).__name__ for item in value[:MOST_KINDS]] + ["..."] * (len(value) > MOST_KINDS)
        return f"a {type(value).__name__} of {len(value)} ({', '.join(kinds)})"
    return "None" if value is None else f"one {type(value).__name__}"
