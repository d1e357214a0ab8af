"""Nested inputs and outputs: tuples, lists and dictionaries of arrays, tensors and options."""

from collections.abc import Callable, Iterator
from typing import Any


def leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every leaf with its name: `state` for a bare leaf, `state.0` and `state.1` for a pair; None is no leaf."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(f"{name}.{key}", item)
    elif isinstance(value, tuple | list):
        for i, item in enumerate(value):
            yield from leaves(f"{name}.{i}", item)
    elif value is not None:
        yield name, value


def map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    """Return the same nest with the function applied to every leaf."""
    if isinstance(value, dict):
        return {key: map_leaves(function, item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(map_leaves(function, item) for item in value)
    return None if value is None else function(value)
