"""The simple recurrent network over a whole sequence (Elman 1990)."""

from functools import partial

import numpy as np

from scratch.checks import one_of
from scratch.contract import op
from scratch.fast.reduce import column_sums
from scratch.fast.row_shares import in_row_shares
from scratch.fast.select import zero_where
from scratch.module import Array, Backward
from scratch.ops.recurrence import added, check_recurrence, rows_running, steps_running, stopped


@op
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
    """Run one layer in one direction: x (T, B, I) and h0 (B, H) to (y (T, B, H), h_n (B, H)).

        h_t = f(z_t), z_t = x_t weight_ihᵀ + bias_ih + h_{t-1} weight_hhᵀ + bias_hh, where f is tanh or relu

    weight_ih is (H, I), weight_hh (H, H), a bias (H,). counts (T,), torch's batch_sizes, is the number of rows that still run at
    each step; a row that has ended keeps its state, and its y is 0. The backward takes dy and dh_n. With
    dh = dy_t + the gradient from step t + 1 and f'(z) = 1 - h_t² for tanh, 1 where h_t > 0 for relu:

        dz_t = dh f'(z_t)    dx_t = dz_t weight_ih    dh_{t-1} = dz_t weight_hh
        dweight_ih = Σ_t dz_tᵀ x_t    dweight_hh = Σ_t dz_tᵀ h_{t-1}    dbias_ih = dbias_hh = Σ dz
    """
    one_of("rnn", "nonlinearity", nonlinearity, ("tanh", "relu"))
    check_recurrence("rnn", x, h0, weight_ih, weight_hh, bias_ih, bias_hh, gates=1)
    (T, B, _), H = x.shape, weight_hh.shape[1]
    running = rows_running("rnn", counts, T, B)
    steps = steps_running(x, running)
    from_x = (steps @ weight_ih.T).reshape(T, B, H)  # one matrix product for all steps
    bias = added(bias_ih, bias_hh)
    if bias is not None:
        from_x += bias
    h = np.empty((T + 1, B, H), x.dtype)
    h[0] = h0

    in_row_shares(partial(_through_time, weight_hh, nonlinearity), running, weight_hh.size, from_x, h)

    def backward(dy: Array, dh_n: Array, needs: tuple[bool, ...] = (True,) * 6) -> tuple[Array | None, ...]:
        dz, dh = np.zeros((T, B, H), x.dtype), dh_n.copy()

        in_row_shares(partial(_back_through_time, weight_hh, nonlinearity), running, weight_hh.size, h, dy, dz, dh)
        rows = dz.reshape(T * B, H)
        dx = stopped((rows @ weight_ih).reshape(x.shape), counts) if needs[0] else None
        dbias = column_sums(rows)
        dbiases = [None if bias is None else dbias.copy() for bias in (bias_ih, bias_hh)]
        return dx, dh, rows.T @ steps, rows.T @ h[:-1].reshape(T * B, H), *dbiases

    return (stopped(h[1:], counts), h[-1]), backward


def _through_time(weight_hh: Array, nonlinearity: str, running: list[int], from_x: Array, h: Array) -> None:
    """Write every hidden state into h, step by step."""
    for t, n in enumerate(running):
        z = np.matmul(h[t, :n], weight_hh.T, out=h[t + 1, :n])
        z += from_x[t, :n]
        if nonlinearity == "tanh":
            np.tanh(z, out=z)
        else:
            np.maximum(z, 0, out=z)
        h[t + 1, n:] = h[t, n:]


def _back_through_time(weight_hh: Array, nonlinearity: str, running: list[int], h: Array, dy: Array, dz: Array, dh: Array) -> None:
    """Write dz of every step, from the last to the first; dh becomes the gradient of h0."""
    for t, n in reversed(list(enumerate(running))):
        dh[:n] += dy[t, :n]
        value = h[t + 1, :n]
        if nonlinearity == "relu":
            zero_where(dz[t, :n], dh[:n], value <= 0)
        else:
            np.multiply(dh[:n], 1 - value * value, out=dz[t, :n])
        np.matmul(dz[t, :n], weight_hh, out=dh[:n])
