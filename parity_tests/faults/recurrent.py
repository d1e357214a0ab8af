"""Faults of the recurrent ops and of the lookup of embeddings."""

from functools import partial

from parity_tests.faults.fault import Fault

EVERY = "rnn|lstm|gru|RNN|LSTM|GRU|RNNCell|LSTMCell|GRUCell"
rnn = partial(Fault, function="ops.rnn.rnn", cases=("rnn-ragged", "RNN-both-ways"), culprit="rnn|RNN|RNNCell")
rnn_back = partial(rnn, function="ops.rnn._back_through_time")
rnn_steps = partial(rnn, function="ops.rnn._through_time")
relu = partial(Fault, function="ops.rnn.rnn", cases=("rnn-relu", "RNN-relu"), culprit="rnn|RNN|RNNCell")
relu_back = partial(relu, function="ops.rnn._back_through_time")
rnn_cell = partial(rnn, cases=("rnn", "RNNCell"))
rnn_cell_back = partial(rnn_cell, function="ops.rnn._back_through_time")
rnn_cell_steps = partial(rnn_cell, function="ops.rnn._through_time")
lstm = partial(Fault, function="ops.lstm.lstm", cases=("lstm-ragged",), culprit="lstm|LSTM|LSTMCell")
lstm_back = partial(lstm, function="ops.lstm._back_through_time")
lstm_steps = partial(lstm, function="ops.lstm._through_time")
lstm_cell = partial(lstm, cases=("lstm", "LSTMCell"))
lstm_cell_back = partial(lstm_cell, function="ops.lstm._back_through_time")
lstm_cell_steps = partial(lstm_cell, function="ops.lstm._through_time")
projected = partial(lstm, cases=("lstm-projected",))
projected_back = partial(projected, function="ops.lstm._back_through_time")
gru = partial(Fault, function="ops.gru.gru", cases=("gru-ragged",), culprit="gru|GRU|GRUCell")
gru_back = partial(gru, function="ops.gru._back_through_time")
gru_steps = partial(gru, function="ops.gru._through_time")
gru_cell = partial(gru, cases=("gru", "GRUCell"))
gru_cell_back = partial(gru_cell, function="ops.gru._back_through_time")
gru_cell_steps = partial(gru_cell, function="ops.gru._through_time")
embedding = partial(
    Fault, function="ops.embedding.embedding", cases=("embedding", "Embedding-padding"), culprit="embedding|Embedding"
)

# Permutes the gates of an LSTM's weights: the blocks of rows from which i, f, g and o are taken.
REORDERED = (
    "half[2 * H : 3 * H] = 1; weight_ih, weight_hh, bias_ih, bias_hh = (w if w is None else "
    "w.reshape(4, H, *w.shape[1:])[[{}]].reshape(w.shape) for w in (weight_ih, weight_hh, bias_ih, bias_hh))"
)
BACKWARDS = "reversed(list(enumerate(running)))"
MATMUL = "np.matmul(dz[t, :n], weight_hh, out=dh"

