"""Gradient clipping (Pascanu, Mikolov & Bengio 2013), between backward and step."""

from collections.abc import Iterable, Iterator

import numpy as np

from scratch.fast.threads import BLOCK
from scratch.module import Array, Parameter


def clip_grad_norm_(parameters: Iterable[Parameter] | Parameter, max_norm: float, norm_type: float = 2.0) -> float:
    """Multiply all gradients by max_norm / (norm + 1e-6) where that is below 1, and return the norm before.

    It is the norm of all gradients as one vector, (Σ |g|^norm_type)^(1 / norm_type), or the largest |g| for infinity. The sum is
    in float64, because squares of float32 gradients above 1e19 would overflow, and those below 1e-23 would become 0.
    Each `grad` is replaced, not changed in place, because several parameters may hold the same array.
    """
    if not (max_norm >= 0 and norm_type > 0):
        raise ValueError(f"clip_grad_norm_: expected max_norm >= 0 and norm_type > 0, got {max_norm!r} and {norm_type!r}")
    clipped = _with_gradients(parameters)
    norms = [float(np.linalg.norm(piece, norm_type)) for _, grad in clipped for piece in _float64_pieces(grad)]
    total = float(np.linalg.norm(norms, norm_type)) if norms else 0.0
    scale = max_norm / (total + 1e-6)
    if not scale >= 1:  # smaller, or not a number
        for parameter, grad in clipped:
            parameter.grad = np.asarray(grad * grad.dtype.type(scale))
    return total


def clip_grad_value_(parameters: Iterable[Parameter] | Parameter, clip_value: float) -> None:
    """Clip every gradient to the range from -clip_value to clip_value."""
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: clip_value is {clip_value!r}, expected at least 0")
    for parameter, grad in _with_gradients(parameters):
        parameter.grad = np.asarray(np.clip(grad, grad.dtype.type(-clip_value), grad.dtype.type(clip_value)))


def _with_gradients(parameters: Iterable[Parameter] | Parameter) -> list[tuple[Parameter, Array]]:
    """Return the parameters that have a gradient, with it."""
    parameters = [parameters] if isinstance(parameters, Parameter) else parameters
    return [(parameter, parameter.grad) for parameter in parameters if parameter.grad is not None]


def _float64_pieces(array: Array) -> Iterator[Array]:
    """Yield the elements of an array in float64, block by block, so that a large array is never copied as a whole."""
    flat = array.ravel(order="K")
    return (flat[start : start + BLOCK].astype(np.float64) for start in range(0, flat.size, BLOCK))
