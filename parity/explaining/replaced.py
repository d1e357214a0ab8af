"""Submodules that the reference replaces, so that a container can be judged without the faults inside it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch

from parity.running import nested
from parity.running.trace import Trace, needs_gradient, record_reference, to_numpy
from scratch.module import Backward, Module
from scratch.random import generator


def replace_by_reference(model: Module, reference: torch.nn.Module, paths: Iterable[str]) -> None:
    """Let the submodules at these paths compute what the reference's do, with the weights and buffers of the model."""
    submodules, twins = dict(model.named_modules()), dict(reference.named_modules())
    for path in paths:
        submodules[path].forward = partial(_forward, submodules[path], twins[path])  # type: ignore[method-assign]


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
        upstream = dict(nested.leaves("y", cotangents if isinstance(y, tuple) else cotangents[0]))
        outputs = {name: leaf for name, leaf in nested.leaves("y", y) if needs_gradient(leaf) and name in upstream}
        torch.autograd.backward(list(outputs.values()), [torch.from_numpy(np.array(upstream[name])) for name in outputs])
        for name, parameter in submodule.named_parameters():
            if (gradient := twin.get_parameter(name).grad) is not None:
                parameter.grad = to_numpy(gradient) if parameter.grad is None else parameter.grad + to_numpy(gradient)
        gradients = nested.map_leaves(lambda leaf: to_numpy(leaf.grad) if needs_gradient(leaf) else None, tensors)
        return gradients[0] if len(gradients) == 1 else gradients

    return nested.map_leaves(to_numpy, y), backward


def _as_tensor(value: Any) -> Any:
    """Return an array as a tensor that needs a gradient if it is floating-point; an option as it is."""
    if not isinstance(value, np.ndarray):
        return value
    tensor = torch.from_numpy(np.array(value))
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor
