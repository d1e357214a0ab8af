"""The timed work in PyTorch."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.work import FORWARD, STEP, UPDATE, Work, for_labels, gradients_for, labels_for, logits_of
from parity.case import ParityCase
from parity.running import nested
from parity.running.builders import builders
from parity.running.problem import Problem
from parity.weights import set_state


def torch_work(
    case: ParityCase,
    problem: Problem,
    phase: str,
    dtype: str = "float32",
    device: str = "cpu",
    channels_last: bool = False,
    variant: str = "",
) -> Work:
    """Return a case's phase in PyTorch; on a GPU the device is synchronised before and after the timed part."""

    def cast(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        tensor = torch.from_numpy(value).to(device)
        tensor = tensor.to(getattr(torch, dtype)) if tensor.is_floating_point() else tensor
        return tensor.contiguous(memory_format=torch.channels_last) if channels_last and tensor.ndim == 4 else tensor

    inputs = {name: nested.map_leaves(cast, value) for name, value in problem.inputs.items()}
    cotangents = [cast(dy) for dy in problem.cotangents]
    subject = builders(case)[1]()
    parameters: dict[str, torch.Tensor] = {}
    if isinstance(subject, torch.nn.Module):
        set_state(subject, problem.state)
        subject.to(device, getattr(torch, dtype))
        if channels_last:
            subject.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        parameters = dict(subject.named_parameters())
    call = torch.compile(subject) if variant == "compiled" else subject

    def differentiable(name: str, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.is_floating_point() and name not in problem.constants

    def fresh() -> tuple[Any, ...]:
        return tuple(nested.map_leaves(lambda v: v.clone() if isinstance(v, torch.Tensor) else v, v) for v in inputs.values())

    def fresh_leaves() -> tuple[Any, ...]:
        return tuple(v.requires_grad_(differentiable(name, v)) for name, v in zip(inputs, fresh(), strict=True))

    def forward(*inputs: Any) -> dict[str, Any]:
        with torch.no_grad():
            return {"y": call(*inputs)}

    def forward_backward(*leaves: Any) -> dict[str, Any]:
        y = call(*leaves)
        outputs = [leaf for _, leaf in nested.leaves("y", y) if leaf.requires_grad]
        wanted = {name: leaf for name, leaf in zip(inputs, leaves, strict=True) if leaf.requires_grad}
        gradients = torch.autograd.grad(outputs, list(wanted.values()), cotangents)
        return {"y": y, "grad": dict(zip(wanted, gradients, strict=True))}

    if phase == FORWARD:
        return _synchronised(Work(fresh, forward), device)
    if phase == STEP:
        labels = torch.from_numpy(labels_for(*problem.cotangents[0].shape)).to(device)
        optimizer = torch.optim.AdamW(parameters.values())

        def step(*inputs: Any) -> dict[str, Any]:
            loss = training_step(call, optimizer, inputs, labels)
            return {"loss": loss, "grad": {name: parameter.grad for name, parameter in parameters.items()}}

        return _synchronised(Work(fresh, step, rounds=2), device)
    if phase == UPDATE:
        optimizer = torch.optim.AdamW(parameters.values(), fused=True if variant == "fused" else None)
        for name, gradient in gradients_for({name: tuple(parameter.shape) for name, parameter in parameters.items()}).items():
            parameters[name].grad = cast(gradient)

        def update() -> dict[str, Any]:
            optimizer.step()
            return {"parameter": {name: parameter.detach() for name, parameter in parameters.items()}}

        return _synchronised(Work(tuple, update), device)
    return _synchronised(Work(fresh_leaves, forward_backward), device)


def training_step(model: Any, optimizer: torch.optim.Optimizer, inputs: tuple[Any, ...], labels: torch.Tensor) -> torch.Tensor:
    """Train on one batch and return the loss; the gradient of the inputs is not computed."""
    optimizer.zero_grad()
    logits = logits_of(model(*inputs))
    loss = F.cross_entropy(for_labels(logits, labels), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()


def _synchronised(work: Work, device: str) -> Work:
    if device == "cpu":
        return work

    def fresh() -> tuple[Any, ...]:
        inputs = work.fresh()
        torch.accelerator.synchronize()
        return inputs

    def run(*inputs: Any) -> dict[str, Any]:
        results = work.run(*inputs)
        torch.accelerator.synchronize()
        return results

    return replace(work, fresh=fresh, run=run)
