"""Functions that the recurrent ops share: the checks of their arrays, and rows of a batch that end before others."""

import numpy as np

from scratch.checks import has_shape, one_float_dtype
from scratch.module import Array


def check_recurrence(
    op: str,
    x: Array,
    h0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None,
    bias_hh: Array | None,
    gates: int,
    projected: bool = False,
) -> None:
    """Raise ValueError unless x (T, B, I), the first state and the weights of `gates` gates fit; a projected h may be narrower."""
    if h0 is None:
        raise ValueError(f"{op}: h0 is None, expected the first state (B, H); pass zeros to start from nothing")
    one_float_dtype(op, x=x, h0=h0, weight_ih=weight_ih, weight_hh=weight_hh, bias_ih=bias_ih, bias_hh=bias_hh)
    if x.ndim != 3 or weight_ih.ndim != 2 or weight_hh.ndim != 2 or len(weight_ih) % gates:
        raise ValueError(
            f"{op}: expected x (T, B, I), weight_ih ({gates} H, I) and weight_hh ({gates} H, H), "
            f"got {x.shape}, {weight_ih.shape} and {weight_hh.shape}"
        )
    if not len(x):
        raise ValueError(f"{op}: expected at least one step, got x of shape {x.shape}")
    has_shape(op, "weight_ih", weight_ih, (len(weight_ih), x.shape[2]))
    width = weight_hh.shape[1] if projected else len(weight_ih) // gates
    has_shape(op, "weight_hh", weight_hh, (len(weight_ih), width))
    for name, bias in (("bias_ih", bias_ih), ("bias_hh", bias_hh)):
        has_shape(op, name, bias, (len(weight_ih),))
    has_shape(op, "h0", h0, (x.shape[1], width))


def added(bias_ih: Array | None, bias_hh: Array | None) -> Array | None:
    """Return the sum of both biases, which are added to the same numbers; None where there is neither."""
    return bias_ih if bias_hh is None else bias_hh if bias_ih is None else bias_ih + bias_hh


def rows_running(op: str, counts: Array | None, T: int, B: int) -> list[int]:
    """Return the number of rows that run at each step; ValueError unless the numbers start at B and never rise."""
    if counts is None:
        return [B] * T
    if counts.shape != (T,) or counts.dtype.kind not in "iu":
        raise ValueError(f"{op}: expected counts, {T} whole numbers, got {counts.dtype} of shape {counts.shape}")
    numbers = counts.tolist()
    if numbers[0] != B or numbers[-1] < 0:
        raise ValueError(f"{op}: counts go from {numbers[0]} to {numbers[-1]}, expected numbers from {B} (all rows) down to 0")
    if numbers != sorted(numbers, reverse=True):
        raise ValueError(f"{op}: counts rise, expected equal or falling numbers; sort the sequences, the longest first")
    return numbers


def steps_running(x: Array, running: list[int]) -> Array:
    """Return x (T, B, I) as rows (T B, I), with 0 where a row of the batch has ended: the padding has no effect, not even NaN."""
    T, B, I = x.shape
    if running != [B] * T:
        x = np.where((np.arange(B) < np.array(running)[:, None])[:, :, None], x, x.dtype.type(0))
    return x.reshape(T * B, I)


def stopped(h: Array, counts: Array | None) -> Array:
    """Return the states (T, B, H) with 0 where a row has ended."""
    if counts is None:
        return h
    return np.where((np.arange(h.shape[1]) < counts[:, None])[:, :, None], h, h.dtype.type(0))