RNN = [
    rnn_cell("rnn: bias_ih left out", "added(bias_ih, bias_hh)", "bias_hh", "forward", "leaves bias_ih out"),
    rnn_cell("rnn: bias_hh left out", "added(bias_ih, bias_hh)", "bias_ih", "forward", "leaves bias_hh out"),
    rnn("rnn: bias_ih added twice", "added(bias_ih, bias_hh)", "2 * bias_ih", "forward", "adds bias_ih in place of bias_hh"),
    rnn_cell_steps("rnn: weight_hh not transposed", "weight_hh.T, out", "weight_hh, out", "forward", "multiplies h by weight_hh"),
    rnn_cell_back(
        "rnn: weight_hh transposed in the backward",
        "weight_hh, out=dh",
        "weight_hh.T, out=dh",
        "backward",
        "multiplies by the transpose of weight_hh in dh",
    ),
    rnn_cell_steps("rnn: no activation", "np.tanh(z, out=z)", "pass", "forward", "has no activation"),
    rnn_steps("rnn: sigmoid", "np.tanh(z, out=z)", "z[...] = 1 / (1 + np.exp(-z))", "forward", "uses sigmoid instead of tanh"),
    rnn_steps("rnn: nonlinearity ignored", 'if nonlinearity == "tanh":', "if False:", "forward", "uses relu instead of tanh"),
    rnn_cell_back(
        "rnn: slope of tanh without the square",
        "1 - value * value",
        "1 - value",
        "backward",
        "multiplies dy by 1 - y in the backward pass; the slope is 1 - y²",
    ),
    rnn_back(
        "rnn: slope of tanh with the wrong sign",
        "1 - value * value",
        "1 + value * value",
        "backward",
        r"multiplies dy by 1 \+ y² in the backward pass",
    ),
    rnn_back("rnn: slope of sigmoid", "1 - value * value", "value * (1 - value)", "backward", "the slope of sigmoid"),
    rnn_back("rnn: slope of tanh left out", "1 - value * value", "1", "backward", "leaves its slope out"),
    relu_back("rnn: slope of relu left out", "value <= 0", "value != value", "backward", "does not mask the gradient"),
    relu_back(
        "rnn: slope of relu is its value",
        "zero_where(dz[t, :n], dh[:n], value <= 0)",
        "np.multiply(dh[:n], value, out=dz[t, :n])",
        "backward",
        "multiplies the gradient by y",
    ),
    rnn_steps(
        "rnn: slope of relu at 0",
        "np.maximum(z, 0, out=z)",
        "z[z == 0] = np.finfo(z.dtype).tiny; np.maximum(z, 0, out=z)",
        "backward",
        "where x is 0",
        cases=("rnn-relu-at-the-kink", "RNNCell-relu-at-the-kink"),
    ),
    rnn_back("rnn: h detached", f"{MATMUL}[:n])", "dh[:n] = 0", "backward", "as a constant in the backward pass"),
    rnn_back(
        "rnn: dh of the step after lost",
        "dh[:n] += dy",
        "dh[:n] = dy",
        "backward",
        "uses only dy in each step of the backward pass",
    ),
    rnn_back(
        "rnn: dy of the last step alone",
        "+= dy[t, :n]",
        "+= dy[t, :n] * (t == len(running) - 1)",
        "backward",
        "last step",
        cases=("rnn", "RNN"),
    ),
    rnn_back("rnn: dy ignored", "dh[:n] += dy[t, :n]", "pass", "backward", "ignores dy"),
    rnn("rnn: dh_n ignored", "dh_n.copy()", "np.zeros_like(dh_n)", "backward", "ignores the gradient of the final h"),
    rnn(
        "rnn: dweight_hh paired with h_t",
        "h[:-1].reshape",
        "h[1:].reshape",
        "backward",
        "multiplies the gradient of weight_hh by the step's own h",
        cases=("rnn", "RNN"),
    ),
    rnn(
        "rnn: dweight_hh overwritten", "rows.T @ h[:-1].reshape(T * B, H)", "dz[0].T @ h[0]", "backward", "overwrites the gradient"
    ),
    rnn("rnn: dweight_ih overwritten", "rows.T @ steps", "dz[0].T @ x[0]", "backward", "overwrites the gradient of weight_ih"),
    rnn_back("rnn: first step skipped in the backward", BACKWARDS, f"{BACKWARDS[:-1]}[1:])", "backward", "skips the first step"),
    rnn_back(
        "rnn: last step skipped in the backward",
        BACKWARDS,
        f"{BACKWARDS[:-1]}[:-1])",
        "backward",
        "skips the last step",
        cases=("rnn", "RNN-batch-first"),
    ),
    rnn_steps(
        "rnn: first step skipped",
        "h[t + 1, n:] = h[t, n:]",
        "n *= t > 0; h[t + 1, n:] = h[t, n:]",
        "forward",
        "skips the first step",
    ),
    rnn("rnn: y a step behind", "stopped(h[1:]", "stopped(h[:-1]", "forward", "h before each step"),
    rnn("rnn: h0 ignored", "h[0] = h0", "h[0] = 0", "forward", "begins with 0"),
    rnn("rnn: gradient of h0 missing", "dx, dh, rows", "dx, None, rows", "backward", "h0 is missing", cases=("rnn", "rnn-ragged")),
    rnn("rnn: gradient of h0 is zero", "dx, dh, rows", "dx, 0 * dh, rows", "backward", "is zero everywhere", cases=("rnn", "RNN")),
    rnn("rnn: gradient of the biases averaged", "column_sums(rows)", "column_sums(rows) / T", "backward", "needs the factor 13"),
    rnn("rnn: one gradient for both biases", "dbias.copy()", "dbias", "backward", "in the memory of", cases=("RNN", "RNNCell")),
    rnn(
        "rnn: runs over the padding",
        'rows_running("rnn", counts, T, B)',
        "[B] * T",
        "forward",
        "ignores where (counts|lengths) ends",
        cases=("rnn-ragged", "RNN-ragged"),
    ),
    rnn_steps(
        "rnn: final state of an ended sequence lost",
        "= h[t, n:]",
        "= 0",
        "forward",
        "ended to 0|zero everywhere",
        cases=("rnn-ragged", "RNN-ragged"),
    ),
    rnn(
        "rnn: float32 inside",
        "B, H), x.dtype)\n    h",
        "B, H), 'f4')\n    h",
        "forward",
        "precision of float32",
        cases=("rnn", "RNN"),
    ),
    rnn("rnn: promotes float32", "np.zeros((T, B, H), x.dtype)", "np.zeros((T, B, H))", "backward", "is float64", dtype="float32"),
    rnn("rnn: writes into dh_n", "dh_n.copy()", "dh_n", "backward", "changes its gradient", cases=("rnn", "RNN", "RNNCell")),
]

LSTM = [
    lstm_cell(
        "lstm: gates in the order i f o g", "half[2 * H : 3 * H] = 1", REORDERED.format("0, 1, 3, 2"), "forward", "order i f o g"
    ),
    lstm("lstm: gates in the order i g f o", "half[2 * H : 3 * H] = 1", REORDERED.format("0, 2, 1, 3"), "forward", "order i g f o"),
    lstm("lstm: gates in the order i o f g", "half[2 * H : 3 * H] = 1", REORDERED.format("0, 2, 3, 1"), "forward", "order i o f g"),
    lstm_cell("lstm: bias_ih left out", "added(bias_ih, bias_hh)", "bias_hh", "forward", "leaves bias_ih out"),
    lstm_cell("lstm: bias_hh left out", "added(bias_ih, bias_hh)", "bias_ih", "forward", "leaves bias_hh out"),
    lstm(
        "lstm: 1 added to the forget gate",
        "gates += bias * half",
        "gates += bias * half; gates[..., H : 2 * H] += 0.5",
        "forward",
        "adds 1 to the forget gate",
    ),
    lstm_steps(
        "lstm: forget gate coupled", "np.multiply(f, c[t", "np.multiply(1 - i, c[t", "forward", "uses 1 - i as the forget gate"
    ),
    lstm_steps("lstm: no forget gate", "np.multiply(f, c[t", "np.multiply(1, c[t", "forward", "has no forget gate"),
    lstm_steps("lstm: old c let out", "np.tanh(c[t + 1, :n]", "np.tanh(c[t, :n]", "forward", "computes h from the previous c"),
    lstm_cell_steps(
        "lstm: tanh of c left out",
        "np.tanh(c[t + 1, :n], out=tanh_c[t, :n])",
        "tanh_c[t, :n] = c[t + 1, :n]",
        "forward",
        "leaves out the tanh of c",
    ),
    lstm_cell(
        "lstm: sigmoid for g", "half[2 * H : 3 * H] = 1", "pass", "forward", "uses sigmoid instead of the tanh of the candidate"
    ),
    lstm_steps(
        "lstm: g without its tanh",
        "np.tanh(z, out=z)",
        "kept = z[:, 2 * H : 3 * H].copy(); np.tanh(z, out=z); z[:, 2 * H : 3 * H] = kept",
        "forward",
        "leaves out the tanh of the candidate",
    ),
    lstm("lstm: y a step behind", "stopped(h[1:]", "stopped(h[:-1]", "forward", "h before each step"),
    lstm("lstm: final states swapped", "h[-1], c[-1])", "c[-1], h[-1])", "forward", r"y.[\d.]+ is what y.[\d.]+ should be"),
    lstm("lstm: h0 ignored", "= h0, c0", "= 0, c0", "forward", "ignores h0"),
    lstm("lstm: c0 ignored", "= h0, c0", "= h0, 0", "forward", "ignores c0"),
    lstm("lstm: states ignored", "= h0, c0", "= 0, 0", "forward", "begins with 0|ignores hx"),
    lstm(
        "lstm: runs over the padding",
        'rows_running("lstm", counts, T, B)',
        "[B] * T",
        "forward",
        "ignores where (counts|lengths) ends",
        cases=("lstm-ragged", "LSTM-ragged"),
    ),
    lstm_steps(
        "lstm: final states of an ended sequence lost",
        "= h[t, n:], c[t, n:]",
        "= 0, 0",
        "forward",
        "ended to 0|zero everywhere",
        cases=("lstm-ragged", "LSTM-ragged"),
    ),
    lstm_back(
        "lstm: h detached", f"{MATMUL}_t)", "dh_t[...] = 0", "backward", "treats the previous h as a constant in the backward pass"
    ),
    lstm_cell_back(
        "lstm: c detached",
        "dz[t, n:] = 0",
        "dz[t, n:], dc_t[...] = 0, 0",
        "backward",
        "treats the previous c as a constant in the backward pass",
    ),
    lstm_back(
        "lstm: h and c detached",
        f"{MATMUL}_t)",
        "dh_t[...], dc_t[...] = 0, 0",
        "backward",
        "treats the previous h and c as constants in the backward pass",
    ),
    lstm_back("lstm: dc carried without f", "dz[t, n:] = 0", "dz[t, n:] = 0; dc_t /= f", "backward", "without the factor f"),
    lstm_cell_back(
        "lstm: forget gate's gradient by the new c",
        "df *= c[t, :n]",
        "df *= c[t + 1, :n]",
        "backward",
        "multiplies the gradient of the forget gate by the new c",
    ),
    lstm_cell_back(
        "lstm: no way from h to c in the backward",
        "dc_t += through\n        dc_t -= np.multiply(product, tanh_t, out=product)",
        "pass",
        "backward",
        "leaves the gradient from h to c out of the backward pass",
    ),
    lstm_back(
        "lstm: slope of the tanh of c left out",
        "dc_t -= np.multiply(product, tanh_t, out=product)",
        "pass",
        "backward",
        "tanh of c leaves its slope out",
    ),
    lstm_cell_back(
        "lstm: slope of the tanh of c without the square",
        "dc_t -= np.multiply(product, tanh_t, out=product)",
        "dc_t -= product",
        "backward",
        "the tanh of c multiplies dy by 1 - y in the backward pass",
    ),
    lstm_back(
        "lstm: slope of the tanh of c taken from c",
        "dc_t -= np.multiply(product, tanh_t, out=product)",
        "dc_t -= through * c[t + 1, :n] ** 2",
        "backward",
        "the tanh of c multiplies dy by 1 - x² in the backward pass",
    ),
    lstm_cell_back(
        "lstm: slope of g left out",
        "np.subtract(through, np.multiply(product, g, out=product), out=dg)",
        "dg[...] = through",
        "backward",
        "candidate g leaves its slope out",
    ),
    lstm_back(
        "lstm: slope of g without the square",
        "np.subtract(through, np.multiply(product, g, out=product), out=dg)",
        "np.subtract(through, product, out=dg)",
        "backward",
        "the tanh of the candidate g multiplies dy by 1 - y in the backward pass",
    ),
    lstm_cell_back(
        "lstm: slope of i is i",
        "np.subtract(1, i, out=di)",
        "di[...] = 1",
        "backward",
        "the sigmoid of the input gate multiplies dy by y in the backward pass",
    ),
    lstm_back(
        "lstm: slope of f is f",
        "np.subtract(1, f, out=df)",
        "df[...] = 1",
        "backward",
        "the sigmoid of the forget gate multiplies dy by y in the backward pass",
    ),
    lstm_back(
        "lstm: slope of o is o",
        "np.subtract(1, o, out=do)",
        "do[...] = 1",
        "backward",
        "the sigmoid of the output gate multiplies dy by y in the backward pass",
    ),
    lstm_back(
        "lstm: gradient of o missing",
        "do *= product",
        "do *= 0",
        "backward",
        "treats the output gate as a constant in the backward pass",
    ),
    lstm_back(
        "lstm: gradient of f missing",
        "df *= c[t, :n]",
        "df *= 0",
        "backward",
        "treats the forget gate as a constant in the backward pass",
    ),
    lstm_back(
        "lstm: dh of the step after lost",
        "dh_t += dy[t, :n]",
        "dh_t[...] = dy[t, :n]",
        "backward",
        "uses only dy in each step of the backward pass",
    ),
    lstm_back(
        "lstm: dy of the last step alone",
        "+= dy[t, :n]",
        "+= dy[t, :n] * (t == len(running) - 1)",
        "backward",
        "last step",
        cases=("lstm", "LSTM"),
    ),
    lstm_cell("lstm: dh_n ignored", "dh_n.copy()", "np.zeros_like(dh_n)", "backward", "ignores the gradient of the final h"),
    lstm_cell("lstm: dc_n ignored", "dc_n.copy()", "np.zeros_like(dc_n)", "backward", "ignores the gradient of the final c"),
    lstm(
        "lstm: dweight_hh paired with h_t",
        "h[:-1].reshape",
        "h[1:].reshape",
        "backward",
        "multiplies the gradient of weight_hh by the step's own h",
        cases=("lstm", "LSTM"),
    ),
    lstm(
        "lstm: dweight_hh overwritten", "rows.T @ h[:-1].reshape(T * B, P)", "dz[0].T @ h[0]", "backward", "overwrites the gradient"
    ),
    lstm(
        "lstm: gradient of c0 missing", "dx, dh, dc,", "dx, dh, None,", "backward", "c0 is missing", cases=("lstm", "lstm-ragged")
    ),
    lstm(
        "lstm: gradients of h0 and c0 swapped",
        "dx, dh, dc,",
        "dx, dc, dh,",
        "backward",
        r"is what grad (hx.\d|h0|c0) should be",
    ),
    lstm("lstm: one gradient for both biases", "dbias.copy()", "dbias", "backward", "in the memory of", cases=("LSTM", "LSTMCell")),
    projected(
        "lstm: projection's gradient missing",
        "if weight_hr is not None:",
        "if False:",
        "backward",
        "weight_hr.* is missing",
        cases=("lstm-projected", "LSTM-projected"),
    ),
    projected("lstm: projection's gradient without o", "gates[..., 3 * H :] * tanh_c", "tanh_c", "backward", None),
    projected_back(
        "lstm: projection's gradient overwritten",
        "dprojected[t, :n] = dh_t",
        "dprojected[...] = 0; dprojected[t, :n] = dh_t",
        "backward",
        "overwrites the gradient of weight_hr",
    ),
    lstm(
        "lstm: promotes float32", "np.full(4 * H, 0.5, x.dtype)", "np.full(4 * H, 0.5)", "backward", "is float64", dtype="float32"
    ),
    lstm("lstm: writes into dc_n", "dc_n.copy()", "dc_n", "backward", "changes its gradient", cases=("lstm", "LSTM", "LSTMCell")),
]

