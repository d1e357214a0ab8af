"""The contract of ops and modules, checked in one place: inputs are plain arrays, upstream gradients are like the value.

    @op
    def relu(x: Array) -> tuple[Array, Backward]: ...

Anything else is a ValueError in one line; NumPy would broadcast it, or fail somewhere inside. As in torch, the upstream
gradient of a single number, such as a loss, is 1 unless it is given: `loss, backward = mse_loss(x, target); dx, _ = backward()`.
"""

import inspect
from collections.abc import Callable, Iterator
from functools import cache, wraps
from itertools import chain
from types import UnionType
from typing import Any, ParamSpec, TypeVar, cast, get_args

import numpy as np
from numpy.typing import NDArray

from scratch.options import check_options

Array = NDArray[Any]
Backward = Callable[..., Any]
P = ParamSpec("P")
R = TypeVar("R")

HALF, SINGLE = np.dtype(np.float16), np.dtype(np.float32)
NOT_GIVEN: Any = object()


def op(function: Callable[P, R]) -> Callable[P, R]:
    """Check an op's array arguments, its options, and the upstream gradients of its backward.

    float16 arrays are cast to float32, and the results back to float16, as in PyTorch's kernels: sums of squares soon leave
    the range of float16.
    """
    name = function.__name__

    @wraps(function)
    def checked(*args: P.args, **options: P.kwargs) -> R:
        given, named = plain_arguments(name, function, args, options)
        check_options(name, function, given, named)
        call = _in_single_precision(function) if _are_half([*given, *named.values()]) else cast(Callable[..., Any], function)
        y, backward = call(*given, **named)
        return cast(R, (y, checked_backward(name, y, backward)))

    return checked


