"""Faults of linear maps, dropout and flattening."""

from functools import partial

from parity_tests.faults.fault import Fault

linear = partial(Fault, function="ops.linear.linear", cases=("linear-three-axes", "Linear", "mlp-deep"), culprit="linear|Linear")
dropout = partial(Fault, function="ops.dropout.dropout", cases=("dropout", "Dropout"), culprit="dropout|Dropout")
dropout_layer = partial(
    Fault, function="layers.dropout.Dropout.forward", cases=("Dropout", "mlp-dropout-batch-norm"), culprit="Dropout"
)
flatten = partial(Fault, function="ops.flatten.flatten", cases=("flatten", "Flatten", "cnn"), culprit="flatten|Flatten")

FAULTS = [
    linear("linear: bias left out", "if bias is not None:", "if False:", "forward", "leaves bias out"),
    linear("linear: bias added twice", "y += bias", "y += 2 * bias", "forward", r"lacks the term - bias"),
    linear("linear: bias subtracted", "y += bias", "y -= bias", "forward", r"lacks the term \+ 2 x bias"),
    linear(
        "linear: gradient of bias averaged",
        "dweight, dbias",
        "dweight, dbias / len(dy_rows)",
        "backward",
        r"grad bias needs the factor (39|13)",
    ),
    linear(
        "linear: gradient of bias summed over the first axis alone",
        "dweight, dbias",
        "dweight, dy.sum(axis=0)",
        "backward",
        r"not summed over the broadcast axis 0",
        cases=("linear-three-axes",),
    ),
    linear(
        "linear: gradient of bias not summed",
        "dweight, dbias",
        "dweight, dy",
        "backward",
        "not summed over the broadcast ax",
        cases=("linear", "linear-three-axes"),
    ),
    linear(
        "linear: gradient of bias missing",
        "dweight, dbias",
        "dweight, None",
        "backward",
        "missing",
    ),
    linear(
        "linear: gradient of weight averaged over the batch",
        "dy_rows.T @ rows",
        "dy_rows.T @ rows / len(rows)",
        "backward",
        r"grad weight needs the factor (39|13)",
    ),
    linear(
        "linear: gradient of weight transposed",
        "dy_rows.T @ rows",
        "rows.T @ dy_rows",
        "backward",
        r"transpose\(1, 0\)",
        cases=("linear", "linear-three-axes"),
    ),
    linear(
        "linear: gradient of weight of the first sample alone", "dy_rows.T @ rows", "dy_rows[:1].T @ rows[:1]", "backward", None
    ),
    linear("linear: gradient of x with the sign wrong", "(dy_rows @ weight)", "-(dy_rows @ weight)", "backward", "wrong sign"),
    linear(
        "linear: gradient of x through the bias",
        "(dy_rows @ weight)",
        "((dy_rows + bias) @ weight)",
        "backward",
        "something constant along axis",
    ),
    linear(
        "linear: float32 inside",
        "rows @ weight.T",
        "(rows.astype('f4') @ weight.T.astype('f4')).astype(x.dtype)",
        "forward",
        "precision of float32",
    ),
    linear(
        "linear: half precision inside",
        "rows @ weight.T",
        "(rows @ weight.T).astype('f2').astype(x.dtype)",
        "forward",
        "float16 precision",
        cases=("linear-no-bias", "Linear-no-bias"),
    ),
    linear(
        "linear: promotes float32",
        "rows @ weight.T",
        "(rows @ weight.T).astype('f8')",
        "forward",
        "is float64 in float32",
        cases=("linear", "Linear"),
        dtype="float32",
    ),
    linear(
        "linear: writes into x",
        "rows = x.reshape(-1, in_features)",
        "x *= 1.5; rows = x.reshape(-1, in_features)",
        "forward",
        "changes its input",
        cases=("linear", "Linear"),
    ),
    linear(
        "linear: writes into dy",
        "dy_rows = dy.reshape",
        "dy *= 1; dy += 1; dy_rows = dy.reshape",
        "backward",
        "changes its gradient",
        cases=("linear", "Linear"),
    ),
    linear(
        "linear: writes into the weight",
        "y = rows @ weight.T",
        "weight -= weight.mean(); y = rows @ weight.T",
        "forward",
        "changes its parameter weight",
        cases=("Linear",),
    ),
    dropout(
        "dropout: not scaled",
        "type(1 / (1 - p) if p < 1 else 0)",
        "type(1)",
        "forward",
        r"factor 1/\(1 - 0.3\).*= p|does not divide the kept values by 1 - p",
    ),
    dropout(
        "dropout: scaled by 1/p",
        "type(1 / (1 - p) if p < 1 else 0)",
        "type(1 / p)",
        "forward",
        r"factor 0.3/\(1 - 0.3\)|divides the kept values by p",
    ),
    dropout(
        "dropout: multiplied by 1 - p",
        "type(1 / (1 - p) if p < 1 else 0)",
        "type(1 - p)",
        "forward",
        "factor 1/.1 - 0.3.²|by 1 - p",
    ),
    dropout(
        "dropout: gradient not masked",
        "(dy * scale, None)",
        "(dy / (1 - p), None)",
        "backward",
        "lacks the factor keep|does not mask the gradient",
    ),
    dropout(
        "dropout: gradient not scaled",
        "(dy * scale, None)",
        "(dy * keep, None)",
        "backward",
        r"factor 1/\(1 - 0.3\)|does not divide the gradient by 1 - p",
    ),
    dropout("dropout: mask turned round", "keep * x.dtype", "~keep * x.dtype", "forward", None, cases=("dropout",)),
    dropout(
        "dropout: mask turned round in a layer",
        "keep * x.dtype",
        "~keep * x.dtype",
        "forward",
        "with probability p",
        cases=("Dropout",),
    ),
    dropout_layer("Dropout: keeps with probability p", ">= self.p", "< self.p", "forward", "with probability p"),
    dropout_layer(
        "Dropout: another mask in the backward",
        "return y, lambda dy: backward(dy)[0]",
        "other = dropout(x, generator().random(x.shape) >= self.p, self.p)[1]; return y, lambda dy: other(dy)[0]",
        "backward",
        "another mask for the backward",
    ),
    dropout_layer(
        "Dropout: acts in eval mode",
        "not self.training or self.p == 0",
        "self.p == 0",
        "forward",
        "behaves as in training",
        cases=("Dropout-eval", "mlp-dropout-batch-norm-eval"),
    ),
    dropout_layer(
        "Dropout: does nothing in training", "not self.training or", "self.training or", "forward", "behaves as in eval mode"
    ),
    flatten("flatten: column-major", "*x.shape[end + 1 :])", "*x.shape[end + 1 :], order='F')", "forward", "wrong order"),
    flatten(
        "flatten: column-major in the backward", "dy.reshape(x.shape)", "dy.reshape(x.shape, order='F')", "backward", "wrong order"
    ),
    flatten(
        "flatten: one axis too few",
        '("end_dim", end_dim)',
        '("end_dim", end_dim - 1)',
        "forward",
        "has shape",
        cases=("flatten", "Flatten"),
    ),
    flatten(
        "flatten: gradient in the flat shape",
        "dy.reshape(x.shape)",
        "dy",
        "backward",
        r"reshape\(3, 5, 2, 7\)",
        cases=("flatten", "Flatten"),
    ),
]
