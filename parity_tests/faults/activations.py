"""Faults of activations and softmax."""

from functools import partial

from parity_tests.faults.fault import Fault

relu = partial(Fault, function="ops.activation.relu", cases=("relu", "mlp"), culprit="relu|ReLU")
leaky_relu = partial(Fault, function="ops.activation.leaky_relu", cases=("leaky_relu", "LeakyReLU"), culprit="leaky_relu|LeakyReLU")
sigmoid = partial(Fault, function="ops.activation.sigmoid", cases=("sigmoid", "Sigmoid"), culprit="sigmoid|Sigmoid")
tanh = partial(Fault, function="ops.activation.tanh", cases=("tanh", "mlp-deep"), culprit="tanh|Tanh")
gelu = partial(Fault, function="ops.activation.gelu", cases=("gelu", "mlp-dropout-batch-norm"), culprit="gelu|GELU")
gelu_tanh = partial(gelu, cases=("gelu-tanh", "GELU-tanh"))
silu = partial(Fault, function="ops.activation.silu", cases=("silu", "SiLU"), culprit="silu|SiLU")
softmax = partial(Fault, function="ops.softmax.softmax", cases=("softmax-axis1", "Softmax"), culprit="softmax|Softmax")
log_softmax = partial(
    Fault, function="ops.softmax.log_softmax", cases=("log_softmax-axis1", "LogSoftmax"), culprit="log_softmax|LogSoftmax"
)

