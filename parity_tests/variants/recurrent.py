"""Recurrent networks over sequences: RNN, LSTM and GRU."""

import numpy as np
from scipy.special import expit

from parity_tests.variants.variant import variant

WHOLE_LSTM = "lstm lstm-no-bias lstm-saturated lstm-ragged"


def _zero(bias, weight):
    return np.zeros(len(weight), weight.dtype) if bias is None else bias


def _mask(x, counts):
    """Return 1 where a row of the batch runs at a step (T, B, 1), else 0."""
    T, B = x.shape[:2]
    running = np.full(T, B) if counts is None else counts
    return (np.arange(B) < running[:, None])[:, :, None]


def _through_time(step, x, states, counts):
    """Run step(x_t, *states) -> (states, backward) over time; a row that has ended keeps its states.

    The backward of a step takes the gradients of its states and a dict of gradients of the weights, to which it adds.
    It returns the gradients of x_t and of the states before.
    """
    mask, values, steps = _mask(x, counts), [], []
    x = np.where(mask, x, 0).astype(x.dtype)
    for x_t, runs in zip(x, mask, strict=True):
        new, step_backward = step(x_t, *states)
        states = tuple(np.where(runs, a, b) for a, b in zip(new, states, strict=True))
        values.append(np.where(runs, states[0], 0))
        steps.append(step_backward)

    def backward(dy, dstates, dweights):
        dx = np.zeros_like(x)
        for t in reversed(range(len(x))):
            runs = mask[t]
            here = [np.where(runs, d, 0) for d in dstates]
            here[0] = here[0] + np.where(runs, dy[t], 0)
            dx[t], *before = steps[t](here, dweights)
            dstates = [np.where(runs, a, b) for a, b in zip(before, dstates, strict=True)]
        return dx, dstates

    return np.stack(values), states, backward


def _zeros_like(weights):
    return {name: np.zeros_like(w) for name, w in weights.items() if w is not None}


def _in_order(dweights, *names):
    return [dweights.get(name) for name in names]


WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@variant("ops.rnn", also="RNN RNNCell RNN-ragged-both-ways RNN-relu char-lm-rnn")
def rnn_step_by_step(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, counts=None, nonlinearity="tanh"):
    """Multiply each step alone, and add each bias to its own product."""
    weights = dict(zip(WEIGHTS, (weight_ih, weight_hh, bias_ih, bias_hh), strict=True))

    def step(x_t, h):
        z = (x_t @ weight_ih.T + _zero(bias_ih, weight_ih)) + (h @ weight_hh.T + _zero(bias_hh, weight_hh))
        new = np.tanh(z) if nonlinearity == "tanh" else np.where(z > 0, z, 0).astype(z.dtype)

        def backward(dstates, dweights):
            dz = dstates[0] * ((1 - new) * (1 + new) if nonlinearity == "tanh" else new > 0)
            for name, d in zip(WEIGHTS, (dz.T @ x_t, dz.T @ h, dz.sum(axis=0), dz.sum(axis=0)), strict=True):
                if name in dweights:
                    dweights[name] += d
            return dz @ weight_ih, dz @ weight_hh

        return (new,), backward

    y, (h_n,), through = _through_time(step, x, (h0,), counts)

    def backward(dy, dh_n, needs=()):
        dweights = _zeros_like(weights)
        dx, (dh,) = through(dy, [dh_n], dweights)
        return dx, dh, *_in_order(dweights, *WEIGHTS)

    return (y, h_n), backward


@variant("ops.rnn", also="RNN RNN-deep-both-ways RNNCell-no-bias")
def rnn_of_joined_inputs(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, counts=None, nonlinearity="tanh"):
    """Join input and state to one row, and both weights to one matrix."""
    I = x.shape[2]
    joined = np.concatenate([weight_ih, weight_hh], axis=1)
    bias = _zero(bias_ih, weight_ih) + _zero(bias_hh, weight_hh)

    def step(x_t, h):
        row = np.concatenate([x_t, h], axis=1)
        new = np.einsum("bi,oi->bo", row, joined) + bias
        new = np.tanh(new) if nonlinearity == "tanh" else np.maximum(new, 0)

        def backward(dstates, dweights):
            dz = dstates[0] - dstates[0] * new * new if nonlinearity == "tanh" else dstates[0] * (new > 0)
            dweights["joined"] += np.einsum("bo,bi->oi", dz, row)
            dweights["bias"] += np.einsum("bo->o", dz)
            drow = np.einsum("bo,oi->bi", dz, joined)
            return drow[:, :I], drow[:, I:]

        return (new,), backward

    y, (h_n,), through = _through_time(step, x, (h0,), counts)

    def backward(dy, dh_n, needs=()):
        dweights = _zeros_like(dict(joined=joined, bias=bias))
        dx, (dh,) = through(dy, [dh_n], dweights)
        dbiases = [None if b is None else dweights["bias"].copy() for b in (bias_ih, bias_hh)]
        return dx, dh, dweights["joined"][:, :I].copy(), dweights["joined"][:, I:].copy(), *dbiases

    return (y, h_n), backward


