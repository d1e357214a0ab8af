"""Faults of activations and softmax."""

from functools import partial

from parity_tests.faults.fault import Fault

relu = partial(Fault, function="ops.activation.relu", cases=("relu", "mlp"), culprit="relu|ReLU")
leaky_relu = partial(Fault, function="ops.activation.leaky_relu", cases=("leaky_relu", "LeakyReLU"), culprit="leaky_relu|LeakyReLU")
sigmoid = partial(Fault, function="ops.activation.sigmoid", cases=("sigmoid", "Sigmoid"), culprit="sigmoid|Sigmoid")
tanh = partial(Fault, function="ops.activation.tanh", cases=("tanh", "mlp-deep"), culprit="tanh|Tanh")
gelu = partial(Fault, function="ops.gelu.gelu", cases=("gelu", "mlp-dropout-batch-norm"), culprit="gelu|GELU")
density = partial(gelu, function="ops.gelu._normal_density")
gelu_tanh = partial(gelu, cases=("gelu-tanh", "GELU-tanh"))
softplus = partial(Fault, function="ops.softplus.softplus", cases=("softplus", "Softplus"), culprit="softplus|Softplus")
silu = partial(Fault, function="ops.activation.silu", cases=("silu", "SiLU"), culprit="silu|SiLU")
softmax = partial(Fault, function="ops.softmax.softmax", cases=("softmax-axis1", "Softmax"), culprit="softmax|Softmax")
log_softmax = partial(
    Fault, function="ops.softmax.log_softmax", cases=("log_softmax-axis1", "LogSoftmax"), culprit="log_softmax|LogSoftmax"
)

THROUGH_SUM = 'np.einsum("mn,mn->m", dy_rows[part], y[part])[:, None]'
SUM_OF_DY = 'np.einsum("mn->m", dy_rows[part])[:, None]'
SHIFTED = "np.subtract(rows[part], rows[part].max(axis=1, keepdims=True, initial=-np.inf), out=y[part])"

FAULTS = [
    relu("relu: gradient let through at 0", "np.less_equal(x", "np.less(x", "backward", "where x is 0", cases=("relu", "ReLU")),
    relu(
        "relu: gradient not masked",
        "zero_where(dx[part], dy[part], blocked[part])",
        "np.copyto(dx[part], dy[part])",
        "backward",
        "mask",
    ),
    relu("relu: gradient masked by its own sign", "dy[part], blocked[part]", "dy[part], dy[part] <= 0", "backward", None),
    relu(
        "relu: absolute value", "np.maximum(x[part], zeros, out=y[part])", "np.abs(x[part], out=y[part])", "forward", "is negative"
    ),
    relu("relu: min for max", "np.maximum(x", "np.minimum(x", "forward", None),
    leaky_relu("leaky_relu: slope 1 at 0", "sign > 0", "sign >= 0", "backward", "where x is 0"),
    leaky_relu("leaky_relu: the default slope always", "(x, negative_slope", "(x, 0.01", "forward", r"negative_slope = 0\.03"),
    leaky_relu("leaky_relu: slope of another library", "(x, negative_slope", "(x, 0.2", "forward", r"negative_slope = 0\.2"),
    leaky_relu(
        "leaky_relu: slope negated",
        "(x, negative_slope",
        "(x, -negative_slope",
        "forward",
        "multiplies negative x by -negative_slope",
    ),
    leaky_relu(
        "leaky_relu: backward of relu",
        "elementwise(scaled, dy, x)",
        "elementwise(lambda dx, dy, x: np.multiply(dy, x > 0, out=dx), dy, x)",
        "backward",
        "slope 0 for negative x",
    ),
    leaky_relu(
        "leaky_relu: promotes float32",
        'one_float_dtype("leaky_relu", x=x)',
        "x = x.astype(np.float64)",
        "forward",
        "is float64 in float32",
        dtype="float32",
    ),
    sigmoid("sigmoid: slope y", "np.subtract(1, y, out=dx)", "dx[...] = 1", "backward", "multiplies dy by y in the backward pass"),
    sigmoid(
        "sigmoid: slope 1 - y",
        "dx *= y",
        "pass",
        "backward",
        r"multiplies dy by 1 - y in the backward pass; the slope is y \(1 - y\)",
    ),
    sigmoid(
        "sigmoid: slope of tanh",
        "np.subtract(1, y, out=dx)\n        dx *= y",
        "np.subtract(1, y * y, out=dx)",
        "backward",
        "the slope of tanh",
    ),
    sigmoid("sigmoid: slope y (1 + y)", "np.subtract(1, y", "np.add(1, y", "backward", r"multiplies dy by y \(1 \+ y\)"),
    sigmoid(
        "sigmoid: slope at x instead of y", "(backward, dy, y)", "(backward, dy, x)", "backward", r"multiplies dy by x \(1 - x\)"
    ),
    sigmoid(
        "sigmoid: overflows",
        "np.multiply(x, 0.5, out=y)\n    np.tanh(y, out=y)\n    y *= 0.5\n    y += 0.5",
        "y[...] = np.exp(x) / (1 + np.exp(x))",
        "forward",
        "float64 agrees",
        function="ops.activation._sigmoid",
        dtype="float32",
    ),
    sigmoid(
        "sigmoid: a half too few",
        "np.multiply(x, 0.5, out=y)",
        "np.copyto(y, x)",
        "forward",
        None,
        function="ops.activation._sigmoid",
    ),
    tanh(
        "tanh: slope 1 - y",
        "np.square(y, out=dx)",
        "np.copyto(dx, y)",
        "backward",
        "multiplies dy by 1 - y in the backward pass; the slope is 1 - y²",
    ),
    tanh("tanh: slope at x instead of y", "(backward, dy, y)", "(backward, dy, x)", "backward", "multiplies dy by 1 - x²"),
    tanh("tanh: slope 1 + y²", "np.subtract(1, dx", "np.add(1, dx", "backward", r"multiplies dy by 1 \+ y² in the backward pass"),
    tanh(
        "tanh: slope of sigmoid",
        "np.square(y, out=dx)\n        np.subtract(1, dx, out=dx)",
        "np.multiply(y, 1 - y, out=dx)",
        "backward",
        "the slope of sigmoid",
    ),
    gelu("gelu: tanh for erf", "FORMS[approximate]", 'FORMS["tanh"]', "forward", "other form"),
    gelu_tanh("gelu: erf for tanh", "FORMS[approximate]", 'FORMS["none"]', "forward", "other form"),
    gelu(
        "gelu: erf of x, without the root of two",
        "np.multiply(x, SQRT_HALF, out=cdf)",
        "np.copyto(cdf, x)",
        "forward",
        "erf",
        function="fast.normal_cdf.normal_cdf",
    ),
    gelu(
        "gelu: term x density missing", "dx *= x", "dx *= 0", "backward", r"leaves the term x density\(x\) out of the backward pass"
    ),
    gelu("gelu: term cdf missing", "dx += cdf", "pass", "backward", r"leaves the term cdf\(x\) out of the backward pass"),
    density("gelu: density without its constant", "density *= INV_SQRT_2PI", "pass", "backward", None),
    density("gelu: density without the half", "density *= -0.5", "density *= -1", "backward", None),
    gelu_tanh("gelu: tanh's slope lacks the 3", "3 * CUBE", "CUBE", "backward", None, function="ops.gelu._density_by_tanh"),
    gelu_tanh("gelu: constant rounded", "*= CUBE", "*= 0.0447", "forward", "0.0447", function="ops.gelu._cdf_by_tanh"),
    gelu_tanh(
        "gelu: slope of the other form",
        "write_density(dx, x, cdf)",
        "_normal_density(dx, x, cdf); cdf = np.empty_like(x); normal_cdf(cdf, x)",
        "backward",
        "other form",
    ),
    softplus("softplus: not divided by beta", " / x.dtype.type(beta))", ")", "forward", "does not divide by beta"),
    softplus("softplus: threshold compared with x", "scaled > threshold", "x > threshold", "forward", "compares x with threshold"),
    softplus("softplus: slope multiplied by beta", "dy * slope)", "dy * slope * beta)", "backward", "multiplies the slope by beta"),
    softplus("softplus: slope of tanh", "dy * slope)", "dy * np.tanh(scaled))", "backward", None),
    silu(
        "silu: sigmoid constant in the backward",
        "np.subtract(1, s, out=dx)",
        "dx[...] = 0",
        "backward",
        r"treats sigmoid\(x\) as a constant in the backward pass",
    ),
    silu(
        "silu: backward lacks the factor sigmoid",
        "dx *= s",
        "pass",
        "backward",
        r"leaves the factor sigmoid\(x\) out of the backward pass",
    ),
    silu("silu: backward lacks the factor x", "dx *= x", "pass", "backward", "leaves the factor x out of the second term"),
    silu("silu: backward's sign", "dx += 1", "np.subtract(1, dx, out=dx)", "backward", "subtracts"),
    softmax(
        "softmax: Jacobian term dropped",
        "np.subtract(dy_rows[part], through_sum, out=dx[part])",
        "np.multiply(dy_rows[part], 1, out=dx[part])",
        "backward",
        "second term of the Jacobian is missing",
    ),
    softmax(
        "softmax: Jacobian's diagonal alone",
        "np.subtract(dy_rows[part], through_sum, out=dx[part])",
        "np.multiply(dy_rows[part], 1 - y[part], out=dx[part])",
        "backward",
        "diagonal",
    ),
    softmax(
        "softmax: mean in the Jacobian", THROUGH_SUM, f"{THROUGH_SUM} / y.shape[1]", "backward", "takes the mean in the second term"
    ),
    softmax(
        "softmax: sign in the Jacobian",
        "np.subtract(dy",
        "np.add(dy",
        "backward",
        "adds the second term of the Jacobian, which is subtracted",
    ),
    softmax("softmax: Jacobian sums dy alone", THROUGH_SUM, SUM_OF_DY, "backward", "y x .something constant along axis 1"),
    softmax(
        "softmax: Jacobian sums over everything",
        THROUGH_SUM,
        "np.sum(dy_rows * y)",
        "backward",
        "y x .something constant along axis 1",
    ),
    softmax("softmax: normalised along the wrong axis", '"mn->m", block)[:, None]', '"mn->n", block)', "forward", None),
    softmax("softmax: axis ignored", 'one_float_dtype("softmax", x=x)', "dim = -1", "forward", "dim"),
    softmax(
        "softmax: no shift by the maximum",
        SHIFTED,
        "np.multiply(rows[part], 1, out=y[part])",
        "forward",
        "float64 agrees",
        cases=("softmax",),
        dtype="float32",
    ),
    softmax(
        "softmax: shifted by the maximum of all",
        SHIFTED,
        "np.subtract(rows[part], rows.max(), out=y[part])",
        "forward",
        "float64 agrees",
        cases=("softmax",),
        dtype="float32",
    ),
    log_softmax("log_softmax: second term dropped", SUM_OF_DY, "0", "backward", "second term of the Jacobian is missing"),
    log_softmax(
        "log_softmax: softmax without exp in the backward",
        "np.exp(y[part], out=dx[part])",
        "np.multiply(y[part], 1, out=dx[part])",
        "backward",
        None,
    ),
    log_softmax(
        "log_softmax: mean in the backward", SUM_OF_DY, f"{SUM_OF_DY} / y.shape[1]", "backward", "takes the mean in the second term"
    ),
    log_softmax(
        "log_softmax: sign in the backward",
        "np.subtract(dy",
        "np.add(dy",
        "backward",
        "adds the second term of the Jacobian, which is subtracted",
    ),
    log_softmax(
        "log_softmax: logarithm of a softmax",
        'block -= np.log(np.einsum("mn->m", np.exp(block)))[:, None]',
        "block[...] = np.log(np.exp(block) / np.exp(block).sum(axis=1, keepdims=True))",
        "forward",
        "float64 agrees",
        cases=("log_softmax",),
        dtype="float32",
    ),
]