FAULTS = [
    relu(
        "relu: gradient let through at 0", "np.greater(x", "np.greater_equal(x", "backward", "where x is 0", cases=("relu", "ReLU")
    ),
    relu(
        "relu: gradient not masked",
        "np.multiply(dy[part], positive[part], out=dx[part])",
        "np.copyto(dx[part], dy[part])",
        "backward",
        "mask",
    ),
    relu("relu: gradient masked by its own sign", "positive[part], out=dx[part]", "(dy[part] > 0), out=dx[part]", "backward", None),
    relu(
        "relu: absolute value", "np.maximum(x[part], zeros, out=y[part])", "np.abs(x[part], out=y[part])", "forward", "is negative"
    ),
    relu("relu: min for max", "np.maximum(x", "np.minimum(x", "forward", None),
    leaky_relu("leaky_relu: slope 1 at 0", "where(x > 0", "where(x >= 0", "backward", "where x is 0"),
    leaky_relu("leaky_relu: the default slope always", "type(negative_slope)", "type(0.01)", "forward", r"negative_slope = 0\.03"),
    leaky_relu("leaky_relu: slope of another library", "type(negative_slope)", "type(0.2)", "forward", r"negative_slope = 0\.2"),
    leaky_relu(
        "leaky_relu: slope negated", "type(negative_slope)", "type(-negative_slope)", "forward", "negates the negative slope"
    ),
    leaky_relu("leaky_relu: backward of relu", "dy * slope", "dy * (x > 0)", "backward", "slope 0 for negative x"),
    leaky_relu(
        "leaky_relu: promotes float32",
        "x.dtype.type(negative_slope))",
        "np.float64(negative_slope))",
        "forward",
        "is float64 in float32",
        dtype="float32",
    ),
    sigmoid("sigmoid: slope y", "dy * y * (1 - y)", "dy * y", "backward", r"slope y rather than y \(1 - y\)"),
    sigmoid("sigmoid: slope 1 - y", "dy * y * (1 - y)", "dy * (1 - y)", "backward", r"slope 1 - y rather than y \(1 - y\)"),
    sigmoid("sigmoid: slope of tanh", "y * (1 - y)", "(1 - y * y)", "backward", "tanh's"),
    sigmoid("sigmoid: slope y (1 + y)", "(1 - y)", "(1 + y)", "backward", r"slope y \(1 \+ y\)"),
    sigmoid("sigmoid: slope at x instead of y", "y * (1 - y)", "x * (1 - x)", "backward", "takes x for y"),
    sigmoid(
        "sigmoid: overflows",
        "0.5 * np.tanh(0.5 * x) + 0.5",
        "np.exp(x) / (1 + np.exp(x))",
        "forward",
        "less wrong in float64",
        dtype="float32",
    ),
    sigmoid("sigmoid: a half too few", "np.tanh(0.5 * x)", "np.tanh(x)", "forward", None),
    tanh("tanh: slope 1 - y", "1 - y * y", "1 - y", "backward", "slope 1 - y rather than 1 - y²"),
    tanh("tanh: slope at x instead of y", "1 - y * y", "1 - x * x", "backward", "takes x for y"),
    tanh("tanh: slope 1 + y²", "1 - y * y", "1 + y * y", "backward", r"slope 1 \+ y²"),
    tanh("tanh: slope of sigmoid", "(1 - y * y)", "y * (1 - y)", "backward", "sigmoid's"),
    gelu("gelu: tanh for erf", "erf(x * SQRT_HALF)", "np.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x**3))", "forward", "other form"),
    gelu_tanh(
        "gelu: erf for tanh",
        "np.tanh(SQRT_2_OVER_PI * (x + 0.044715 * (x * x * x)))",
        "erf(x * SQRT_HALF)",
        "forward",
        "other form",
    ),
    gelu("gelu: erf of x, without the root of two", "erf(x * SQRT_HALF)", "erf(x)", "forward", "erf"),
    gelu("gelu: term x density missing", "dy * (cdf + x * density)", "dy * cdf", "backward", r"lacks the term x density"),
    gelu("gelu: term cdf missing", "dy * (cdf + x * density)", "dy * (x * density)", "backward", r"lacks the term cdf"),
    gelu("gelu: density without its constant", "np.exp(-0.5 * (x * x)) * INV_SQRT_2PI", "np.exp(-0.5 * (x * x))", "backward", None),
    gelu("gelu: density without the half", "np.exp(-0.5 * (x * x))", "np.exp(-(x * x))", "backward", None),
    gelu_tanh("gelu: tanh's slope lacks the 3", "(1 + 3 * 0.044715", "(1 + 0.044715", "backward", None),
    gelu_tanh("gelu: constant rounded", "(x + 0.044715", "(x + 0.0447", "forward", "0.0447"),
    gelu_tanh(
        "gelu: slope of the other form",
        "dy * (cdf + 0.5 * x * (1 - t * t) * slope)",
        "dy * (0.5 * (1 + erf(x * SQRT_HALF)) + x * np.exp(-0.5 * x * x) * INV_SQRT_2PI)",
        "backward",
        "other form",
    ),
    silu(
        "silu: sigmoid constant in the backward",
        "dy * s * (1 + x * (1 - s))",
        "dy * s",
        "backward",
        "sigmoid\\(x\\) for a constant",
    ),
    silu("silu: backward lacks the factor sigmoid", "dy * s * (1", "dy * (1", "backward", r"lacks the factor sigmoid\(x\)"),
    silu("silu: backward lacks the factor x", "(1 + x * (1 - s))", "(1 + (1 - s))", "backward", "lacks the factor x"),
    silu("silu: backward's sign", "(1 + x * (1 - s))", "(1 - x * (1 - s))", "backward", "subtracts"),
    softmax(
        "softmax: Jacobian term dropped",
        "y * (dy - (dy * y).sum(axis=dim, keepdims=True))",
        "y * dy",
        "backward",
        "second term is missing",
    ),
    softmax(
        "softmax: Jacobian's diagonal alone", "dy - (dy * y).sum(axis=dim, keepdims=True)", "dy * (1 - y)", "backward", "diagonal"
    ),
    softmax("softmax: mean in the Jacobian", "(dy * y).sum(", "(dy * y).mean(", "backward", "averages"),
    softmax("softmax: sign in the Jacobian", "(dy - (dy", "(dy + (dy", "backward", "adds the Jacobian's second term"),
    softmax(
        "softmax: Jacobian sums dy alone",
        "(dy * y).sum(axis=dim",
        "dy.sum(axis=dim",
        "backward",
        "y x .something constant along axis 1",
    ),
    softmax(
        "softmax: Jacobian sums over everything",
        "(dy * y).sum(axis=dim, keepdims=True)",
        "(dy * y).sum()",
        "backward",
        "y x .something constant along axis 1",
    ),
    softmax("softmax: normalised along the last axis", "y.sum(axis=dim", "y.sum(axis=-1", "forward", None),
    softmax("softmax: axis ignored", 'one_float_dtype("softmax", x=x)', "dim = -1", "forward", "dim"),
    softmax(
        "softmax: no shift by the maximum",
        " - x.max(axis=dim, keepdims=True)",
        "",
        "forward",
        "less wrong in float64",
        cases=("softmax",),
        dtype="float32",
    ),
    softmax(
        "softmax: shifted by the maximum of all",
        "x.max(axis=dim, keepdims=True)",
        "x.max()",
        "forward",
        "less wrong in float64",
        cases=("softmax",),
        dtype="float32",
    ),
    log_softmax(
        "log_softmax: second term dropped",
        "dy - np.exp(y) * dy.sum(axis=dim, keepdims=True)",
        "dy",
        "backward",
        "second term is missing",
    ),
    log_softmax("log_softmax: softmax without exp in the backward", "np.exp(y) * dy.sum", "y * dy.sum", "backward", None),
    log_softmax("log_softmax: mean in the backward", "dy.sum(axis=dim", "dy.mean(axis=dim", "backward", "averages"),
    log_softmax("log_softmax: sign in the backward", "dy - np.exp", "dy + np.exp", "backward", "adds the Jacobian's second term"),
    log_softmax(
        "log_softmax: logarithm of a softmax",
        "y -= np.log(np.exp(y).sum(axis=dim, keepdims=True))",
        "y = np.log(np.exp(y) / np.exp(y).sum(axis=dim, keepdims=True))",
        "forward",
        "less wrong in float64",
        cases=("log_softmax",),
        dtype="float32",
    ),
]