@variant("ops.rnn", also="RNN RNN-ragged")
def rnn_in_float64(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, counts=None, nonlinearity="tanh"):
    """Compute in float64 and cast back."""
    wide = [None if a is None else a.astype(np.float64) for a in (x, h0, weight_ih, weight_hh, bias_ih, bias_hh)]
    return _cast(rnn_step_by_step(*wide, counts, nonlinearity), x.dtype)


def _cast(result, dtype):
    values, wide_backward = result

    def backward(*upstream, needs=()):
        upstream = [dy.astype(np.float64) for dy in upstream if not isinstance(dy, tuple)]
        return tuple(None if d is None else d.astype(dtype) for d in wide_backward(*upstream))

    return tuple(value.astype(dtype) for value in values), backward


@variant("ops.lstm", also="LSTM LSTMCell LSTM-projected-ragged LSTM-deep-both-ways char-lm-lstm")
def lstm_of_four_gates(x, h0, c0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, weight_hr=None, counts=None):
    """Split the weights into those of the four gates, with products of their own."""
    ihs, hhs, b_ihs, b_hhs = (np.split(a, 4) for a in (weight_ih, weight_hh, _zero(bias_ih, weight_ih), _zero(bias_hh, weight_hh)))

    def step(x_t, h, c):
        i, f, g, o = (
            activation(x_t @ w.T + b + (h @ u.T + v))
            for activation, w, u, b, v in zip((expit, expit, np.tanh, expit), ihs, hhs, b_ihs, b_hhs, strict=True)
        )
        new_c = f * c + i * g
        squashed = np.tanh(new_c)
        m = o * squashed

        def backward(dstates, dweights):
            dh, dc = dstates
            dm = dh
            if weight_hr is not None:
                dm = dh @ weight_hr
                dweights["weight_hr"] += dh.T @ m
            dc = dc + dm * o * (1 - squashed * squashed)
            dzs = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dm * squashed * o * (1 - o)
            for k, dz in enumerate(dzs):
                rows = slice(k * len(ihs[0]), (k + 1) * len(ihs[0]))
                for name, d in zip(WEIGHTS, (dz.T @ x_t, dz.T @ h, dz.sum(axis=0), dz.sum(axis=0)), strict=True):
                    if name in dweights:
                        dweights[name][rows] += d
            dx, dh = (sum(dz @ w for dz, w in zip(dzs, ws, strict=True)) for ws in (ihs, hhs))
            return dx, dh, dc * f

        return (m if weight_hr is None else m @ weight_hr.T, new_c), backward

    y, (h_n, c_n), through = _through_time(step, x, (h0, c0), counts)

    def backward(dy, dh_n, dc_n, needs=()):
        weights = dict(weight_ih=weight_ih, weight_hh=weight_hh, bias_ih=bias_ih, bias_hh=bias_hh, weight_hr=weight_hr)
        dweights = _zeros_like(weights)
        dx, (dh, dc) = through(dy, [dh_n, dc_n], dweights)
        return dx, dh, dc, *_in_order(dweights, *WEIGHTS, "weight_hr")

    return (y, h_n, c_n), backward


