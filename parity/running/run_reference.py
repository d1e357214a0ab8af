"""Run the PyTorch side of a problem: the outputs, every gradient and every buffer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from parity.running import nested
from parity.running.problem import Build, Problem, Run
from parity.running.tensor_name import buffer, gradient
from parity.running.trace import record_reference, to_numpy
from parity.running.training_steps import TrainingSteps


def run_reference(
    build: Build, problem: Problem, dtype: str, device: str = "cpu", backward: bool = True, record_calls: bool = True
) -> Run:
    """Run the PyTorch side; without the backward, return only the outputs that have a gradient.

    `record_calls` records the inputs and outputs of every submodule in the trace, which costs time and memory.
    """
    subject = build()
    if isinstance(subject, torch.nn.Module):
        _load(subject, problem, dtype, device)
    inputs = {name: nested.map_leaves(lambda v: _as_tensor(v, dtype, device), value) for name, value in problem.inputs.items()}
    if isinstance(subject, TrainingSteps):  # no result of theirs has a gradient
        results = subject(**inputs) if backward else {}
        return Run({name: to_numpy(value) for name, value in results.items()}, problem.new_trace())
    with_gradient = _require_gradients(inputs, problem.constants)
    trace = problem.new_trace()
    with record_reference(subject, trace, record_calls):
        outputs = dict(nested.leaves("y", subject(*inputs.values())))
        differentiable = {name: y for name, y in outputs.items() if y.requires_grad}
        if not backward:
            return Run({name: to_numpy(y) for name, y in differentiable.items()}, trace)
        if differentiable:
            upstream = [_as_tensor(dy, dtype, device) for dy in problem.cotangents]
            torch.autograd.backward(list(differentiable.values()), upstream)
    buffers = {}
    if isinstance(subject, torch.nn.Module):
        with_gradient |= dict(subject.named_parameters())
        buffers = {buffer(name): tensor for name, tensor in subject.named_buffers()}
    gradients = {gradient(name): x.grad for name, x in with_gradient.items() if x.grad is not None}
    return Run({name: to_numpy(tensor) for name, tensor in (outputs | gradients | buffers).items()}, trace)


def _load(subject: torch.nn.Module, problem: Problem, dtype: str, device: str) -> None:
    """Give a module the problem's weights, in a dtype and on a device, and no gradients."""
    subject.to(device, getattr(torch, dtype))
    subject.load_state_dict({name: _as_tensor(array, dtype, device) for name, array in problem.state.items()})
    for parameter in subject.parameters():
        parameter.grad = None


def _as_tensor(value: Any, dtype: str, device: str) -> Any:
    """Return an array as a tensor of its own, floating-point ones in the dtype; an option as it is."""
    if not isinstance(value, np.ndarray):
        return value
    tensor = torch.from_numpy(np.ascontiguousarray(value).reshape(value.shape)).to(device, copy=True)
    return tensor.to(getattr(torch, dtype)) if tensor.is_floating_point() else tensor


def _require_gradients(inputs: Mapping[str, Any], constants: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Return the input tensors that are to have a gradient, by name."""
    return {
        leaf_name: leaf.requires_grad_()
        for name, value in inputs.items()
        for leaf_name, leaf in nested.leaves(name, value)
        if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() and name not in constants
    }
