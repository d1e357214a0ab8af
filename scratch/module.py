"""Parameters, buffers and modules: their names, their state, their mode, and a tap through which a pass can be watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, Self

import numpy as np

from scratch.contract import Array, Backward, checked_backward, plain_arguments
from scratch.options import check_options

_tap: ContextVar[Callable[..., tuple[Any, Backward]] | None] = ContextVar("tap", default=None)
_constants: ContextVar[tuple[Array, ...]] = ContextVar("constants", default=())


class Parameter:
    """An array that is trained, with its accumulated gradient; where `requires_grad` is False, no gradient is kept."""

    def __init__(self, data: Array):
        self.data = data
        self.grad: Array | None = None
        self.requires_grad = True

    def accumulate(self, gradient: Array) -> None:
        """Add a gradient of the parameter's shape to `grad`, unless `requires_grad` is False."""
        if gradient.shape != self.data.shape:
            raise ValueError(f"a gradient has shape {gradient.shape}, expected that of its parameter, {self.data.shape}")
        if self.requires_grad:
            self.grad = gradient if self.grad is None else self.grad + gradient


class Buffer:
    """An array of a module's state that is not trained, such as a running mean."""

    def __init__(self, data: Array):
        self.data = data


def apply(op: Callable[..., tuple[Any, Backward]], *operands: Any, **options: Any) -> tuple[Any, Backward]:
    """Call an op on several operands: arrays, Parameters and None.

    The returned backward accumulates the gradients of the Parameters and returns those of the arrays: one gradient where
    one operand is an array, else a tuple. No work is done for operands declared `constant`, whose gradient is None, and for
    Parameters that require no gradient.
    """
    needs = tuple(o.requires_grad if isinstance(o, Parameter) else not is_constant(o) for o in operands)
    y, op_backward = op(*(o.data if isinstance(o, Parameter) else o for o in operands), **options)

    def backward(*cotangents: Any) -> Any:
        gradients = []
        for operand, gradient in zip(operands, op_backward(*cotangents, needs), strict=True):
            if isinstance(operand, Parameter):
                if gradient is not None:
                    operand.accumulate(gradient)
            elif operand is not None:
                gradients.append(gradient)
        return gradients[0] if len(gradients) == 1 else tuple(gradients)

    return y, backward


def state_mismatch(shapes: Mapping[str, tuple[int, ...]], state: Mapping[str, Any]) -> str:
    """Return one line on why `state` cannot be loaded into arrays of these shapes; "" where it can."""
    problems = [f"missing {name}" for name in shapes if name not in state]
    problems += [f"unexpected {name}" for name in state if name not in shapes]
    pairs = {name: (tuple(np.shape(state[name])), shapes[name]) for name in shapes.keys() & state.keys()}
    unlike = {name: (there, here) for name, (there, here) in pairs.items() if there != here}
    advice = "" if problems else _another_head(unlike)
    for name, (there, here) in unlike.items():
        hint = "; its transpose would fit" if here == there[::-1] else ""
        problems.append(f"{name} has shape {there}, expected {here}{hint}")
    return "; ".join(sorted(problems)) + advice


def _another_head(unlike: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]) -> str:
    """Return advice where the only shapes that differ are those of one layer, for another number of classes; else ""."""
    head = next(iter(unlike), "").rpartition(".")[0]
    as_long = all(len(there) == len(here) and there[1:] == here[1:] for there, here in unlike.values())
    if unlike.keys() != {f"{head}.weight", f"{head}.bias"} or not as_long:
        return ""
    theirs, ours = unlike[f"{head}.bias"]
    return f"; if these are classes, build the model for {theirs[0]}, load the state, then replace {head} by a layer for {ours[0]}"


@contextmanager
def constant(*arrays: Array) -> Iterator[None]:
    """Declare arrays that need no gradient, such as a batch of images.

    A forward pass inside the block returns a backward that does no work for them. Otherwise, the input gradient of the first
    layer is a third of the work of an MLP's training step.
    """
    token = _constants.set(_constants.get() + arrays)
    try:
        yield
    finally:
        _constants.reset(token)


def is_constant(array: Array) -> bool:
    """Return whether an array has been declared constant."""
    return any(array is c for c in _constants.get())


@contextmanager
def tap(observer: Callable[..., tuple[Any, Backward]]) -> Iterator[None]:
    """Replace every call of a module inside the block by observer(module, *inputs), which calls module.forward itself."""
    token = _tap.set(observer)
    try:
        yield
    finally:
        _tap.reset(token)


