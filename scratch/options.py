"""Checks of options: each is of the kind that its annotation in the signature names."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool, np.bool_), "True or False"),
    int: ((int, np.integer), "a whole number"),
    float: ((float, int, np.integer, np.floating), "a number"),
    str: ((str,), "a word"),
    NoneType: ((NoneType,), "None"),
}
SEQUENCES = (tuple, Sequence)


def check_options(speaker: str, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Raise ValueError where an argument is not the bool, number, word or sequence that its annotation names.

    Other annotations, such as arrays, are not checked here. `speaker` is the name that the message begins with.
    """
    for place, name, annotation, usual in _annotations(function):
        if place < len(args):
            value = args[place]
        elif name in options:
            value = options[name]
        else:
            continue
        if (type(value) not in usual and not _fits(value, annotation)) or value != value:
            raise ValueError(f"{speaker}: {name} is {_shown(value)}, expected {' or '.join(_names(annotation))}")


@cache
def _annotations(function: Callable[..., Any]) -> list[tuple[int, str, Any, frozenset[type]]]:
    """Return position, name, annotation and usual types of each option of a function whose annotation is made of KINDS."""
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):  # annotations of other people's functions may mean anything
        return []
    code = getattr(function, "__code__", None)
    if code is None:
        return []
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    places = [*range(code.co_argcount), *[sys.maxsize] * code.co_kwonlyargcount]
    known = [(place, name, hints[name]) for place, name in zip(places, names, strict=True) if _is_known(hints.get(name))]
    return [(place, name, hint, _usual(hint)) for place, name, hint in known]


def _usual(annotation: Any) -> frozenset[type]:
    """Return the types of most arguments that fit, for a quick first check."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return frozenset(part for part in parts if part in KINDS)


def _is_known(annotation: Any) -> bool:
    """Return whether an annotation is made of KINDS: one of them, a union, or a sequence."""
    parts = [part for part in get_args(annotation) if part is not Ellipsis]
    if get_origin(annotation) in SEQUENCES:
        return _is_known(parts[0]) and len(set(parts)) == 1
    if get_origin(annotation) in (Union, UnionType):
        return all(map(_is_known, parts))
    return annotation in KINDS


def _fits(value: Any, annotation: Any) -> bool:
    """Return whether a value is of an annotation's kind; neither a bool nor NaN is a number."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if get_origin(annotation) in (Union, UnionType):
        return any(_fits(value, part) for part in get_args(annotation))
    if get_origin(annotation) in SEQUENCES:
        kind = get_args(annotation)[0]
        return isinstance(value, Sequence) and not isinstance(value, str) and all(_fits(item, kind) for item in value)
    if isinstance(value, bool | np.bool_) and annotation is not bool:
        return False
    return isinstance(value, KINDS[annotation][0]) and not (isinstance(value, float | np.floating) and math.isnan(value))


def _names(annotation: Any) -> Iterator[str]:
    """Yield the names of the kinds that an annotation allows."""
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _names(part)
    elif get_origin(annotation) in SEQUENCES:
        yield f"a sequence, each {' or '.join(_names(get_args(annotation)[0]))}"
    else:
        yield KINDS[annotation][1]


def _shown(value: Any) -> str:
    """Return a value in a few words, an array as its dtype and shape."""
    if isinstance(value, np.ndarray):
        return f"an array, {value.dtype} {value.shape}"
    text = repr(value)
    return text if len(text) < 80 and "\n" not in text else f"a {type(value).__name__}"
