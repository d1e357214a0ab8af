"""Long short-term memory over a whole sequence (Hochreiter & Schmidhuber 1997; forget gates: Gers et al. 2000)."""

from functools import partial

import numpy as np

from scratch.checks import has_shape, one_float_dtype
from scratch.contract import op
from scratch.fast.reduce import column_sums
from scratch.fast.row_shares import in_row_shares
from scratch.module import Array, Backward
from scratch.ops.recurrence import added, check_recurrence, rows_running, steps_running, stopped

States = tuple[Array, Array, Array]


@op
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
) -> tuple[States, Backward]:
    """Run one layer in one direction: x (T, B, I), h0 (B, P) and c0 (B, H) to (y (T, B, P), h_n (B, P), c_n (B, H)).

    The four parts of z = x_t weight_ihᵀ + bias_ih + h_{t-1} weight_hhᵀ + bias_hh give i, f, g, o: a tanh for g, sigmoids for
    the others.

        c_t = f c_{t-1} + i g    m = o tanh(c_t)    h_t = m weight_hrᵀ (projection: Sak et al. 2014), or m, with P = H

    weight_ih is (4H, I), weight_hh (4H, P), a bias (4H,), weight_hr (P, H). counts (T,), torch's batch_sizes, is the number of
    rows that still run at each step; a row that has ended keeps its state, and its y is 0. The backward takes dy, dh_n and
    dc_n. With dh', dc' the gradients from step t + 1, dh = dy_t + dh', dm = dh weight_hr, dc = dc' + dm o (1 - tanh²(c_t)):

        dz = (dc g i (1 - i), dc c_{t-1} f (1 - f), dc i (1 - g²), dm tanh(c_t) o (1 - o))
        dx_t = dz weight_ih    dh_{t-1} = dz weight_hh    dc_{t-1} = dc f    dweight_hr = Σ_t dhᵀ m
        dweight_ih = Σ_t dzᵀ x_t    dweight_hh = Σ_t dzᵀ h_{t-1}    dbias_ih = dbias_hh = Σ dz
    """
    check_recurrence("lstm", x, h0, weight_ih, weight_hh, bias_ih, bias_hh, gates=4, projected=weight_hr is not None)
    if c0 is None:
        raise ValueError("lstm: c0 is None, expected the first state (B, H); pass zeros to start from nothing")
    one_float_dtype("lstm", x=x, c0=c0, weight_hr=weight_hr)
    (T, B, _), P, H = x.shape, weight_hh.shape[1], len(weight_hh) // 4
    has_shape("lstm", "c0", c0, (B, H))
    has_shape("lstm", "weight_hr", weight_hr, (P, H))
    running = rows_running("lstm", counts, T, B)
    # sigmoid(z) = tanh(z / 2) / 2 + 1/2: one tanh serves four gates
    half = np.full(4 * H, 0.5, x.dtype)
    half[2 * H : 3 * H] = 1  # g is a tanh
    steps = steps_running(x, running)
    gates = (steps @ (weight_ih * half[:, None]).T).reshape(T, B, 4 * H)  # one matrix product for all steps
    bias = added(bias_ih, bias_hh)
    if bias is not None:
        gates += bias * half
    recurrent = np.ascontiguousarray((weight_hh * half[:, None]).T)
    h, c = np.empty((T + 1, B, P), x.dtype), np.empty((T + 1, B, H), x.dtype)
    h[0], c[0] = h0, c0
    tanh_c, through, product = np.zeros((T, B, H), x.dtype), np.empty((B, 4 * H), x.dtype), np.empty((B, H), x.dtype)

    walk = partial(_through_time, recurrent, weight_hr, half)
    in_row_shares(walk, running, weight_hh.size, gates, h, c, tanh_c, through, product)

    def backward(dy: Array, dh_n: Array, dc_n: Array, needs: tuple[bool, ...] = (True,) * 8) -> tuple[Array | None, ...]:
        dz, dh, dc = np.empty_like(gates), dh_n.copy(), dc_n.copy()
        dprojected, spare = np.zeros((T, B, P), x.dtype), np.empty((2, B, H), x.dtype)

        walk_back = partial(_back_through_time, weight_hh, weight_hr)
        in_row_shares(walk_back, running, weight_hh.size, gates, c, tanh_c, dy, dz, dh, dc, dprojected, spare)
        rows = dz.reshape(T * B, 4 * H)
        dx = stopped((rows @ weight_ih).reshape(x.shape), counts) if needs[0] else None
        dbias = column_sums(rows)
        dweight_ih, dweight_hh = rows.T @ steps, rows.T @ h[:-1].reshape(T * B, P)
        dbiases = [None if bias is None else dbias.copy() for bias in (bias_ih, bias_hh)]
        dweight_hr = None
        if weight_hr is not None:
            dweight_hr = dprojected.reshape(T * B, P).T @ (gates[..., 3 * H :] * tanh_c).reshape(T * B, H)
        return dx, dh, dc, dweight_ih, dweight_hh, *dbiases, dweight_hr

    return (stopped(h[1:], counts), h[-1], c[-1]), backward