@variant("ops.lstm", only=WHOLE_LSTM, also="LSTM LSTM-ragged LSTMCell-no-bias sentiment")
def lstm_of_joined_inputs(x, h0, c0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, weight_hr=None, counts=None):
    """Join input and state, compute the gates in another order, and compute them again in the backward."""
    I, H = x.shape[2], weight_hh.shape[1]
    order = np.concatenate([np.arange(k * H, (k + 1) * H) for k in (3, 1, 0, 2)])  # o, f, i, g
    joined = np.concatenate([weight_ih, weight_hh], axis=1)[order]
    bias = (_zero(bias_hh, weight_hh) + _zero(bias_ih, weight_ih))[order]

    def gates(x_t, h):
        z = np.concatenate([x_t, h], axis=1) @ joined.T + bias
        return *np.split(expit(z[:, : 3 * H]), 3, axis=1), np.tanh(z[:, 3 * H :])

    def step(x_t, h, c):
        o, f, i, g = gates(x_t, h)
        new_c = i * g + f * c

        def backward(dstates, dweights):
            o, f, i, g = gates(x_t, h)
            dh, dc = dstates
            t = np.tanh(i * g + f * c)
            dc = dc + dh * o * (1 - t) * (1 + t)
            dz = np.concatenate(
                [dh * t * (o - o * o), dc * c * (f - f * f), dc * g * (i - i * i), dc * i * (1 - g) * (1 + g)], axis=1
            )
            dweights["joined"] += dz.T @ np.concatenate([x_t, h], axis=1)
            dweights["bias"] += dz.sum(axis=0)
            drow = dz @ joined
            return drow[:, :I], drow[:, I:], dc * f

        return (o * np.tanh(new_c), new_c), backward

    y, (h_n, c_n), through = _through_time(step, x, (h0, c0), counts)

    def backward(dy, dh_n, dc_n, needs=()):
        dweights = _zeros_like(dict(joined=joined, bias=bias))
        dx, (dh, dc) = through(dy, [dh_n, dc_n], dweights)
        back = np.argsort(order)
        djoined, dbias = dweights["joined"][back], dweights["bias"][back]
        dbiases = [None if b is None else dbias.copy() for b in (bias_ih, bias_hh)]
        return dx, dh, dc, djoined[:, :I].copy(), djoined[:, I:].copy(), *dbiases, None

    return (y, h_n, c_n), backward


@variant("ops.lstm", also="LSTM LSTM-both-ways")
def lstm_in_float64(x, h0, c0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, weight_hr=None, counts=None):
    """Compute in float64 and cast back."""
    given = (x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr)
    wide = [None if a is None else a.astype(np.float64) for a in given]
    return _cast(lstm_of_four_gates(*wide, counts), x.dtype)


@variant("ops.lstm", only=WHOLE_LSTM, also="LSTM-projected LSTM-batch-first")
def lstm_row_by_row(x, h0, c0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, weight_hr=None, counts=None):
    """Run each sequence of the batch alone, for its own number of steps."""
    (T, B, _), lengths = x.shape, np.sum(_mask(x, counts), axis=(0, 2))
    y, states, backwards = np.zeros((T, B, h0.shape[1]), x.dtype), [], []
    for b, n in enumerate(lengths):
        row = slice(b, b + 1)
        (y[:n, row], *state), row_backward = lstm_of_four_gates(
            x[:n, row], h0[row], c0[row], weight_ih, weight_hh, bias_ih, bias_hh, weight_hr
        )
        states.append(state)
        backwards.append(row_backward)

    def backward(dy, dh_n, dc_n, needs=()):
        dx, dh, dc = np.zeros_like(x), np.zeros_like(h0), np.zeros_like(c0)
        dweights = None
        for b, n in enumerate(lengths):
            row = slice(b, b + 1)
            dx[:n, row], dh[row], dc[row], *more = backwards[b](dy[:n, row], dh_n[row], dc_n[row])
            dweights = more if dweights is None else [None if d is None else d + e for d, e in zip(dweights, more, strict=True)]
        return dx, dh, dc, *dweights

    return (y, *(np.concatenate(state) for state in zip(*states, strict=True))), backward