def plain_arguments(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a call's arguments, with plain arrays where the function is annotated to take arrays, or raise ValueError."""
    arrays = _array_parameters(function)
    changed: dict[int | str, Any] = {}
    for place, value in chain(enumerate(args), options.items()):
        if type(value) is not np.ndarray and place in arrays:
            parameter, may_be_none = arrays[place]
            if value is not None or not may_be_none:
                changed[place] = _plain(name, parameter, value)
    if not changed:
        return args, options
    return tuple(changed.get(place, value) for place, value in enumerate(args)), options | {
        key: changed[key] for key in options if key in changed
    }


def checked_backward(name: str, y: Any, backward: Any) -> Any:
    """Return a backward that first checks its upstream gradients: each has the shape and dtype of its value.

    A value of several arrays takes one upstream gradient, or None, for each; the last ones may be left out. Values that are
    not floating-point arrays take none. Single numbers have the upstream gradient 1 where none is given.
    """
    if not callable(backward):
        return backward
    if isinstance(y, np.ndarray | np.generic):
        return _backward_of_one(name, y.shape, y.dtype, backward) if y.dtype.kind == "f" else backward
    expected = [
        (label, leaf.shape, leaf.dtype)
        for label, leaf in _leaves("y", y)
        if isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind == "f"
    ]
    return _backward_of_several(name, expected, backward) if expected else backward


def _backward_of_one(name: str, shape: tuple[int, ...], dtype: np.dtype, backward: Backward) -> Backward:
    def checked(dy: Any = NOT_GIVEN, *needs: Any, **options: Any) -> Any:
        if dy is NOT_GIVEN:
            if shape:
                raise ValueError(
                    f"{name}: the backward was called without its upstream gradient, an array like y, {dtype} {shape}; "
                    "only that of a single number is 1 by default"
                )
            dy = 1
        if len(needs) > 1 or not all(map(_are_needs, needs)):
            raise ValueError(f"{name}: the backward takes 1 upstream gradient, got {1 + len(needs)}")
        return backward(_like(name, "y", shape, dtype, dy), *needs, **options)

    return checked


def _backward_of_several(name: str, expected: list[tuple[str, tuple[int, ...], np.dtype]], backward: Backward) -> Backward:
    numbers = all(shape == () for _, shape, _ in expected)

    def checked(*upstream: Any, **options: Any) -> Any:
        if not upstream and numbers:
            upstream = (1,) * len(expected)
        count = len(upstream) - (len(upstream) > 1 and _are_needs(upstream[-1]))
        if count > len(expected):
            raise ValueError(f"{name}: the backward takes at most {len(expected)} upstream gradients, got {count}")
        gradients = (dy if dy is None else _like(name, *like, dy) for like, dy in zip(expected, upstream[:count], strict=False))
        return backward(*gradients, *upstream[count:], **options)

    return checked


def _like(name: str, label: str, shape: tuple[int, ...], dtype: np.dtype, dy: Any) -> Any:
    """Return an upstream gradient of this shape and dtype, or raise ValueError; a Python number fits a value without axes."""
    if type(dy) is np.ndarray and dy.shape == shape and dy.dtype == dtype:
        return dy
    if isinstance(dy, np.generic | int | float) and not shape and (not isinstance(dy, np.generic) or dy.dtype == dtype):
        return dtype.type(dy)
    got = f"{dy.dtype} {dy.shape}" if isinstance(dy, np.ndarray | np.generic) else _kind(dy)
    raise ValueError(f"{name}: expected an upstream gradient like {label}, {dtype} {shape}, got {got}")


def _plain(name: str, parameter: str, value: Any) -> Any:
    """Return an array or NumPy number as it is and a memory-mapped file as an array; raise ValueError for anything else."""
    if isinstance(value, np.generic):
        return value
    if type(value) is np.memmap:
        return np.asarray(value)
    advice = "fill it with .filled(value)" if isinstance(value, np.ma.MaskedArray) else "convert it with np.asarray(...)"
    if value is not None and type(value).__module__.split(".")[0] == "torch":
        advice = "convert it with .detach().cpu().numpy()"
    raise ValueError(
        f"{name}: expected {parameter} to be a NumPy array, got {_kind(value)}" + ("" if value is None else f"; {advice}")
    )


@cache
def _array_parameters(function: Callable[..., Any]) -> dict[int | str, tuple[str, bool]]:
    """Return the parameters annotated as arrays, by position and by name: the name, and whether None is allowed."""
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
    except (NameError, TypeError, ValueError):  # annotations of other people's functions may mean anything
        return {}
    found: dict[int | str, tuple[str, bool]] = {}
    for place, parameter in enumerate(parameters):
        kinds = get_args(parameter.annotation) if isinstance(parameter.annotation, UnionType) else (parameter.annotation,)
        if Array in kinds:
            found[place] = found[parameter.name] = parameter.name, type(None) in kinds
    return found


def _in_single_precision(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of float16 arrays that computes in float32, with a backward that does too."""

    def call(*args: Any, **options: Any) -> tuple[Any, Backward]:
        y, backward = function(*_cast(args, HALF, SINGLE), **_cast(options, HALF, SINGLE))
        return _cast(y, SINGLE, HALF), lambda *upstream: _cast(backward(*_cast(upstream, HALF, SINGLE)), SINGLE, HALF)

    return call


def _cast(value: Any, before: np.dtype, after: np.dtype) -> Any:
    """Return nested arrays in which those of one dtype are cast to another."""
    if isinstance(value, dict):
        return {key: _cast(item, before, after) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_cast(item, before, after) for item in value)
    return value.astype(after) if getattr(value, "dtype", None) == before else value


def _leaves(label: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every leaf of nested tuples and lists with its name: `y`, or `y.0` and `y.1` for a pair."""
    if isinstance(value, tuple | list):
        for i, item in enumerate(value):
            yield from _leaves(f"{label}.{i}", item)
    else:
        yield label, value


def _are_needs(value: Any) -> bool:
    """Return whether an argument of a backward is `needs`: a bool for each input, True where it needs a gradient."""
    return isinstance(value, tuple) and all(isinstance(item, bool | np.bool_) for item in value)


def _are_half(values: list[Any]) -> bool:
    """Return whether there are floating-point arrays among the values and all of them are float16."""
    half = False
    for value in values:
        if type(value) is np.ndarray and value.dtype.kind == "f":
            if value.dtype != HALF:
                return False
            half = True
    return half


def _kind(value: Any) -> str:
    """Return the name of a value's type."""
    return "None" if value is None else f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
