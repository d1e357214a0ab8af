"""Other styles of writing layers by hand, turned into what the harness calls: y, backward = subject(*inputs).

    stateful(ReLU())                                               y = forward(x), dx = backward(dy), a cache on self
    with_cache(conv_forward, conv_backward)                        y, cache = forward(x, w, b); dx, dw, db = backward(dy, cache)
    with_dicts(Dense(7, 3), {"W": ("weight", "T"), "b": "bias"})   weights in self.params, their gradients in self.grads

Weights are mapped from their names in the object to PyTorch's, and with them how the object stores the array: "T" for its
transpose, "row" or "column" for a vector as (1, n) or (n, 1), a tuple for its axes in another order. Names may have the
path of a layer in front, in the object and in PyTorch: {"layers.0.W": ("0.weight", "T")}. `parts` does the same for layers
without weights: {"layers.1": "1"}. When the whole is wrong, each of these layers is judged on its own.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

import parity.siblings  # noqa: F401  first
from scratch.module import Array, Backward, Module, Parameter

__tracebackhide__ = True  # pytest shows the test that failed, and nothing of this file

Layout = str | tuple[int, ...]
Weights = Mapping[str, str | tuple[str, Layout]]
Parts = Mapping[str, str]


def with_cache(forward: Callable[..., tuple[Any, Any]], backward: Callable[..., Any]) -> Callable[..., tuple[Any, Backward]]:
    """An op from a pair of functions that hand a cache over: y, cache = forward(*inputs); gradients = backward(dy, cache)."""

    @functools.wraps(forward)
    def op(*inputs: Any, **options: Any) -> tuple[Any, Backward]:
        y, cache = forward(*inputs, **options)
        return y, lambda *dy: backward(*dy, cache)

    return op


def stateful(layer: Any, weights: Weights | None = None, parts: Parts | None = None, gradient: str = "d{}") -> Module:
    """A layer from an object whose forward keeps on itself what its backward needs.

    Weights are attributes, and so are their gradients, named as `gradient` says: that of `W` is `dW`.

        stateful(Dense(7, 3), {"W": ("weight", "T"), "b": "bias"})
    """
    return Adapted(layer, weights or {}, parts or {}, Access(getattr, setattr, lambda o, name: getattr(o, gradient.format(name))))


def with_dicts(layer: Any, weights: Weights, parts: Parts | None = None, params: str = "params", grads: str = "grads") -> Module:
    """A layer from an object that keeps its weights in one dictionary and the gradients of its last backward in another."""
    access = Access(
        lambda owner, name: getattr(owner, params)[name],
        lambda owner, name, array: getattr(owner, params).update({name: array}),
        lambda owner, name: getattr(owner, grads)[name],
    )
    return Adapted(layer, weights, parts or {}, access)


def renamed(module: Module, weights: Weights) -> Module:
    """A module of `scratch` whose parameters have other names than PyTorch's."""
    access = Access(
        lambda owner, name: getattr(owner, name).data,
        lambda owner, name, array: setattr(getattr(owner, name), "data", array),
        lambda owner, name: getattr(owner, name).grad,
    )
    return Adapted(module, weights, {}, access)


def adapted(subject: Any, weights: Weights | None) -> Any:
    """The subject behind the adapter for its style, or itself where it needs none."""
    if isinstance(subject, Module):
        return renamed(subject, weights) if weights else subject
    if weights and hasattr(subject, "params"):
        return with_dicts(subject, weights)
    if weights or (hasattr(subject, "forward") and hasattr(subject, "backward")):
        return stateful(subject, weights)
    return subject


@dataclass(frozen=True)
class Access:
    """How one style reads and writes a weight, and reads its gradient."""

    read: Callable[[Any, str], Any]
    write: Callable[[Any, str, Any], None]
    read_gradient: Callable[[Any, str], Any]


