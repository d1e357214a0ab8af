"""Checks that arguments are of the kind that a signature says."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool, np.bool_), "True or False"),
    int: ((int, np.integer), "a whole number"),
    float: ((int, float, np.integer, np.floating), "a number"),
    str: ((str,), "a word"),
}
SEQUENCES = (tuple, Sequence)


def check_options(speaker: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Raise ValueError where an argument is no bool, int, float, word, array or sequence of them although the signature says so.

    Annotations that mean anything else are left to whom they concern.
    """
    for name, annotation in _annotations(function).items():
        if name in arguments and not _fits(arguments[name], annotation):
            raise ValueError(f"{speaker}: {name} is {_shown(arguments[name])}, expected {' or '.join(_names(annotation))}")


@cache
def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function's options, those that _fits knows."""
    hints = get_type_hints(function)
    return {name: hints[name] for name in inspect.signature(function).parameters if name in hints and _is_known(hints[name])}


def _is_known(annotation: Any) -> bool:
    parts = [part for part in get_args(annotation) if part is not Ellipsis]
    if get_origin(annotation) in SEQUENCES:
        return _is_known(parts[0]) and len(set(parts)) == 1
    if get_origin(annotation) in (Union, UnionType):
        return all(map(_is_known, parts))
    return annotation in KINDS or annotation is type(None) or get_origin(annotation) is np.ndarray


def _fits(value: Any, annotation: Any) -> bool:
    """Return whether a value is of an annotation's kind; a bool is no number, and NaN is none either."""
    if get_origin(annotation) in (Union, UnionType):
        return any(_fits(value, part) for part in get_args(annotation))
    if get_origin(annotation) is np.ndarray:
        return isinstance(value, np.ndarray | np.generic)
    if get_origin(annotation) in SEQUENCES:
        kind = get_args(annotation)[0]
        return isinstance(value, Sequence) and not isinstance(value, str) and all(_fits(item, kind) for item in value)
    if annotation is type(None):
        return value is None
    if isinstance(value, bool | np.bool_) and annotation is not bool:
        return False
    return isinstance(value, KINDS[annotation][0]) and not (isinstance(value, float | np.floating) and math.isnan(value))


def _names(annotation: Any) -> Iterator[str]:
    """Name the kinds that an annotation allows."""
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _names(part)
    elif get_origin(annotation) is np.ndarray:
        yield "a NumPy array"
    elif get_origin(annotation) in SEQUENCES:
        yield f"a sequence, each {' or '.join(_names(get_args(annotation)[0]))}"
    else:
        yield "None" if annotation is type(None) else KINDS[annotation][1]


def _shown(value: Any) -> str:
    """Describe a value in a few words, an array by its dtype and shape."""
    if isinstance(value, np.ndarray):
        return f"an array, {value.dtype} {value.shape}"
    text = repr(value)
    return text if len(text) < 80 and "\n" not in text else f"a {type(value).__name__}"
