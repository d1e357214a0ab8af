"""Adapters for other styles of handwritten layers; the harness calls the result as y, backward = subject(*inputs).

    stateful(ReLU())                                               y = forward(x), dx = backward(dy), a cache on self
    with_cache(conv_forward, conv_backward)                        y, cache = forward(x, w, b); dx, dw, db = backward(dy, cache)
    with_dicts(Dense(7, 3), {"W": ("weight", "T"), "b": "bias"})   weights in self.params, their gradients in self.grads

The map of weights has the object's name of each weight, and PyTorch's name for it. The layout of the object's array may follow:
"T" for the transpose, "row" or "column" for a vector of shape (1, n) or (n, 1), a tuple for another order of the axes. A name may
start with the path of a layer, on both sides: {"layers.0.W": ("0.weight", "T")}. `submodules` maps the paths of layers without
weights: {"layers.1": "1"}. If the whole object is wrong, each of these layers is judged alone.
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
Submodules = Mapping[str, str]  # the object's path of a layer, and PyTorch's


def with_cache(forward: Callable[..., tuple[Any, Any]], backward: Callable[..., Any]) -> Callable[..., tuple[Any, Backward]]:
    """Return an op made from two functions: y, cache = forward(*inputs) and gradients = backward(dy, cache)."""

    @functools.wraps(forward)
    def op(*inputs: Any, **options: Any) -> tuple[Any, Backward]:
        y, cache = forward(*inputs, **options)
        return y, lambda *dy: backward(*dy, cache)

    return op


def stateful(layer: Any, weights: Weights | None = None, submodules: Submodules | None = None, gradient: str = "d{}") -> Module:
    """Return a layer made from an object whose forward stores on the object what its backward needs.

    Weights and their gradients are attributes. `gradient` is the pattern of a gradient's name: by default, that of `W` is `dW`.

        stateful(Dense(7, 3), {"W": ("weight", "T"), "b": "bias"})
    """
    return Adapted(
        layer, weights or {}, submodules or {}, Access(getattr, setattr, lambda o, name: getattr(o, gradient.format(name)))
    )


def with_dicts(
    layer: Any, weights: Weights, submodules: Submodules | None = None, params: str = "params", grads: str = "grads"
) -> Module:
    """Return a layer made from an object that stores its weights in one dictionary and their latest gradients in another."""
    access = Access(
        lambda owner, name: getattr(owner, params)[name],
        lambda owner, name, array: getattr(owner, params).update({name: array}),
        lambda owner, name: getattr(owner, grads)[name],
    )
    return Adapted(layer, weights, submodules or {}, access)


def renamed(module: Module, weights: Weights) -> Module:
    """Return a module made from one of `scratch`, whose parameters get PyTorch's names."""
    access = Access(
        lambda owner, name: getattr(owner, name).data,
        lambda owner, name, array: setattr(getattr(owner, name), "data", array),
        lambda owner, name: getattr(owner, name).grad,
    )
    return Adapted(module, weights, {}, access)


def adapted(subject: Any, weights: Weights | None) -> Any:
    """Return the subject with the adapter for its style, or the subject itself where it needs none."""
    if isinstance(subject, Module):
        return renamed(subject, weights) if weights else subject
    if weights and hasattr(subject, "params"):
        return with_dicts(subject, weights)
    if weights or (hasattr(subject, "forward") and hasattr(subject, "backward")):
        return stateful(subject, weights)
    return subject


@dataclass(frozen=True)
class Access:
    """The functions by which one style reads a weight, writes it, and reads its gradient."""

    read: Callable[[Any, str], Any]
    write: Callable[[Any, str, Any], None]
    read_gradient: Callable[[Any, str], Any]


class Adapted(Module):
    """An object under the contract of a Module; each call runs on a new copy of the object, with the weights that are set here."""

    def __init__(self, layer: Any, weights: Weights, submodules: Submodules, access: Access):
        self._layer = (layer,)  # in a tuple, so that a Module in it is no submodule of this one
        self._access = access
        self._weights: dict[str, tuple[str, Layout]] = {}
        self._submodules: dict[str, str] = {}
        inside: dict[tuple[str, str], dict[str, tuple[str, Layout]]] = {paths: {} for paths in submodules.items()}
        for mine, mapped in weights.items():
            theirs, layout = (mapped, "") if isinstance(mapped, str) else mapped
            path, their_path = mine.rpartition(".")[0], theirs.rpartition(".")[0]
            if path and their_path:
                inside.setdefault((path, their_path), {})[mine.rpartition(".")[2]] = theirs.rpartition(".")[2], layout
            else:
                self._weights[mine] = theirs, layout
                setattr(self, theirs, Parameter(_in_their_layout(self._stored(layer, mine), layout)))
        for (path, their_path), names in inside.items():
            self._submodules[path] = their_path
            setattr(self, their_path, Adapted(_at(layer, path), names, {}, access))

    @property
    def __wrapped__(self) -> Any:
        """Return the object itself, whose name appears in messages."""
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
        for path, their_path in self._submodules.items():
            getattr(self, their_path)._fill(_at(layer, path))

    def _collect(self, layer: Any) -> None:
        """Add the gradients that the layer has stored to those of the parameters here."""
        for mine, (theirs, layout) in self._weights.items():
            gradient = None
            with suppress(KeyError, AttributeError):
                gradient = self._access.read_gradient(*_owner(layer, mine))
            if gradient is None:
                continue  # the comparison reports it as missing
            shape = self._stored(layer, mine).shape
            if np.shape(gradient) != shape:
                raise ValueError(f"the gradient of {mine} has shape {np.shape(gradient)}, expected {shape} as {mine} has")
            getattr(self, theirs).accumulate(_in_their_layout(np.asarray(gradient), layout))
        for path, their_path in self._submodules.items():
            getattr(self, their_path)._collect(_at(layer, path))

    def _stored(self, layer: Any, mine: str) -> Array:
        try:
            return np.asarray(self._access.read(*_owner(layer, mine)))
        except (KeyError, AttributeError):
            raise ValueError(f"{type(layer).__name__} has no weight {mine!r}; the keys of the map are its own names") from None


def _run_backward(run: Callable[..., Any], dy: tuple[Any, ...]) -> Any:
    """Return the gradients; the backward of a loss may take no upstream gradient, which stands for a gradient of one."""
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
    """Return the object that holds a weight, and the weight's name there."""
    path, _, last = name.rpartition(".")
    return _at(layer, path), last


def _at(layer: Any, path: str) -> Any:
    """Return the object at a path of attributes, list indices and dictionary keys."""
    for name in path.split(".") if path else ():
        layer = (
            layer[int(name)]
            if isinstance(layer, list | tuple)
            else layer[name]
            if isinstance(layer, dict)
            else getattr(layer, name)
        )
    return layer