class Adapted(Module):
    """An object behind the contract of a Module: each call runs a copy of its own, with the weights that are set here."""

    def __init__(self, layer: Any, weights: Weights, parts: Parts, access: Access):
        self._layer = (layer,)  # a Module of its own is no part of this one
        self._access = access
        self._weights: dict[str, tuple[str, Layout]] = {}
        self._parts: dict[str, str] = {}
        inside: dict[tuple[str, str], dict[str, tuple[str, Layout]]] = {part: {} for part in parts.items()}
        for mine, mapped in weights.items():
            theirs, layout = (mapped, "") if isinstance(mapped, str) else mapped
            part, their_part = mine.rpartition(".")[0], theirs.rpartition(".")[0]
            if part and their_part:
                inside.setdefault((part, their_part), {})[mine.rpartition(".")[2]] = theirs.rpartition(".")[2], layout
            else:
                self._weights[mine] = theirs, layout
                setattr(self, theirs, Parameter(_in_their_layout(self._stored(layer, mine), layout)))
        for (part, their_part), names in inside.items():
            self._parts[part] = their_part
            setattr(self, their_part, Adapted(_at(layer, part), names, {}, access))

    @property
    def __wrapped__(self) -> Any:
        """The object itself, which is named where something is wrong."""
        return self._layer[0]

    def forward(self, *inputs: Any) -> tuple[Any, Backward]:
        layer = copy.deepcopy(self.__wrapped__)
        self._fill(layer)
        if hasattr(layer, "training"):
            layer.training = self.training
        y = getattr(layer, "forward", layer)(*inputs)
        run_backward = getattr(layer, "backward", None)
        if run_backward is None:
            y, run_backward = y

        def backward(*dy: Any) -> Any:
            gradients = _run_backward(run_backward, dy)
            self._collect(layer)
            if len(inputs) > 1 and not isinstance(gradients, tuple | list):
                return gradients, *(None for _ in inputs[1:])  # labels have no gradient
            return gradients

        return y, backward

    def _fill(self, layer: Any) -> None:
        """Write the weights into the layer."""
        for mine, (theirs, layout) in self._weights.items():
            owner, name = _owner(layer, mine)
            self._access.write(owner, name, np.array(_in_my_layout(getattr(self, theirs).data, layout), order="C"))
        for part, their_part in self._parts.items():
            getattr(self, their_part)._fill(_at(layer, part))

    def _collect(self, layer: Any) -> None:
        """Add the gradients that the layer has left to those kept here."""
        for mine, (theirs, layout) in self._weights.items():
            gradient = None
            with suppress(KeyError, AttributeError):
                gradient = self._access.read_gradient(*_owner(layer, mine))
            if gradient is None:
                continue  # reported as missing by whoever compares
            shape = self._stored(layer, mine).shape
            if np.shape(gradient) != shape:
                raise ValueError(f"the gradient of {mine} has shape {np.shape(gradient)}, expected {shape} as {mine} has")
            getattr(self, theirs).accumulate(_in_their_layout(np.asarray(gradient), layout))
        for part, their_part in self._parts.items():
            getattr(self, their_part)._collect(_at(layer, part))

    def _stored(self, layer: Any, mine: str) -> Array:
        try:
            return np.asarray(self._access.read(*_owner(layer, mine)))
        except (KeyError, AttributeError):
            raise ValueError(f"{type(layer).__name__} has no weight {mine!r}; the keys of the map are its own names") from None


def _run_backward(run: Callable[..., Any], dy: tuple[Any, ...]) -> Any:
    """The gradients, also from the backward of a loss that takes none and means a gradient of one."""
    if inspect.signature(run).parameters or not dy:
        return run(*dy)
    gradients = run()
    return type(gradients)(g * dy[0] for g in gradients) if isinstance(gradients, tuple | list) else gradients * dy[0]


def _in_their_layout(array: Array, layout: Layout) -> Array:
    if layout in ("row", "column"):
        return array.reshape(-1)
    return array.transpose(np.argsort(_axes(array, layout)))


def _in_my_layout(array: Array, layout: Layout) -> Array:
    if layout in ("row", "column"):
        return array[None, :] if layout == "row" else array[:, None]
    return array.transpose(_axes(array, layout))


def _axes(array: Array, layout: Layout) -> tuple[int, ...]:
    axes = tuple(range(array.ndim))
    if layout in ("", "T"):
        return axes[::-1] if layout else axes
    if isinstance(layout, str) or sorted(layout) != list(axes):
        raise ValueError(f"a layout is {layout!r}, expected 'T', 'row', 'column' or an order of the {array.ndim} axes")
    return layout


def _owner(layer: Any, name: str) -> tuple[Any, str]:
    """The object that holds a weight, and the weight's name there."""
    part, _, last = name.rpartition(".")
    return _at(layer, part), last


def _at(layer: Any, path: str) -> Any:
    """The part of an object at a path of attributes, list indices and dictionary keys."""
    for name in path.split(".") if path else ():
        layer = (
            layer[int(name)]
            if isinstance(layer, list | tuple)
            else layer[name]
            if isinstance(layer, dict)
            else getattr(layer, name)
        )
    return layer
