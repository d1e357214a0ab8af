"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gates: Gers et al. 2000)."""

import numpy as np

from scratch.module import Array, Backward
from scratch.ops.definitions.activation import sigmoid
from scratch.ops.definitions.recurrence import through_time


def lstm(
    x: Array,
    h0: Array,
    c0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    weight_hr: Array | None = None,
    counts: Array | None = None,
) -> tuple[tuple[Array, Array, Array], Backward]:
    """Compute c_t = f c_{t-1} + i g, h_t = W_hr (o tanh(c_t)).

    i, f, o are the sigmoid, and g the tanh, of the four parts of W_ih x_t + b_ih + W_hh h_{t-1} + b_hh.
    """

    def step(x: Array, h: Array, c: Array) -> tuple[tuple[Array, ...], Backward]:
        z = x @ weight_ih.T + h @ weight_hh.T + sum(b for b in (bias_ih, bias_hh) if b is not None)
        z_i, z_f, z_g, z_o = np.split(z, 4, axis=1)
        (i, _), (f, _), g, (o, _) = sigmoid(z_i), sigmoid(z_f), np.tanh(z_g), sigmoid(z_o)
        c_t = f * c + i * g
        m = o * np.tanh(c_t)

        def backward(dh: Array, dc: Array) -> tuple[Array, tuple[Array, ...], list[Array | None]]:
            dm = dh if weight_hr is None else dh @ weight_hr
            dc = dc + dm * o * (1 - np.tanh(c_t) ** 2)
            gates = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dm * np.tanh(c_t) * o * (1 - o)
            dz = np.concatenate(gates, axis=1)
            dbiases = [None if b is None else dz.sum(axis=0) for b in (bias_ih, bias_hh)]
            dweights = [dz.T @ x, dz.T @ h, *dbiases, None if weight_hr is None else dh.T @ m]
            return dz @ weight_ih, (dz @ weight_hh, dc * f), dweights

        return (m if weight_hr is None else m @ weight_hr.T, c_t), backward

    (y, h_n, c_n), backward = through_time(step, x, (h0, c0), counts)
    return (y, h_n, c_n), backward
