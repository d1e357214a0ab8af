"""Rotary positions."""

import numpy as np

from scratch.checks import has_positions, one_float_dtype
from scratch.contract import op
from scratch.fast.threads import Part, in_blocks
from scratch.module import Array, Backward


@op
def rotary(x: Array, positions: Array, base: float = 10000.0, interleaved: bool = False) -> tuple[Array, Backward]:
    """Rotate each pair i of numbers of x (..., T, D) by the angle θ = position / base^(2i / D) (Su et al. 2021, section 3.2.2).

    A pair is the numbers i and i + D / 2, as in GPT-NeoX and Llama; if `interleaved`, 2i and 2i + 1, as in the paper and GPT-J.
    The backward rotates dy by -θ. positions (T,) or (..., T) have no gradient.
    """
    one_float_dtype("rotary", x=x)
    has_positions("rotary", x, positions)
    D = x.shape[-1]
    if D % 2 or D < 2:
        raise ValueError(f"rotary: expected x (..., T, D) with an even D, got {x.shape}; D is at least 2")
    angles = positions[..., None] * base ** (-np.arange(0, D, 2) / D)
    cos, sin = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)
    firsts, seconds = (slice(0, D, 2), slice(1, D, 2)) if interleaved else (slice(0, D // 2), slice(D // 2, D))

    def turned(x: Array, sin: Array) -> Array:
        y = np.empty_like(x)
        all_cos, all_sin = (np.broadcast_to(a, (*x.shape[:-1], D // 2)) for a in (cos, sin))

        def turn(part: Part) -> None:
            first, second = x[part][..., firsts], x[part][..., seconds]
            y[part][..., firsts] = first * all_cos[part] - second * all_sin[part]
            y[part][..., seconds] = first * all_sin[part] + second * all_cos[part]

        in_blocks(turn, y)
        return y

    return turned(x, sin), lambda dy: (turned(dy, -sin), None)  # rotates back
