"""Rotary positions (Su et al. 2021, section 3.2.2)."""

import numpy as np

from scratch.module import Array, Backward


def rotary(x: Array, positions: Array, base: float = 10000.0, interleaved: bool = False) -> tuple[Array, Backward]:
    """Compute y_i = x_i exp(√-1 θ) with pairs of numbers as complex numbers, θ = position / base^(2i / D).

    The backward turns back: dx_i = dy_i exp(-√-1 θ).
    """
    D = x.shape[-1]
    angle = positions[..., None] * base ** (-np.arange(0, D, 2) / D)
    turn = np.exp(1j * angle).astype(np.result_type(x, np.complex64))
    one, two = (slice(0, D, 2), slice(1, D, 2)) if interleaved else (slice(0, D // 2), slice(D // 2, D))

    def turned(x: Array, turn: Array) -> Array:
        z, y = (x[..., one] + 1j * x[..., two]) * turn, np.empty_like(x)
        y[..., one], y[..., two] = z.real, z.imag
        return y

    return turned(x, turn), lambda dy: (turned(dy, turn.conj()), None)
