"""Submodules that the reference replaces, so that a container can be judged without the faults inside it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from copy import deepcopy
from typing import Any

import numpy as np
import torch

from parity.running import nested
from parity.running.trace import Trace, needs_gradient, record_reference, to_numpy
from scratch.module import Backward, Module
from scratch.random import generator


def replace_by_reference(model: Module, reference: torch.nn.Module, paths: Iterable[str]) -> set[str]:
    """Let the submodules at these paths compute what the reference's do, with the weights and buffers of the model.

    Return a set that will have the paths that were called; a library's container may call its layers in its own way.
    """
    submodules, twins = dict(model.named_modules()), dict(reference.named_modules())
    called: set[str] = set()

    def replaced(path: str) -> Callable[..., tuple[Any, Backward]]:
        def forward(*inputs: Any) -> tuple[Any, Backward]:
            called.add(path)
            return _forward(submodules[path], twins[path], *inputs)

        return forward

    for path in paths:
        submodules[path].forward = replaced(path)  # type: ignore[method-assign]
    return called


def _forward(submodule: Module, reference: torch.nn.Module, *inputs: Any) -> tuple[Any, Backward]:
    """Run a copy of the reference's module in place of a scratch module, and return its value and backward."""
    twin = deepcopy(reference)  # a call of its own: the weights of an earlier one must stay for its backward
    state = {name: torch.from_numpy(np.array(array)) for name, array in submodule.state_dict().items()}
    twin.to(next((tensor.dtype for tensor in state.values() if tensor.is_floating_point()), torch.float64))
    twin.load_state_dict(state)
    tensors = nested.map_leaves(_as_tensor, inputs)
    with ExitStack() as stack:
        if isinstance(trace := generator(), Trace):
            root = trace.path.removeprefix(trace.prefix).removeprefix(".")
            stack.enter_context(record_reference(twin, trace, record_calls=False, root=root))
        y = twin(*tensors)
    for name, buffer in submodule.named_buffers():
        buffer.data = to_numpy(twin.get_buffer(name))

    def backward(*cotangents: Any) -> Any:
        pairs = [
            (leaf, dy) for leaf, dy in zip(_flat(y), _flat(cotangents), strict=False) if dy is not None and needs_gradient(leaf)
        ]
        torch.autograd.backward([leaf for leaf, _ in pairs], [torch.from_numpy(np.array(dy)) for _, dy in pairs])
        for name, parameter in submodule.named_parameters():
            if (gradient := twin.get_parameter(name).grad) is not None:
                parameter.grad = to_numpy(gradient) if parameter.grad is None else parameter.grad + to_numpy(gradient)
        gradients = nested.map_leaves(lambda leaf: to_numpy(leaf.grad) if needs_gradient(leaf) else None, tensors)
        if len(gradients) == 1 or (not any(map(_is_given, inputs[1:])) and _returns_one(submodule, inputs, cotangents)):
            return gradients[0]
        return gradients + (None,) * (_inputs_of(submodule) - len(gradients))  # None for an input that was not given

    return nested.map_leaves(to_numpy, y), backward


def _is_given(value: Any) -> bool:
    """Return whether an optional input is given."""
    return value is not None


def _returns_one(submodule: Module, inputs: tuple[Any, ...], cotangents: tuple[Any, ...]) -> bool:
    """Return whether the backward of the submodule itself returns one gradient where only the first input is given."""
    grads = {parameter: parameter.grad for parameter in submodule.parameters()}
    try:
        _, backward = type(submodule).forward(submodule, *inputs)
        return isinstance(backward(*cotangents), np.ndarray)
    except Exception:
        return True
    finally:
        for parameter, grad in grads.items():
            parameter.grad = grad


def _flat(nest: Any) -> list[Any]:
    """Return the leaves of a nest in their order, None among them; the last outputs may have no upstream gradient."""
    return [leaf for item in nest for leaf in _flat(item)] if isinstance(nest, tuple | list) else [nest]


def _inputs_of(submodule: Module) -> int:
    """Return the number of inputs that a module can take."""
    parameters = inspect.signature(type(submodule).forward).parameters.values()
    return sum(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters) - 1


def _as_tensor(value: Any) -> Any:
    """Return an array as a tensor that needs a gradient if it is floating-point; an option as it is."""
    if not isinstance(value, np.ndarray):
        return value
    tensor = torch.from_numpy(np.array(value))
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor
