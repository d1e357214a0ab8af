"""Changes to a call that works, as data: a case, and a list of changes to its inputs and options.

A change is (kind, where, value). `where` names an option, or an array among the inputs and options as `nested.leaves` does. A
failing test can print its changes, and another test can repeat them.
"""

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

from parity.case import ParityCase, resolve
from parity.inputs import Draw
from parity.running import nested

Change = tuple[str, str, Any]
DTYPES = ("float64", "float32", "float16", "int64", "int32", "int8", "uint8", "bool", "complex128")
NUMBERS = (np.nan, np.inf, -np.inf, -0.0, 0.0, 1e4, -1e4, 1e-30, -1.0, 2.0)
LAYOUTS = ("strided", "reversed", "read-only", "column-major")
OPTIONS: dict[type, tuple[Any, ...]] = {
    bool: (True, False, None, 2),
    int: (0, 1, 2, 3, -1, -2, -7, 1.5, None),
    float: (0.0, 1.0, 0.5, -0.5, -1.0, 1.5, 2.0, 1e-30, 1e30, np.nan, np.inf, -np.inf, 0, 1, None),
    str: ("nonsense", "", "mean", "sum", "none", None),
    type(None): (0, 1, -1, 0.5, True),
}


@dataclass(frozen=True)
class Call:
    """A case with changed inputs and options, and the list of these changes."""

    case: ParityCase
    inputs: dict[str, Any]
    config: dict[str, Any]
    changes: tuple[Change, ...] = ()

    @property
    def dtype(self) -> str:
        """Return the floating-point dtype of the modules."""
        return next((value for kind, _, value in reversed(self.changes) if kind == "every dtype"), "float64")

    @property
    def holds_nonfinite(self) -> bool:
        """Return whether a change put NaN or infinity somewhere."""
        given = [leaf for _, _, value in self.changes for _, leaf in nested.leaves("", value)]
        return any(isinstance(number, float) and not np.isfinite(number) for number in given)

    def __str__(self) -> str:
        return f"{self.case.name}: {list(self.changes)}"


def unchanged(case: ParityCase) -> Call:
    """Return the call of a case without changes."""
    return Call(case, case.inputs(Draw(0, 0)), dict(case.config))


def changed(case: ParityCase, changes: tuple[Change, ...] | list[Change]) -> Call:
    """Return the call of a case after these changes."""
    call = unchanged(case)
    for change in changes:
        call = apply(call, change)
    return call


def apply(call: Call, change: Change) -> Call:
    """Return the call after one more change, without warnings of casts that overflow."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _applied(call, change)


def _applied(call: Call, change: Change) -> Call:
    kind, where, value = change
    changes = (*call.changes, change)
    if kind == "option":
        side = "inputs" if where in call.inputs else "config"
        return replace(call, changes=changes, **{side: getattr(call, side) | {where: value}})
    if kind == "exchange":
        one, two = call.inputs[where], call.inputs[value]
        return replace(call, changes=changes, inputs=call.inputs | {where: two, value: one})
    if kind == "every size":
        return _map_arrays(call, changes, lambda a: _resized(a, *value))
    if kind == "every dtype":
        return _map_arrays(call, changes, lambda a: a.astype(value) if a.dtype.kind == "f" else a)
    return _map_arrays(call, changes, lambda a: CHANGES[kind](a, value), where)


def propose(random: Random, call: Call) -> Call:
    """Return the call after one to three random changes."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 3))):
        change = _random_change(random, call)
        if change is not None:
            call = apply(call, change)
    return call


def arrays_of(call: Call) -> dict[str, np.ndarray]:
    """Return every array among inputs and options, by name."""
    found = {**dict(_leaves(call.inputs)), **dict(_leaves(call.config))}
    return {name: leaf for name, leaf in found.items() if isinstance(leaf, np.ndarray)}


def options_of(case: ParityCase) -> dict[str, Any]:
    """Return the options that both twins take, with their values in the case."""
    mine, theirs = (_parameters(path, package) for path, package in ((case.scratch, "scratch"), (case.reference, "reference")))
    shared = {name: default for name, default in mine.items() if name in theirs and default is not inspect.Parameter.empty}
    return shared | dict(case.config)


def _parameters(path: str, package: str) -> dict[str, Any]:
    try:
        return {name: p.default for name, p in inspect.signature(resolve(path, package)).parameters.items()}
    except ValueError:  # some of torch's functions are written in C++ and have no signature
        return {}


def _random_change(random: Random, call: Call) -> Change | None:
    """Draw one change that fits the call, or return None if there is none."""
    arrays = arrays_of(call)
    options = {**options_of(call.case), **{name: v for name, v in call.inputs.items() if v is None or isinstance(v, bool | int)}}
    options = {name: v for name, v in options.items() if not isinstance(v, np.ndarray)}
    if not arrays and not options and len(call.inputs) < 2:
        return None
    kinds = [
        *(["array"] * 5 if arrays else []),
        *(["option"] * 3 if options else []),
        *(["exchange"] if len(call.inputs) > 1 else []),
    ]
    kind = random.choice(kinds)
    if kind == "option":
        name = random.choice(sorted(options))
        return "option", name, _other_value(random, options[name])
    if kind == "exchange":
        one, two = random.sample(sorted(call.inputs), 2)
        return "exchange", one, two
    name = random.choice(sorted(arrays))
    return _random_array_change(random, name, arrays, optional="." not in name)


def _random_array_change(random: Random, name: str, arrays: Mapping[str, np.ndarray], optional: bool) -> Change:
    """Draw a change of one array, of all arrays with an axis of its size, or of all floating-point arrays."""
    array = arrays[name]
    kind = random.choice(
        ("size", "every size", "every size", "drop", "add", "swap", "dtype", "every dtype", "put", "put", "layout", "none")
    )
    if kind == "none" and optional:
        return "option", name, None
    if kind in ("size", "every size", "drop", "swap") and array.ndim:
        axis = random.randrange(array.ndim)
        length = array.shape[axis]
        if kind == "drop":
            return "drop", name, axis
        if kind == "swap":
            return "swap", name, (axis, random.randrange(array.ndim))
        other = random.choice((0, 0, 1, length - 1, length + 1, 2 * length))
        return (kind, "", (length, max(other, 0))) if kind == "every size" else (kind, name, (axis, max(other, 0)))
    if kind == "add":
        return "add", name, random.randint(0, array.ndim)
    if kind == "dtype":
        return "dtype", name, random.choice(DTYPES)
    if kind == "every dtype":
        return "every dtype", "", random.choice(("float32", "float16", "float32"))
    if kind == "layout":
        return "layout", name, random.choice(LAYOUTS)
    numbers = NUMBERS if array.dtype.kind == "f" else (0, 1, -1, -100, 2, 120)
    return "put", name, (random.randrange(max(array.size, 1)), random.choice(numbers))


def _other_value(random: Random, value: Any) -> Any:
    """Draw another value for an option."""
    if isinstance(value, tuple | list) and value and random.random() < 0.7:
        i = random.randrange(len(value))
        return type(value)([*value[:i], _other_value(random, value[i]), *value[i + 1 :]])
    if isinstance(value, tuple | list):
        return random.choice((type(value)([]), type(value)([*value, 1]), type(value)(value[:-1]), 1, None))
    kind = next((kind for kind in OPTIONS if type(value) is kind), int)
    return random.choice(OPTIONS[kind])


def _map_arrays(call: Call, changes: tuple[Change, ...], function: Callable[[np.ndarray], np.ndarray], where: str = "") -> Call:
    """Apply a function to the array named `where`, or to all arrays."""

    def walk(name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(f"{name}.{key}" if name else key, item) for key, item in value.items()}
        if isinstance(value, tuple | list):
            return type(value)(walk(f"{name}.{i}", item) for i, item in enumerate(value))
        return function(value) if isinstance(value, np.ndarray) and where in ("", name) else value

    config = {name: walk(name, v) if isinstance(v, np.ndarray) else v for name, v in call.config.items()}
    return replace(call, inputs=walk("", call.inputs), config=config, changes=changes)


def _leaves(values: Mapping[str, Any]) -> Any:
    for name, value in values.items():
        yield from nested.leaves(name, value)


def _resized(array: np.ndarray, length: int, other: int) -> np.ndarray:
    """Give every axis of length `length` the length `other`."""
    for axis, n in enumerate(array.shape):
        if n == length:
            array = _sized(array, (axis, other))
    return array


def _sized(array: np.ndarray, value: tuple[int, int]) -> np.ndarray:
    axis, n = value
    if array.shape[axis] == 0:
        return np.zeros((*array.shape[:axis], n, *array.shape[axis + 1 :]), array.dtype)
    return np.take(array, np.arange(n) % array.shape[axis], axis)


def _put(array: np.ndarray, value: tuple[int, float]) -> np.ndarray:
    place, number = value
    array = array.copy()
    if array.size:
        array.flat[place % array.size] = np.array(number).astype(array.dtype)
    return array


def _with_layout(array: np.ndarray, layout: str) -> np.ndarray:
    """Return the same numbers in another memory layout."""
    if layout == "read-only":
        array = array.copy()
        array.flags.writeable = False
    elif layout == "column-major":
        array = np.asfortranarray(array) if array.ndim else array
    elif array.ndim and layout == "reversed":
        array = array[::-1].copy()[::-1]
    elif array.ndim:
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    return array


CHANGES: dict[str, Callable[[np.ndarray, Any], np.ndarray]] = {
    "size": _sized,
    "drop": lambda array, axis: np.asarray(array.take(0, axis) if array.shape[axis] else array.sum(axis=axis)),
    "add": np.expand_dims,
    "swap": lambda array, axes: array.swapaxes(*axes),
    "dtype": np.ndarray.astype,
    "put": _put,
    "layout": _with_layout,
}
