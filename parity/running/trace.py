"""Record a pass through a module in either backend: the calls of every submodule, by path, and the dropout masks.

Dropout is compared under one mask: a trace stands in for the random generator of both backends, and what it draws
depends only on the seed, the path of the module that asks, and how often that module has asked.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from parity.running import nested
from parity.running.dropout_masks import shared_noise
from scratch.module import Array, Backward, Module, tap
from scratch.random import use_generator


@dataclass
class Call:
    """One call of one submodule; the arrays are NumPy's in both backends."""

    path: str
    index: int  # 0 for the first call of this module, 1 for its second, ...
    draws: Counter[str]  # how often each path had asked for noise before this call
    buffers: dict[str, Array]
    inputs: dict[str, Any]
    constants: tuple[str, ...] = ()  # inputs that needed no gradient
    outputs: dict[str, Array] = field(default_factory=dict)
    cotangents: dict[str, Array] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.path}#{self.index}" if self.index else self.path


class Trace:
    """The calls of one pass in the order of their start, and its source of random numbers."""

    def __init__(self, seed: int = 0, prefix: str = "", draws: Counter[str] | None = None):
        self.seed = seed
        self.prefix = prefix  # the path of the root, where the root is itself a submodule
        self.draws = Counter(draws or {})
        self.calls: list[Call] = []
        self._counts: Counter[str] = Counter()
        self._stack: list[str] = []

    def enter(self, path: str, inputs: tuple[Any, ...], buffers: dict[str, Array]) -> Call:
        """Record the start of a call; the inputs are named `input 0`, `input 1`, ..."""
        path = ".".join(part for part in (self.prefix, path) if part)
        named = {f"input {i}": value for i, value in enumerate(inputs)}
        call = Call(path, self._counts[path], Counter(self.draws), buffers, named)
        self._counts[path] += 1
        self._stack.append(path)
        self.calls.append(call)
        return call

    def leave(self) -> None:
        self._stack.pop()

    @property
    def path(self) -> str:
        """Return the path of the module that is running."""
        return self._stack[-1] if self._stack else self.prefix

    def random(self, shape: tuple[int, ...]) -> Array:
        """Draw uniform numbers in [0, 1), as numpy.random.Generator.random does."""
        path = self.path
        self.draws[path] += 1
        return np.random.default_rng([self.seed, zlib.crc32(path.encode()), self.draws[path]]).random(shape)


@contextmanager
def record_scratch(subject: Any, trace: Trace) -> Iterator[None]:
    """Record the calls of a scratch module's submodules; inside the block, random numbers come from the trace."""
    paths = {id(module): path for path, module in subject.named_modules()} if isinstance(subject, Module) else {}

    def observe(module: Module, *inputs: Any) -> tuple[Any, Backward]:
        if id(module) not in paths:  # made during the pass: part of whoever made it
            return module.forward(*inputs)
        call = trace.enter(paths[id(module)], inputs, {})
        y, backward = module.forward(*inputs)
        trace.leave()
        call.outputs = dict(nested.leaves("y", y))

        def recorded_backward(*cotangents: Any) -> Any:
            call.cotangents = dict(nested.leaves("y", cotangents[0] if len(cotangents) == 1 else cotangents))
            return backward(*cotangents)

        return y, recorded_backward

    with tap(observe), use_generator(trace):  # type: ignore[arg-type]  # of a generator's methods, twins may call random()
        yield


@contextmanager
def record_reference(subject: Any, trace: Trace, record_calls: bool = True, root: str = "") -> Iterator[None]:
    """Record the calls of a torch module's submodules; inside the block, dropout masks come from the trace.

    Without `record_calls`, only the paths that draw masks are recorded. `root` is the subject's own path in the trace.
    """
    open_calls: list[Call] = []

    def before(path: str, module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        if not record_calls:
            trace.enter(path, (), {})
            return
        buffers = {name: to_numpy(buffer) for name, buffer in module.named_buffers()}
        call = trace.enter(path, nested.map_leaves(to_numpy, inputs), buffers)
        call.constants = tuple(
            name
            for name, value in zip(call.inputs, inputs, strict=True)
            if not any(map(needs_gradient, dict(nested.leaves("", value)).values()))
        )
        open_calls.append(call)

    def after(module: torch.nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        trace.leave()
        if not record_calls:
            return output
        call = open_calls.pop()
        # an input handed through becomes a tensor of its own, so that the gradient of this output is not that of the input
        given = {id(tensor) for _, tensor in nested.leaves("", inputs)}
        output = nested.map_leaves(lambda tensor: tensor.view_as(tensor) if id(tensor) in given else tensor, output)
        for name, tensor in nested.leaves("y", output):
            call.outputs[name] = to_numpy(tensor)
            if needs_gradient(tensor):
                call.cotangents[name] = np.zeros_like(call.outputs[name])
                tensor.register_hook(lambda gradient, name=name: call.cotangents.__setitem__(name, to_numpy(gradient)))
        return output

    with ExitStack() as stack:
        stack.enter_context(shared_noise(trace.random))
        if isinstance(subject, torch.nn.Module):
            for path, module in subject.named_modules():
                inside = ".".join(part for part in (root, path) if part)
                stack.callback(module.register_forward_pre_hook(partial(before, inside)).remove)
                stack.callback(module.register_forward_hook(after).remove)
        yield


def needs_gradient(value: Any) -> bool:
    """Return whether the value is a tensor that needs a gradient."""
    return isinstance(value, torch.Tensor) and value.requires_grad


def to_numpy(value: Any) -> Any:
    """Return a tensor as an array of its own; anything else as it is."""
    return value.detach().cpu().numpy().copy() if isinstance(value, torch.Tensor) else value
