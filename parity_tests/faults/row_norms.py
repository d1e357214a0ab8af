"""Faults of layer normalisation and RMS normalisation."""

from functools import partial

from parity_tests.faults.fault import Fault

layer_norm = partial(
    Fault, function="ops.layer_norm.layer_norm", cases=("layer_norm", "LayerNorm"), culprit="layer_norm|LayerNorm", phase="forward"
)
rms_norm = partial(
    Fault, function="ops.rms_norm.rms_norm", cases=("rms_norm", "RMSNorm"), culprit="rms_norm|RMSNorm", phase="forward"
)
layer_norm_backward, rms_norm_backward = partial(layer_norm, phase="backward"), partial(rms_norm, phase="backward")

ROOT = "np.sqrt(var + eps)"
MEAN = "np.divide(rows[part] @ ones, N, out=mean[part])"
VARIANCE = 'np.einsum("mn,mn->m", block, block)[:, None] / N'
THROUGH_MEAN = "block -= through_mean"
THROUGH_VAR = "block -= normalised"
RMS_ROOT = "np.sqrt(mean_square + epsilon)"
MEAN_SQUARE = 'np.einsum("mn,mn->m", rows[part], rows[part])[:, None] / N'
ROWS = "rows = x.reshape(-1, N)"

FAULTS = [
    layer_norm("layer_norm: eps outside the root", ROOT, "np.sqrt(var) + eps", cause="adds eps to the root"),
    layer_norm("layer_norm: no eps", ROOT, "np.sqrt(var)", cause="leaves eps out|uses eps = 0"),
    layer_norm("layer_norm: eps squared", ROOT, "np.sqrt(var + eps * eps)", cause="eps² under the root"),
    layer_norm("layer_norm: eps of another library", ROOT, "np.sqrt(var + 1e-6)", cause="uses eps = 1e-06 instead of 1e-05"),
    layer_norm("layer_norm: variance instead of its root", ROOT, "(var + eps)", cause="does not take the root"),
    layer_norm("layer_norm: only centred", ROOT, "np.ones_like(var)", cause="does not divide by the root"),
    layer_norm("layer_norm: unbiased variance", VARIANCE, f"{VARIANCE[:-1]}(N - 1)", cause="unbiased variance"),
    layer_norm("layer_norm: mean not subtracted", MEAN, "mean[part] = 0", cause="does not subtract the mean: this is RMSNorm"),
    layer_norm(
        "layer_norm: mean subtracted for the variance only",
        "block *= inv_std[part]\n        block *= scale",
        "block += mean[part]; block *= inv_std[part]\n        block *= scale",
        cause="subtracts the mean in the variance but not from x",
    ),
    layer_norm(
        "layer_norm: mean of x² for the variance",
        VARIANCE,
        'np.einsum("mn,mn->m", rows[part], rows[part])[:, None] / N',
        cause="uses the mean of x² instead of the variance",
    ),
    layer_norm(
        "layer_norm: one-pass variance",
        VARIANCE,
        'np.einsum("mn,mn->m", rows[part], rows[part])[:, None] / N - mean[part] ** 2',
        cause="float64 agrees|NaN or infinite",
        dtype="float32",
    ),
    layer_norm(
        "layer_norm: over the batch",
        "in_blocks(forward, y)",
        "in_blocks(forward, y); z = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + eps) * scale; "
        "y[...] = z if bias is None else z + bias",
        cause="as batch normalisation does",
        cases=("layer_norm-eps", "LayerNorm-no-bias"),
    ),
    layer_norm(
        "layer_norm: over the last axis alone",
        "in_blocks(forward, y)",
        "in_blocks(forward, y); s = x - x.mean(axis=-1, keepdims=True); s /= np.sqrt(x.var(axis=-1, keepdims=True) + eps); "
        "y[...] = (s * (1 if weight is None else weight) + (0 if bias is None else bias)).reshape(y.shape)",
        cause="normalises over the last axis only",
        cases=("layer_norm-two-axes", "LayerNorm-two-axes"),
    ),
    layer_norm("layer_norm: weight left out", "block *= scale", "pass", cause="leaves weight out"),
    layer_norm("layer_norm: 1 + weight", "block *= scale", "block *= 1 + scale", cause=r"multiplies by 1 \+ weight"),
    layer_norm("layer_norm: bias left out", "block += bias.reshape(N)", "pass", cause="leaves bias out"),
    layer_norm(
        "layer_norm: bias before weight",
        "block *= scale\n        if bias is not None:\n            block += bias.reshape(N)",
        "block += bias.reshape(N); block *= scale",
        cause="adds bias before",
    ),
    layer_norm_backward(
        "layer_norm: gradient through the mean missing",
        THROUGH_MEAN,
        "pass",
        cause="treats the mean of a row as a constant in the backward pass",
    ),
    layer_norm_backward(
        "layer_norm: gradient through the variance missing",
        THROUGH_VAR,
        "pass",
        cause="treats the variance of a row as a constant in the backward pass",
    ),
    layer_norm_backward(
        "layer_norm: mean and variance constant in the backward",
        f"{THROUGH_VAR}\n            {THROUGH_MEAN}",
        "pass",
        cause="treats the mean and the variance of a row as constants in the backward pass",
    ),
    layer_norm_backward(
        "layer_norm: sign of the variance's gradient",
        THROUGH_VAR,
        "block += normalised",
        cause="through the root; it is subtracted",
    ),
    layer_norm_backward(
        "layer_norm: sum for the mean in the backward", "block @ ones / N", "block @ ones", cause="something constant along axis"
    ),
    layer_norm_backward(
        "layer_norm: backward not divided by the deviation",
        "block *= inv_std[part]\n            return",
        "return",
        cause="does not divide by the root in the backward",
    ),
    layer_norm_backward(
        "layer_norm: weight left out of the backward",
        "np.multiply(dy_rows[part], scale, out=dx[part])",
        "np.multiply(dy_rows[part], 1, out=dx[part])",
        cause="weight out of the gradient of x",
    ),
    layer_norm_backward(
        "layer_norm: gradient of weight from x",
        'np.einsum("mn,mn->n", dy_rows[part], normalised)',
        'np.einsum("mn,mn->n", dy_rows[part], rows[part])',
        cause=None,
    ),
    layer_norm_backward(
        "layer_norm: gradient of bias averaged",
        "column_sums(dy_rows[part])",
        "column_sums(dy_rows[part]) / len(rows)",
        cause="grad bias needs the factor 15",
    ),
    layer_norm_backward(
        "layer_norm: gradient of weight averaged",
        "return dscale, column",
        "return dscale / len(rows), column",
        cause="grad weight needs the factor 15",
    ),
    layer_norm(
        "layer_norm: promotes float32",
        "np.empty(rows.shape, x.dtype)",
        "np.empty(rows.shape)",
        cause="is float64 in float32",
        dtype="float32",
    ),
    layer_norm("layer_norm: writes into x", "y = np.empty(rows.shape, x.dtype)", "y = rows", cause="changes its input"),
    layer_norm(
        "LayerNorm: eps not passed on",
        ", eps=self.eps",
        "",
        cause=r"uses eps = 1e-05 instead of 0\.001|ignores eps",
        function="layers.norm.LayerNorm.forward",
        cases=("LayerNorm-no-bias",),
    ),
    layer_norm_backward(
        "LayerNorm: backward kept on the layer",
        "return apply(layer_norm, x, self.weight, self.bias, normalized_shape=self.normalized_shape, eps=self.eps)",
        "y, self.kept = apply(layer_norm, x, self.weight, self.bias, normalized_shape=self.normalized_shape, eps=self.eps); "
        "return y, lambda dy: self.kept(dy)",
        cause="later call",
        function="layers.norm.LayerNorm.forward",
        cases=("LayerNorm",),
    ),
    rms_norm("rms_norm: eps outside the root", RMS_ROOT, "np.sqrt(mean_square) + epsilon", cause="adds eps to the root"),
    rms_norm("rms_norm: no eps", RMS_ROOT, "np.sqrt(mean_square)", cause="leaves eps out|uses eps = 0"),
    rms_norm("rms_norm: root forgotten", RMS_ROOT, "(mean_square + epsilon)", cause="does not take the root"),
    rms_norm(
        "rms_norm: sum for the mean", MEAN_SQUARE, MEAN_SQUARE.removesuffix(" / N"), cause="uses the sum of x² instead of its mean"
    ),
    rms_norm("rms_norm: divided by n - 1", MEAN_SQUARE, f"{MEAN_SQUARE[:-1]}(N - 1)", cause="divides by n - 1"),
    rms_norm(
        "rms_norm: mean subtracted", ROWS, f"{ROWS}; rows = rows - rows.mean(axis=1, keepdims=True)", cause="this is LayerNorm"
    ),
    rms_norm(
        "rms_norm: variance for the mean of x²",
        MEAN_SQUARE,
        "rows[part].var(axis=-1, keepdims=True)",
        cause="uses the variance instead of the mean of x²",
        cases=("rms_norm-default-eps",),
    ),
    rms_norm(
        "rms_norm: another default eps",
        "float(np.finfo(x.dtype).eps)",
        "1e-6",
        cause="uses eps = 1e-06",
        cases=("rms_norm-default-eps",),
    ),
    rms_norm("rms_norm: 1 + weight", "block *= scale", "block *= 1 + scale", cause=r"multiplies by 1 \+ weight"),
    rms_norm("rms_norm: weight left out", "block *= scale", "pass", cause="leaves weight out"),
    rms_norm_backward(
        "rms_norm: gradient through the root missing",
        THROUGH_VAR,
        "pass",
        cause="treats the root mean square of a row as a constant in the backward pass",
    ),
    rms_norm_backward(
        "rms_norm: sign of the root's gradient", THROUGH_VAR, "block += normalised", cause="through the root; it is subtracted"
    ),
    rms_norm_backward(
        "rms_norm: weight left out of the backward",
        "np.multiply(dy_rows[part], scale, out=dx[part])",
        "np.multiply(dy_rows[part], 1, out=dx[part])",
        cause="weight out of the gradient of x",
    ),
    rms_norm_backward(
        "rms_norm: gradient of weight from x",
        'np.einsum("mn,mn->n", dy_rows[part], normalised)',
        'np.einsum("mn,mn->n", dy_rows[part], rows[part])',
        cause=None,
    ),
    rms_norm(
        "RMSNorm: eps not passed on",
        ", eps=self.eps",
        "",
        cause="ignores eps|uses eps",
        function="layers.norm.RMSNorm.forward",
        cases=("RMSNorm-eps",),
    ),
]