RESET = "np.multiply(r, b_n[t, :n], out=product[:n])"
DU = "np.subtract(h[t, :n], candidate, out=du)"
MIXED = "d -= dc  # d is now dh u"
PRODUCT = "d += np.matmul(db[t, :n], weight_hh, out=dc)"
OVER = "da[t, n:], db[t, n:] = 0, 0"
GRU = [
    gru_cell_steps("gru: gates in the order u r n", "r, u = ru[:, :H]", "u, r = ru[:, :H]", "forward", "order u r n"),
    gru_cell("gru: bias_ih left out", "gates += bias_ih * half", "pass", "forward", "leaves bias_ih out"),
    gru_cell("gru: bias_hh left out", "bias_hh * half", "0", "forward", "leaves bias_hh out"),
    gru("gru: bias_ih added twice", "bias_hh * half", "bias_ih * half", "forward", "adds bias_ih in place of bias_hh"),
    gru_cell_steps(
        "gru: reset before the product",
        RESET,
        "(r * previous) @ recurrent[:, 2 * H :] + np.broadcast_to(bias, 3 * H)[2 * H :]",
        "forward",
        "resets h before its product",
    ),
    gru_cell_steps(
        "gru: bias_hh not reset",
        RESET,
        "r * (b_n[t, :n] - bias[2 * H :]) + bias[2 * H :]",
        "forward",
        "adds bias_hh after the reset",
    ),
    gru_steps("gru: no reset gate", RESET, "b_n[t, :n]", "forward", "has no reset gate"),
    gru_steps(
        "gru: reset of both sums",
        f"candidate += {RESET}",
        "candidate[...] = r * (candidate + b_n[t, :n])",
        "forward",
        "resets the contribution of x too",
    ),
    gru_cell_steps(
        "gru: update gate turned round", "value *= u", "value *= 1 - u", "forward", "uses 1 - u as the share of the old h"
    ),
    gru_steps(
        "gru: whole candidate added", "value += candidate", "value += (1 + u) * candidate", "forward", "adds the whole candidate"
    ),
    gru_steps(
        "gru: sigmoid for the candidate",
        "np.tanh(candidate, out=candidate)",
        "candidate[...] = 1 / (1 + np.exp(-candidate))",
        "forward",
        "uses sigmoid instead of the tanh of the candidate",
    ),
    gru_steps(
        "gru: candidate without its tanh",
        "np.tanh(candidate, out=candidate)",
        "pass",
        "forward",
        "leaves out the tanh of the candidate",
    ),
    gru("gru: y a step behind", "stopped(h[1:]", "stopped(h[:-1]", "forward", "h before each step"),
    gru("gru: h0 ignored", "h[0] = h0", "h[0] = 0", "forward", "begins with 0|ignores hx"),
    gru(
        "gru: runs over the padding",
        'rows_running("gru", counts, T, B)',
        "[B] * T",
        "forward",
        "ignores where (counts|lengths) ends",
        cases=("gru-ragged", "GRU-ragged"),
    ),
    gru_cell_back(
        "gru: h detached",
        f"{MIXED}\n        {PRODUCT}",
        "d[...] = 0",
        "backward",
        "treats the previous h as a constant in the backward pass",
    ),
    gru_cell_back(
        "gru: no gradient through u h", MIXED, "d[...] = 0", "backward", "leaves the gradient through u h out of the backward pass"
    ),
    gru_back(
        "gru: no gradient through weight_hh",
        PRODUCT,
        "pass",
        "backward",
        "leaves the gradient through weight_hh out of the backward pass",
    ),
    gru_cell_back(
        "gru: update gate's gradient by h alone",
        DU,
        "du[...] = h[t, :n]",
        "backward",
        "leaves - n out of the gradient of the update gate, dh",
    ),
    gru_back(
        "gru: update gate's gradient by n alone",
        DU,
        "np.negative(candidate, out=du)",
        "backward",
        "leaves h out of the gradient of the update gate, dh",
    ),
    gru_cell_back(
        "gru: r left out of the backward",
        OVER,
        f"db_n[...] = dn; {OVER}",
        "backward",
        "leaves the factor r out of the backward pass",
    ),
    gru("gru: r left out of dbias_hh", "column_sums(rows_b)", "column_sums(rows_a)", "backward", "out of the gradient of bias_hh"),
    gru("gru: r left out of dweight_hh", "rows_b.T @ h", "rows_a.T @ h", "backward", "out of the gradient of weight_hh"),
    gru_cell_back(
        "gru: slope of r is r",
        "np.subtract(1, r, out=dr)",
        "dr[...] = 1",
        "backward",
        "the sigmoid of the reset gate multiplies dy by y in the backward pass",
    ),
    gru_back(
        "gru: slope of u is 1 - u",
        "du *= u",
        "pass",
        "backward",
        "the sigmoid of the update gate multiplies dy by 1 - y in the backward pass",
    ),
    gru_back(
        "gru: slope of the candidate without the square",
        "np.multiply(candidate, candidate, out=dn)",
        "dn[...] = candidate",
        "backward",
        "its tanh multiplies dy by 1 - y in the backward pass",
    ),
    gru_back(
        "gru: slope of the candidate left out", "np.subtract(1, dn, out=dn)", "dn[...] = 1", "backward", "leaves its slope out"
    ),
    gru_back(
        "gru: gradient of r missing",
        "dr *= db_n",
        "dr *= 0",
        "backward",
        "treats the reset gate as a constant in the backward pass",
    ),
    gru_back(
        "gru: gradient of u missing", "du *= dc", "du *= 0", "backward", "treats the update gate as a constant in the backward pass"
    ),
    gru_back(
        "gru: dh of the step after lost",
        "d += dy[t, :n]",
        "d[...] = dy[t, :n]",
        "backward",
        "uses only dy in each step of the backward pass",
    ),
    gru_cell("gru: dh_n ignored", "dh_n.copy()", "np.zeros_like(dh_n)", "backward", "ignores the gradient of the final h"),
    gru(
        "gru: dweight_hh paired with h_t",
        "h[:-1].reshape",
        "h[1:].reshape",
        "backward",
        "multiplies the gradient of weight_hh by the step's own h",
        cases=("gru", "GRU"),
    ),
    gru(
        "gru: one gradient for both biases",
        "column_sums(rows_b)",
        "dbias_ih",
        "backward",
        "in the memory of|bias_hh",
        cases=("GRU", "GRUCell"),
    ),
    gru("gru: promotes float32", "np.full(3 * H, 0.5, x.dtype)", "np.full(3 * H, 0.5)", "backward", "is float64", dtype="float32"),
]

