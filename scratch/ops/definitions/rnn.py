"""The simple recurrent network (Elman 1990)."""

import numpy as np

from scratch.module import Array, Backward
from scratch.ops.definitions.recurrence import through_time


def rnn(
    x: Array,
    h0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    counts: Array | None = None,
    nonlinearity: str = "tanh",
) -> tuple[tuple[Array, Array], Backward]:
    """Compute h_t = f(z) for z = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh; dz = dh_t f'(z), dx_t = W_ihᵀ dz, dh_{t-1} = W_hhᵀ dz."""

    def step(x: Array, h: Array) -> tuple[tuple[Array, ...], Backward]:
        z = x @ weight_ih.T + h @ weight_hh.T + sum(b for b in (bias_ih, bias_hh) if b is not None)
        new = np.tanh(z) if nonlinearity == "tanh" else np.maximum(z, 0)

        def backward(dnew: Array) -> tuple[Array, tuple[Array, ...], list[Array | None]]:
            dz = dnew * (1 - new * new) if nonlinearity == "tanh" else np.where(new > 0, dnew, 0)
            dbiases = [None if b is None else dz.sum(axis=0) for b in (bias_ih, bias_hh)]
            return dz @ weight_ih, (dz @ weight_hh,), [dz.T @ x, dz.T @ h, *dbiases]

        return (new,), backward

    (y, h_n), backward = through_time(step, x, (h0,), counts)
    return (y, h_n), backward
