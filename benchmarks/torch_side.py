"""The timed work in PyTorch."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
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

Call = Callable[..., Any]
Fresh = Callable[[], tuple[Any, ...]]


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
    cast = partial(_cast, device=device, dtype=getattr(torch, dtype), channels_last=channels_last)
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

    def fresh() -> tuple[Any, ...]:
        return tuple(nested.map_leaves(lambda v: v.clone() if isinstance(v, torch.Tensor) else v, v) for v in inputs.values())

    if phase == FORWARD:
        work = _forward(call, fresh)
    elif phase == STEP:
        work = _step(call, parameters, fresh, torch.from_numpy(labels_for(*problem.cotangents[0].shape)).to(device))
    elif phase == UPDATE:
        gradients = gradients_for({name: tuple(parameter.shape) for name, parameter in parameters.items()})
        work = _update(parameters, {name: cast(gradient) for name, gradient in gradients.items()}, variant == "fused")
    else:
        wanted = [_is_float(value) and name not in problem.constants for name, value in inputs.items()]
        work = _forward_backward(call, list(inputs), wanted, fresh, cotangents)
    return _synchronised(work, device)


def _is_float(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _cast(value: Any, device: str, dtype: torch.dtype, channels_last: bool) -> Any:
    """Return an array as a tensor on the device; a tensor of floating-point numbers gets the dtype."""
    if not isinstance(value, np.ndarray):
        return value
    tensor = torch.from_numpy(value).to(device)
    tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor
    return tensor.contiguous(memory_format=torch.channels_last) if channels_last and tensor.ndim == 4 else tensor


def _forward(call: Call, fresh: Fresh) -> Work:
    def forward(*inputs: Any) -> dict[str, Any]:
        with torch.no_grad():
            return {"y": call(*inputs)}

    return Work(fresh, forward)


def _forward_backward(call: Call, names: list[str], wanted: list[bool], fresh: Fresh, cotangents: list[torch.Tensor]) -> Work:
    """Return the work of the value and the gradients of the wanted inputs."""

    def fresh_leaves() -> tuple[Any, ...]:
        return tuple(value.requires_grad_() if want else value for value, want in zip(fresh(), wanted, strict=True))

    def forward_backward(*leaves: Any) -> dict[str, Any]:
        y = call(*leaves)
        outputs = [leaf for _, leaf in nested.leaves("y", y) if leaf.requires_grad]
        differentiated = {name: leaf for name, leaf, want in zip(names, leaves, wanted, strict=True) if want}
        gradients = torch.autograd.grad(outputs, list(differentiated.values()), cotangents)
        return {"y": y, "grad": dict(zip(differentiated, gradients, strict=True))}

    return Work(fresh_leaves, forward_backward)


def _step(call: Call, parameters: dict[str, torch.Tensor], fresh: Fresh, labels: torch.Tensor) -> Work:
    optimizer = torch.optim.AdamW(parameters.values())

    def step(*inputs: Any) -> dict[str, Any]:
        loss = training_step(call, optimizer, inputs, labels)
        return {"loss": loss, "grad": {name: parameter.grad for name, parameter in parameters.items()}}

    return Work(fresh, step, rounds=2)


def _update(parameters: dict[str, torch.Tensor], gradients: dict[str, torch.Tensor], fused: bool) -> Work:
    optimizer = torch.optim.AdamW(parameters.values(), fused=True if fused else None)
    for name, gradient in gradients.items():
        parameters[name].grad = gradient

    def update() -> dict[str, Any]:
        optimizer.step()
        return {"parameter": {name: parameter.detach() for name, parameter in parameters.items()}}

    return Work(tuple, update)


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