@variant("ops.gru", also="GRU GRUCell GRU-ragged-both-ways char-lm-gru")
def gru_of_three_gates(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, counts=None):
    """Split the weights into those of the three gates, and mix as (1 - u) n + u h."""
    ihs, hhs, b_ihs, b_hhs = (np.split(a, 3) for a in (weight_ih, weight_hh, _zero(bias_ih, weight_ih), _zero(bias_hh, weight_hh)))

    def step(x_t, h):
        a_r, a_u, a_n = (x_t @ w.T + b for w, b in zip(ihs, b_ihs, strict=True))
        b_r, b_u, b_n = (h @ w.T + b for w, b in zip(hhs, b_hhs, strict=True))
        r, u = expit(a_r + b_r), expit(a_u + b_u)
        n = np.tanh(a_n + r * b_n)

        def backward(dstates, dweights):
            dh = dstates[0]
            da_n = dh * (1 - u) * (1 - n**2)
            da_u = dh * (h - n) * u * (1 - u)
            da_r = da_n * b_n * r * (1 - r)
            das, dbs = (da_r, da_u, da_n), (da_r, da_u, da_n * r)
            for k, (da, db) in enumerate(zip(das, dbs, strict=True)):
                rows = slice(k * len(ihs[0]), (k + 1) * len(ihs[0]))
                for name, d in zip(WEIGHTS, (da.T @ x_t, db.T @ h, da.sum(axis=0), db.sum(axis=0)), strict=True):
                    if name in dweights:
                        dweights[name][rows] += d
            dx = sum(da @ w for da, w in zip(das, ihs, strict=True))
            return dx, sum((db @ w for db, w in zip(dbs, hhs, strict=True)), dh * u)

        return ((1 - u) * n + u * h,), backward

    y, (h_n,), through = _through_time(step, x, (h0,), counts)

    def backward(dy, dh_n, needs=()):
        dweights = _zeros_like(dict(zip(WEIGHTS, (weight_ih, weight_hh, bias_ih, bias_hh), strict=True)))
        dx, (dh,) = through(dy, [dh_n], dweights)
        return dx, dh, *_in_order(dweights, *WEIGHTS)

    return (y, h_n), backward


@variant("ops.gru", also="GRU GRU-deep GRU-ragged names")
def gru_with_the_state_first(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, counts=None):
    """Multiply all steps at once by einsum, put the bias of the state first, and mix as h + (1 - u) (n - h)."""
    H = weight_hh.shape[1]
    seen = np.where(_mask(x, counts), x, 0).astype(x.dtype)
    a_all = np.einsum("tbi,oi->tbo", seen, weight_ih) + _zero(bias_ih, weight_ih)

    def step(a, h):
        b = _zero(bias_hh, weight_hh) + np.einsum("bh,oh->bo", h, weight_hh)
        z = 0.5 + 0.5 * np.tanh(0.5 * (b + a)[:, : 2 * H])
        r, u = z[:, :H], z[:, H:]
        n = np.tanh(r * b[:, 2 * H :] + a[:, 2 * H :])

        def backward(dstates, dweights):
            dh = dstates[0]
            dn = (dh - dh * u) * (1 - n) * (1 + n)
            dz = np.concatenate([dn * b[:, 2 * H :], dh * (h - n)], axis=1) * z * (1 - z)
            db = np.concatenate([dz, r * dn], axis=1)
            dweights["weight_hh"] += np.einsum("bo,bh->oh", db, h)
            dweights["bias_hh"] += np.ones(len(db), db.dtype) @ db
            return np.concatenate([dz, dn], axis=1), np.einsum("bo,oh->bh", db, weight_hh) + u * dh

        return (h + (1 - u) * (n - h),), backward

    y, (h_n,), through = _through_time(step, a_all, (h0,), counts)

    def backward(dy, dh_n, needs=()):
        dweights = _zeros_like(dict(weight_hh=weight_hh, bias_hh=_zero(bias_hh, weight_hh)))
        das, (dh,) = through(dy, [dh_n], dweights)
        dx = np.einsum("tbo,oi->tbi", das, weight_ih)
        dbias_ih = None if bias_ih is None else das.sum(axis=(0, 1))
        dweight_ih = np.einsum("tbo,tbi->oi", das, seen)
        return dx, dh, dweight_ih, dweights["weight_hh"], dbias_ih, None if bias_hh is None else dweights["bias_hh"]

    return (y, h_n), backward


@variant("ops.gru", also="GRU GRU-batch-first")
def gru_in_float64(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, counts=None):
    """Compute in float64 and cast back."""
    wide = [None if a is None else a.astype(np.float64) for a in (x, h0, weight_ih, weight_hh, bias_ih, bias_hh)]
    return _cast(gru_of_three_gates(*wide, counts), x.dtype)
