"""The timed work in NumPy."""

from typing import Any

import numpy as np

from benchmarks.work import FORWARD, STEP, UPDATE, Work, for_labels, gradients_for, labels_for, logits_of
from parity.case import ParityCase
from parity.running import nested
from parity.running.builders import builders
from parity.running.problem import Problem
from parity.weights import set_state
from scratch.module import Array, Module, constant
from scratch.ops.cross_entropy import cross_entropy
from scratch.optim import AdamW
from scratch.optim.optimizer import Optimizer


def numpy_work(case: ParityCase, problem: Problem, phase: str, channels_last: bool = False) -> Work:
    """Return a case's phase in NumPy; channels_last is the memory order of images, and their axes remain (N, C, H, W)."""

    def cast(value: Any) -> Any:
        value = value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
        return _channels_last(value) if channels_last and np.ndim(value) == 4 else value

    problem = problem.map(cast)
    subject = builders(case)[0]()

    def fresh() -> tuple[Any, ...]:
        return tuple(nested.map_leaves(_copy, value) for value in problem.inputs.values())

    def forward(*inputs: Any) -> dict[str, Any]:
        y, _ = subject(*inputs)
        return {"y": y}

    def forward_backward(*inputs: Any) -> dict[str, Any]:
        y, backward = subject(*inputs)
        gradients = backward(*problem.cotangents)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        return {"y": y, "grad": dict(zip(problem.inputs, gradients, strict=False))}  # inputs without a gradient come last

    if isinstance(subject, Module):
        set_state(subject.astype(np.float32), problem.state)
    if phase == FORWARD:
        return Work(fresh, forward)
    if phase == STEP:
        parameters, labels = dict(subject.named_parameters()), labels_for(*problem.cotangents[0].shape)
        optimizer = AdamW(subject.parameters())

        def step(*inputs: Any) -> dict[str, Any]:
            loss = training_step(subject, optimizer, inputs, labels)
            return {"loss": loss, "grad": {name: parameter.grad for name, parameter in parameters.items()}}

        return Work(fresh, step, rounds=2)
    if phase == UPDATE:
        parameters, optimizer = dict(subject.named_parameters()), AdamW(subject.parameters())
        for name, gradient in gradients_for({name: parameter.data.shape for name, parameter in parameters.items()}).items():
            parameters[name].grad = gradient.astype(np.float32)

        def update() -> dict[str, Any]:
            optimizer.step()
            return {"parameter": {name: parameter.data for name, parameter in parameters.items()}}

        return Work(tuple, update)
    return Work(fresh, forward_backward)


def training_step(model: Module, optimizer: Optimizer, inputs: tuple[Any, ...], labels: Array) -> Array:
    """Train on one batch and return the loss; the gradient of the inputs is not computed."""
    optimizer.zero_grad()
    with constant(*inputs):
        y, backward = model(*inputs)
    logits = logits_of(y)
    loss, loss_backward = cross_entropy(for_labels(logits, labels), labels)
    dlogits, *_ = loss_backward(np.ones_like(loss))
    backward(dlogits.reshape(logits.shape))
    optimizer.step()
    return loss


def _channels_last(images: Array) -> Array:
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def _copy(value: Any) -> Any:
    return value.copy(order="K") if isinstance(value, np.ndarray) else value