def _through_time(recurrent: Array, weight_hr: Array | None, half: Array, running: list[int], *arrays: Array) -> None:
    """Write the gates and states of every step into their arrays."""
    gates, h, c, tanh_c, through, product = arrays
    shift, H = 1 - half, c.shape[2]
    for t, n in enumerate(running):
        z = gates[t, :n]
        z += np.matmul(h[t, :n], recurrent, out=through[:n])
        np.tanh(z, out=z)
        z *= half
        z += shift
        i, f, g, o = (z[:, k * H : (k + 1) * H] for k in range(4))
        np.multiply(f, c[t, :n], out=c[t + 1, :n])
        c[t + 1, :n] += np.multiply(i, g, out=product[:n])
        np.tanh(c[t + 1, :n], out=tanh_c[t, :n])
        if weight_hr is None:
            np.multiply(o, tanh_c[t, :n], out=h[t + 1, :n])
        else:
            h[t + 1, :n] = (o * tanh_c[t, :n]) @ weight_hr.T
        h[t + 1, n:], c[t + 1, n:] = h[t, n:], c[t, n:]


def _back_through_time(weight_hh: Array, weight_hr: Array | None, running: list[int], *arrays: Array) -> None:
    """Write dz of every step, from the last to the first; dh and dc become the gradients of h0 and c0."""
    gates, c, tanh_c, dy, dz, dh, dc, dprojected, spare = arrays
    H = c.shape[2]
    for t, n in reversed(list(enumerate(running))):
        i, f, g, o = (gates[t, :n, k * H : (k + 1) * H] for k in range(4))
        di, df, dg, do = (dz[t, :n, k * H : (k + 1) * H] for k in range(4))
        dh_t, dc_t, tanh_t, through, product = dh[:n], dc[:n], tanh_c[t, :n], *spare[:, :n]
        dh_t += dy[t, :n]
        if weight_hr is None:
            dm = dh_t
        else:
            dprojected[t, :n] = dh_t
            dm = dh_t @ weight_hr
        # through a sigmoid s the gradient d becomes d s (1 - s), through a tanh t it becomes d - (d t) t
        np.multiply(dm, o, out=through)
        np.multiply(through, tanh_t, out=product)
        np.subtract(1, o, out=do)
        do *= product
        dc_t += through
        dc_t -= np.multiply(product, tanh_t, out=product)
        np.multiply(dc_t, i, out=through)
        np.multiply(through, g, out=product)
        np.subtract(1, i, out=di)
        di *= product
        np.subtract(through, np.multiply(product, g, out=product), out=dg)
        dc_t *= f
        np.subtract(1, f, out=df)
        df *= dc_t
        df *= c[t, :n]
        dz[t, n:] = 0
        np.matmul(dz[t, :n], weight_hh, out=dh_t)