def _with_checked_arguments(constructor: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor that checks its arguments first."""

    @wraps(constructor)
    def checked(self: Any, *arguments: Any, **options: Any) -> None:
        __tracebackhide__ = True  # pytest shows the constructor itself
        name = type(self).__name__
        plain_arguments(name, constructor, (self, *arguments), options)
        check_options(name, constructor, (self, *arguments), options)
        constructor(self, *arguments, **options)

    return checked


class Module:
    """A function with parameters: calling it returns its value and its backward.

    The backward takes the upstream gradient, adds the parameters' gradients to `Parameter.grad`, and returns the gradients
    of the inputs. Each call returns a backward of its own, which may be called once. So a module may be applied several
    times before the first backward runs.

    Attributes that are Parameters, Buffers, Modules or lists of Modules belong to the module.
    """

    training = True

    def __init_subclass__(cls, **options: Any) -> None:
        """Make the constructor refuse arguments that are not of the kinds that its signature names."""
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = _with_checked_arguments(cls.__init__)  # type: ignore[method-assign]

    def forward(self, *inputs: Any) -> tuple[Any, Backward]:
        """Return the value and the backward; a subclass defines it, and calling the module calls it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *inputs: Any) -> tuple[Any, Backward]:
        name, observer = type(self).__name__, _tap.get()
        inputs, _ = plain_arguments(name, type(self).forward, (self, *inputs), {})
        check_options(name, type(self).forward, inputs, {})
        result = self.forward(*inputs[1:]) if observer is None else observer(*inputs)
        if not isinstance(result, tuple) or len(result) != 2:  # the caller reports that it is no pair
            return result
        y, backward = result
        return y, checked_backward(name, y, backward)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules held directly, with their attribute names."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, list):
                yield from ((f"{name}.{i}", item) for i, item in enumerate(value) if isinstance(item, Module))

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Yield this module with the empty path and every module below it, each once."""
        seen: set[int] = set()
        for path, module in self._walk():
            if id(module) not in seen:
                seen.add(id(module))
                yield path, module

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield every parameter once, with the first of its names."""
        return self._named(Parameter)

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """Yield every buffer once, with the first of its names."""
        return self._named(Buffer)

    def parameters(self) -> Iterator[Parameter]:
        """Yield every parameter once."""
        return (parameter for _, parameter in self.named_parameters())

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set for every parameter whether it gets a gradient; a frozen parameter saves its part of the backward."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Delete the accumulated gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def state_dict(self) -> dict[str, Array]:
        """Return the array of every parameter and buffer under each of its names; the arrays are not copied."""
        return {name: holder.data for name, holder in self._state()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Copy arrays into parameters and buffers by name; each keeps its dtype.

        Raise ValueError, before anything is changed, where a name is missing or unexpected or a shape differs.
        """
        holders = dict(self._state())
        unfit = state_mismatch({name: holder.data.shape for name, holder in holders.items()}, state)
        if unfit:
            raise ValueError(f"the state does not fit {type(self).__name__}: {unfit}")
        for name, holder in holders.items():
            holder.data = np.array(state[name], dtype=holder.data.dtype, order="C")

    def astype(self, dtype: Any) -> Self:
        """Cast every floating-point parameter and buffer, and delete the gradients."""
        for _, holder in self._state():
            if np.issubdtype(holder.data.dtype, np.floating):
                holder.data = holder.data.astype(dtype)
        self.zero_grad()
        return self

    def train(self, mode: bool = True) -> Self:
        """Set training mode, or eval mode, for this module and all below it; dropout and batch normalisation depend on it."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Set eval mode for this module and all below it."""
        return self.train(False)

    def _walk(self, path: str = "") -> Iterator[tuple[str, Module]]:
        yield path, self
        for name, child in self.named_children():
            yield from child._walk(f"{path}.{name}" if path else name)

    def _state(self) -> Iterator[tuple[str, Parameter | Buffer]]:
        for path, module in self._walk():
            for name, value in vars(module).items():
                if isinstance(value, Parameter | Buffer):
                    yield (f"{path}.{name}" if path else name), value

    def _named(self, kind: type) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for name, holder in self._state():
            if isinstance(holder, kind) and id(holder) not in seen:
                seen.add(id(holder))
                yield name, holder
