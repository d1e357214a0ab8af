"""Other values that a call may pass to a submodule as one of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor


def other_values(name: str, value: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Yield a description of each other value of an input, and the function that makes it from the right value."""
    if isinstance(value, bool):
        yield f"{name} = {not value}", lambda value: not value
    if isinstance(value, Tensor) and value.dtype == torch.bool:
        yield f"true everywhere as {name}", torch.ones_like
        yield f"the inverse of {name}", torch.logical_not
    if isinstance(value, Tensor) and value.dtype == torch.int64 and value.ndim == 1 and (value.diff() == 1).all():  # positions
        yield f"{name} + 1", lambda value: value + 1
        yield f"{name} - 1", lambda value: value - 1
        yield f"numbers from 0 on as {name}", lambda value: value - value[0]
    if isinstance(value, tuple) and len(value) > 1 and all(isinstance(x, Tensor) and x.ndim > 2 for x in value):
        yield f"{name} without its last step", lambda value: tuple(x[..., :-1, :] for x in value)
        yield f"the tensors of {name} in reverse order", lambda value: value[::-1]