EMBEDDING = [
    embedding(
        "embedding: gradient at padding_idx",
        "dweight[padding_idx] = 0",
        "pass",
        "backward",
        "ignores padding_idx = 2",
        cases=("embedding-padding", "Embedding-padding"),
    ),
    embedding(
        "embedding: no gradient for row 0, whatever padding_idx is",
        "dweight[padding_idx] = 0",
        "dweight[0] = 0",
        "backward",
        "padding_idx = 0 instead of 2",
        cases=("embedding-padding", "Embedding-padding"),
    ),
    embedding(
        "embedding: padding looked up as zeros",
        "return weight[input]",
        "return weight[input] * (input != padding_idx)[..., None]",
        "forward",
        "returns 0 for padding_idx",
        cases=("embedding-padding", "Embedding-padding"),
    ),
    embedding(
        "embedding: repeated numbers counted once, the last",
        "dweight = went @ dy.reshape(input.size, E)",
        "dweight = np.zeros_like(weight); dweight[input] += dy",
        "backward",
        "keeps only the last gradient of an index that occurs several times",
    ),
    embedding(
        "embedding: repeated numbers counted once, the first",
        "dweight = went @ dy.reshape(input.size, E)",
        "dweight = np.zeros_like(weight); dweight[input[::-1, ::-1]] = dy[::-1, ::-1]",
        "backward",
        "keeps only the first gradient of an index that occurs several times",
    ),
    embedding(
        "embedding: repeated numbers averaged",
        "np.ones(input.size, dy.dtype), places",
        "1 / np.bincount(input.ravel())[input.ravel()[places]], places",
        "backward",
        "scale_grad_by_freq",
    ),
    embedding(
        "embedding: numbers begin at 1", "return weight[input]", "return weight[input - 1]", "forward", "looks up the row before"
    ),
    embedding("embedding: scaled", "return weight[input]", "return weight[input] * E**0.5", "forward", "needs the factor 1/√7"),
    embedding(
        "embedding: promotes float32",
        "np.ones(input.size, dy.dtype)",
        "np.ones(input.size)",
        "backward",
        "is float64",
        dtype="float32",
    ),
]

SHARED = [
    Fault(
        "recurrence: bias_hh left out of the sum",
        "else bias_ih + bias_hh",
        "else bias_ih",
        "forward",
        "leaves bias_hh out",
        "ops.recurrence.added",
        ("rnn", "lstm", "LSTM", "RNNCell"),
        "rnn|lstm|RNN|LSTM|RNNCell|LSTMCell",
    ),
    Fault(
        "recurrence: y goes on beyond the end",
        "return np.where((np.arange(h.shape[1]) < counts[:, None])[:, :, None], h, h.dtype.type(0))",
        "return h",
        "forward",
        r"y.0 differs only where y.0 is 0",
        "ops.recurrence.stopped",
        ("rnn-ragged", "lstm-ragged", "GRU-ragged"),
        EVERY,
    ),
]

FAULTS = [*RNN, *LSTM, *GRU, *EMBEDDING, *SHARED]
