"""The gated recurrent unit (Cho et al. 2014; the reset gate acts after the product, as in cuDNN and torch)."""

import numpy as np

from scratch.module import Array, Backward
from scratch.ops.definitions.activation import sigmoid
from scratch.ops.definitions.recurrence import through_time


def gru(
    x: Array,
    h0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    counts: Array | None = None,
) -> tuple[tuple[Array, Array], Backward]:
    """Compute h_t = (1 - u) n + u h_{t-1} for r, u = σ(a + b) and n = tanh(a_n + r b_n).

    Here a = W_ih x_t + b_ih and b = W_hh h_{t-1} + b_hh.
    """

    def step(x: Array, h: Array) -> tuple[tuple[Array, ...], Backward]:
        a = x @ weight_ih.T + (0 if bias_ih is None else bias_ih)
        b = h @ weight_hh.T + (0 if bias_hh is None else bias_hh)
        (a_r, a_u, a_n), (b_r, b_u, b_n) = np.split(a, 3, axis=1), np.split(b, 3, axis=1)
        (r, _), (u, _) = sigmoid(a_r + b_r), sigmoid(a_u + b_u)
        n = np.tanh(a_n + r * b_n)

        def backward(dh: Array) -> tuple[Array, tuple[Array, ...], list[Array | None]]:
            dn, du = dh * (1 - u) * (1 - n * n), dh * (h - n) * u * (1 - u)
            dr = dn * b_n * r * (1 - r)
            da, db = np.concatenate([dr, du, dn], axis=1), np.concatenate([dr, du, dn * r], axis=1)
            dbiases = [None if bias is None else d.sum(axis=0) for bias, d in ((bias_ih, da), (bias_hh, db))]
            return da @ weight_ih, (db @ weight_hh + dh * u,), [da.T @ x, db.T @ h, *dbiases]

        return ((1 - u) * n + u * h,), backward

    (y, h_n), backward = through_time(step, x, (h0,), counts)
    return (y, h_n), backward
