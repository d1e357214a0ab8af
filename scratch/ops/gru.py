"""The gated recurrent unit over a whole sequence (Cho et al. 2014), with the reset gate after the product, as in torch."""

from functools import partial

import numpy as np

from scratch.contract import op
from scratch.fast.reduce import column_sums
from scratch.fast.row_shares import in_row_shares
from scratch.module import Array, Backward
from scratch.ops.recurrence import check_recurrence, rows_running, steps_running, stopped


@op
def gru(
    x: Array,
    h0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    counts: Array | None = None,
) -> tuple[tuple[Array, Array], Backward]:
    """Run one layer in one direction: x (T, B, I) and h0 (B, H) to (y (T, B, H), h_n (B, H)).

    With a = x_t weight_ihᵀ + bias_ih and b = h_{t-1} weight_hhᵀ + bias_hh, each in three parts r, u, n:

        r, u = sigmoid(a + b)    n = tanh(a_n + r b_n)    h_t = (1 - u) n + u h_{t-1}

    weight_ih is (3H, I), weight_hh (3H, H), a bias (3H,). counts (T,), torch's batch_sizes, is the number of rows that still
    run at each step; a row that has ended keeps its state, and its y is 0. The backward takes dy and dh_n. With
    dh = dy_t + the gradient from step t + 1:

        da_n = dh (1 - u) (1 - n²), db_n = da_n r    da_u = db_u = dh (h_{t-1} - n) u (1 - u)    da_r = db_r = db_n b_n (1 - r)
        dx_t = da weight_ih    dh_{t-1} = db weight_hh + dh u    dweight_ih = Σ_t daᵀ x_t    dweight_hh = Σ_t dbᵀ h_{t-1}
        dbias_ih = Σ da    dbias_hh = Σ db
    """
    check_recurrence("gru", x, h0, weight_ih, weight_hh, bias_ih, bias_hh, gates=3)
    (T, B, _), H = x.shape, weight_hh.shape[1]
    running = rows_running("gru", counts, T, B)
    # sigmoid(z) = tanh(z / 2) / 2 + 1/2
    half = np.full(3 * H, 0.5, x.dtype)
    half[2 * H :] = 1  # n is a tanh
    steps = steps_running(x, running)
    gates = (steps @ (weight_ih * half[:, None]).T).reshape(T, B, 3 * H)  # one matrix product for all steps
    if bias_ih is not None:
        gates += bias_ih * half
    recurrent, bias = np.ascontiguousarray((weight_hh * half[:, None]).T), 0 if bias_hh is None else bias_hh * half
    h, b_n = np.empty((T + 1, B, H), x.dtype), np.empty((T, B, H), x.dtype)
    h[0] = h0
    through, product = np.empty((B, 3 * H), x.dtype), np.empty((B, H), x.dtype)

    in_row_shares(partial(_through_time, recurrent, bias), running, weight_hh.size, gates, h, b_n, through, product)

    def backward(dy: Array, dh_n: Array, needs: tuple[bool, ...] = (True,) * 6) -> tuple[Array | None, ...]:
        da, db, dh, dcandidate = np.empty_like(gates), np.empty_like(gates), dh_n.copy(), np.empty((B, H), x.dtype)

        walk_back = partial(_back_through_time, weight_hh)
        in_row_shares(walk_back, running, weight_hh.size, gates, h, b_n, dy, da, db, dh, dcandidate)
        rows_a, rows_b = da.reshape(T * B, 3 * H), db.reshape(T * B, 3 * H)
        dx = stopped((rows_a @ weight_ih).reshape(x.shape), counts) if needs[0] else None
        dbias_ih = None if bias_ih is None else column_sums(rows_a)
        dbias_hh = None if bias_hh is None else column_sums(rows_b)
        return dx, dh, rows_a.T @ steps, rows_b.T @ h[:-1].reshape(T * B, H), dbias_ih, dbias_hh

    return (stopped(h[1:], counts), h[-1]), backward


def _through_time(recurrent: Array, bias: Array | int, running: list[int], *arrays: Array) -> None:
    """Write the gates and states of every step into their arrays."""
    gates, h, b_n, through, product = arrays
    H = h.shape[2]
    for t, n in enumerate(running):
        z, b, previous, value = gates[t, :n], np.matmul(h[t, :n], recurrent, out=through[:n]), h[t, :n], h[t + 1, :n]
        b += bias
        ru, candidate = z[:, : 2 * H], z[:, 2 * H :]
        ru += b[:, : 2 * H]
        np.tanh(ru, out=ru)
        ru *= 0.5
        ru += 0.5
        r, u = ru[:, :H], ru[:, H:]
        b_n[t, :n] = b[:, 2 * H :]
        candidate += np.multiply(r, b_n[t, :n], out=product[:n])
        np.tanh(candidate, out=candidate)
        np.subtract(previous, candidate, out=value)
        value *= u
        value += candidate
        h[t + 1, n:] = h[t, n:]


def _back_through_time(weight_hh: Array, running: list[int], *arrays: Array) -> None:
    """Write da and db of every step, from the last to the first; dh becomes the gradient of h0."""
    gates, h, b_n, dy, da, db, dh, dcandidate = arrays
    H = h.shape[2]
    for t, n in reversed(list(enumerate(running))):
        r, u, candidate = (gates[t, :n, k * H : (k + 1) * H] for k in range(3))
        dr, du, dn = (da[t, :n, k * H : (k + 1) * H] for k in range(3))
        d, dc, db_n = dh[:n], dcandidate[:n], db[t, :n, 2 * H :]
        d += dy[t, :n]
        np.subtract(1, u, out=dc)
        dc *= d
        np.multiply(candidate, candidate, out=dn)
        np.subtract(1, dn, out=dn)
        dn *= dc
        np.subtract(h[t, :n], candidate, out=du)
        du *= u
        du *= dc
        np.multiply(dn, r, out=db_n)
        np.subtract(1, r, out=dr)
        dr *= b_n[t, :n]
        dr *= db_n
        db[t, :n, : 2 * H] = da[t, :n, : 2 * H]
        da[t, n:], db[t, n:] = 0, 0
        d -= dc  # d is now dh u
        d += np.matmul(db[t, :n], weight_hh, out=dc)
