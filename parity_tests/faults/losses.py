"""Faults of losses."""

from functools import partial

from parity_tests.faults.fault import Fault

mse = partial(Fault, function="ops.loss.mse_loss", cases=("mse_loss-mean", "MSELoss"), culprit="mse_loss|MSELoss")
l1 = partial(Fault, function="ops.loss.l1_loss", cases=("l1_loss-mean", "L1Loss"), culprit="l1_loss|L1Loss")
smooth_l1 = partial(
    Fault,
    function="ops.loss.smooth_l1_loss",
    cases=("smooth_l1_loss-beta", "SmoothL1Loss"),
    culprit="smooth_l1_loss|SmoothL1Loss",
)
reduced = partial(mse, function="ops.loss._reduced")
bce = partial(
    Fault,
    function="ops.loss.binary_cross_entropy_with_logits",
    cases=("binary_cross_entropy_with_logits-weighted-mean", "BCEWithLogitsLoss"),
    culprit="binary_cross_entropy_with_logits|BCEWithLogitsLoss",
)
cross_entropy = partial(
    Fault,
    function="ops.cross_entropy.cross_entropy",
    cases=("cross_entropy-weighted-mean", "cross_entropy-pixels-mean", "CrossEntropyLoss"),
    culprit="cross_entropy|CrossEntropyLoss",
)
rows_of_labels = partial(cross_entropy, function="ops.cross_entropy._with_labels")
soft_cross_entropy = partial(cross_entropy, cases=("cross_entropy-soft-mean", "cross_entropy-soft-pixels-mean"))
nll = partial(Fault, function="ops.nll_loss.nll_loss", cases=("nll_loss-mean", "NLLLoss"), culprit="nll_loss|NLLLoss")

FAULTS = [
    mse("mse: the 2 of the gradient missing", "2 * difference,", "difference,", "backward", "factor 2"),
    mse(
        "mse: a half of the loss",
        "difference * difference, 2 * difference",
        "0.5 * difference * difference, difference",
        "forward",
        "factor 2",
    ),
    mse("mse: absolute difference", "difference * difference,", "np.abs(difference),", "forward", None),
    mse("mse: gradient's sign", "2 * difference,", "2 * (target - input),", "backward", "wrong sign"),
    reduced(
        "losses: sum for mean",
        'loss.sum() / dtype.type(loss.size) if reduction == "mean"',
        'loss.sum() if reduction == "mean"',
        "forward",
        "sum where the mean",
    ),
    reduced(
        "losses: mean over the batch alone",
        'loss.sum() / dtype.type(loss.size) if reduction == "mean"',
        'loss.sum() / len(loss) if reduction == "mean"',
        "forward",
        "batch size only",
    ),
    reduced(
        "losses: 1/N missing in the backward",
        "dy / dtype.type(max(loss.size, 1)) if",
        "dy if",
        "backward",
        "does not divide the gradient",
    ),
    reduced(
        "losses: gradient divided by the batch size",
        "dy / dtype.type(max(loss.size, 1)) if",
        "dy / len(loss) if",
        "backward",
        "gradient by the batch size only",
    ),
    reduced(
        "losses: gradient divided though the sum was asked for",
        'dy / dtype.type(max(loss.size, 1)) if reduction == "mean" else dy',
        "dy / dtype.type(max(loss.size, 1))",
        "backward",
        "reduction = 'sum'",
        cases=("mse_loss-sum", "L1Loss"),
        culprit="mse_loss|L1Loss",
    ),
    reduced("losses: upstream gradient ignored", "dinput = slope * scale", "dinput = slope / loss.size", "backward", "factor dy"),
    reduced(
        "losses: upstream gradient ignored, unreduced",
        "dinput = slope * scale",
        "dinput = slope",
        "backward",
        "lacks the factor dy",
        cases=("mse_loss-none", "l1_loss-none"),
        culprit="mse_loss|l1_loss",
    ),
    reduced(
        "losses: gradient of target not negated", "-dinput if target_slope", "dinput if target_slope", "backward", "wrong sign"
    ),
    reduced(
        "losses: gradient of target missing",
        "-dinput if target_slope is None",
        "None if target_slope is None",
        "backward",
        "is missing",
    ),
    l1(
        "l1: slope 1 where equal",
        "np.sign(difference)",
        "np.where(difference < 0, -1.0, 1.0)",
        "backward",
        "slope 1 where input and target are equal",
    ),
    l1(
        "l1: square root of a sum of squares", "np.abs(difference),", "np.sqrt((difference * difference).sum(-1)),", "forward", None
    ),
    smooth_l1(
        "smooth_l1: Huber loss",
        "0.5 / beta * difference * difference, distance - 0.5 * beta",
        "0.5 * difference * difference, beta * (distance - 0.5 * beta)",
        "forward",
        "Huber",
    ),
    smooth_l1(
        "smooth_l1: beta ignored", "difference = input - target", "difference, beta = input - target, 1.0", "forward", "beta = 0.7"
    ),
    smooth_l1("smooth_l1: the half of the parabola missing", "0.5 / beta *", "1 / beta *", "forward", "lacks the 1/2"),
    smooth_l1("smooth_l1: line not lowered", "distance - 0.5 * beta)", "distance)", "forward", "lacks the - beta/2"),
    smooth_l1(
        "smooth_l1: line lowered by a half", "distance - 0.5 * beta)", "distance - 0.5)", "forward", "1/2 rather than beta/2"
    ),
    smooth_l1(
        "smooth_l1: slope not clipped", "np.clip(difference / beta, -1, 1)", "difference / beta", "backward", "does not clip"
    ),
    smooth_l1("smooth_l1: slope not divided by beta", "np.clip(difference / beta", "np.clip(difference", "backward", "beta = 0.7"),
    bce(
        "bce: logarithm of a sigmoid",
        "np.maximum(-input, 0) + np.log1p(np.exp(-np.abs(input)))",
        "-np.log(1 / (1 + np.exp(-input)))",
        "forward",
        "less wrong in float64",
        cases=("binary_cross_entropy_with_logits-none",),
        dtype="float32",
    ),
    bce(
        "bce: pos_weight ignored",
        "scale = 1 if pos_weight is None else",
        "scale = 1 if True else",
        "forward",
        "leaves pos_weight out",
    ),
    bce(
        "bce: pos_weight on both terms",
        "(1 - target) * input + scale * softplus",
        "scale * (input + softplus) if pos_weight is None else pos_weight * ((1 - target) * input + softplus)",
        "forward",
        "negative term too",
    ),
    bce(
        "bce: pos_weight on the negatives",
        "scale = 1 if pos_weight is None else 1 + (pos_weight - 1) * target",
        "scale = 1 if pos_weight is None else 1 + (pos_weight - 1) * (1 - target)",
        "forward",
        None,
    ),
    bce("bce: weight ignored", "if weight is not None:", "if False:", "forward", "leaves weight out"),
    bce(
        "bce: weight left out of the gradient",
        "loss * weight, slope * weight, dtarget * weight",
        "loss * weight, slope, dtarget",
        "backward",
        "leaves weight out of the gradient|factor",
    ),
    bce(
        "bce: gradient's sign",
        "(1 - target) - scale * (1 - sigmoid)",
        "scale * (1 - sigmoid) - (1 - target)",
        "backward",
        "wrong sign",
    ),
    bce(
        "bce: slope of the sigmoid applied once more",
        "(1 - target) - scale * (1 - sigmoid)",
        "((1 - target) - scale * (1 - sigmoid)) * sigmoid * (1 - sigmoid)",
        "backward",
        None,
    ),
    bce(
        "bce: gradient of target lacks pos_weight",
        "(0 if pos_weight is None else (pos_weight - 1) * softplus)",
        "0",
        "backward",
        None,
    ),
    cross_entropy(
        "cross_entropy: mean over all labels",
        "divisor = label_weight.sum()",
        "divisor = input.dtype.type(M)",
        "forward",
        "divides by the number of all labels",
    ),
    cross_entropy(
        "cross_entropy: mean over counted labels, unweighted",
        "divisor = label_weight.sum()",
        "divisor = input.dtype.type(counted.sum())",
        "forward",
        "number of labels that count",
    ),
    cross_entropy(
        "cross_entropy: mean over the batch",
        "divisor = label_weight.sum()",
        "divisor = input.dtype.type(input.shape[0])",
        "forward",
        "batch size",
        cases=("cross_entropy-pixels-mean",),
    ),
    cross_entropy(
        "cross_entropy: 1/N missing in the backward",
        "inverse(divisor, counted) if reduction",
        "1.0 if reduction",
        "backward",
        "does not divide the gradient",
    ),
    cross_entropy(
        "cross_entropy: gradient divided by all labels",
        "inverse(divisor, counted) if reduction",
        "1 / M if reduction",
        "backward",
        "gradient by the number of all labels",
    ),
    cross_entropy(
        "cross_entropy: class weights ignored",
        "if weight is None else weight",
        "if True else weight",
        "forward",
        "leaves weight out",
    ),
    cross_entropy(
        "cross_entropy: label smoothing ignored",
        "rows = class_rows(",
        "label_smoothing = 0.0; rows = class_rows(",
        "forward",
        "label_smoothing = 0.1",
    ),
    rows_of_labels(
        "cross_entropy: smoothing over the other classes",
        "on_label, elsewhere =",
        "C = rows.shape[1]; smoothing *= C / (C - 1); on_label, elsewhere =",
        "forward",
        "among the other classes only",
    ),
    rows_of_labels(
        "cross_entropy: smoothed part unweighted",
        "mass = on_label",
        "class_weight = np.ones_like(class_weight); mass = on_label",
        "forward",
        "not to the smoothed part",
    ),
    rows_of_labels(
        "cross_entropy: smoothing on top", "(1 - smoothing) * label_weight", "label_weight", "forward", "adds the smoothed part"
    ),
    rows_of_labels(
        "cross_entropy: ignored labels smoothed",
        "counted.astype(rows.dtype)",
        "np.ones_like(rows[:, 0])",
        "forward",
        "smooths ignored labels",
    ),
    cross_entropy(
        "cross_entropy: ignore_index ignored",
        "ignore_index)\n        label_weight",
        "-100)\n        label_weight",
        "forward",
        "ignore_index = 3",
    ),
    rows_of_labels(
        "cross_entropy: ignored labels have a gradient",
        "exp *= (scale * mass[part] / total)[:, None]",
        "exp *= (scale * np.where(counted[part], mass[part], 1) / total)[:, None]",
        "backward",
        "is ignore_index",
    ),
    rows_of_labels("cross_entropy: one-hot not subtracted", "exp[label] -= scale * on_label[part]", "pass", "backward", "one-hot"),
    rows_of_labels("cross_entropy: gradient's sign", "return loss, drows", "return loss, -drows", "backward", "wrong sign"),
    rows_of_labels(
        "cross_entropy: softmax before",
        "on_label, elsewhere =",
        "rows = np.exp(rows - rows.max(axis=1, keepdims=True)); rows /= rows.sum(axis=1, keepdims=True); on_label, elsewhere =",
        "forward",
        "applies softmax before",
    ),
    rows_of_labels(
        "cross_entropy: no shift by the maximum",
        "np.subtract(rows[part], rows[part].max(axis=1, keepdims=True, initial=-np.inf), out=drows[part])",
        "np.add(rows[part], 0, out=drows[part])",
        "forward",
        "less wrong in float64",
        cases=("cross_entropy-none",),
        dtype="float32",
    ),
    rows_of_labels("cross_entropy: normaliser missing", "mass[part] * np.log(total) - on_target", "-on_target", "forward", None),
    soft_cross_entropy(
        "cross_entropy: probabilities averaged over classes too",
        "reduced(loss, reduction, input.dtype.type(M), input), backward_of",
        "reduced(loss, reduction, input.dtype.type(input.size), input), backward_of",
        "forward",
        "classes included|factor 7",
    ),
    soft_cross_entropy(
        "cross_entropy: probabilities' rows taken to sum to one",
        "np.exp(log_p) * (soft @ class_weight)[:, None]",
        "np.exp(log_p)",
        "backward",
        None,
        cases=("cross_entropy-soft-mean",),
    ),
    soft_cross_entropy(
        "cross_entropy: gradient of probabilities unweighted",
        "dtarget = (label_smoothing - 1) * class_weight *",
        "dtarget = (label_smoothing - 1) *",
        "backward",
        "lacks the factor weight",
    ),
    soft_cross_entropy(
        "cross_entropy: gradient of probabilities without smoothing",
        "(label_smoothing - 1) * class_weight",
        "-1 * class_weight",
        "backward",
        "label_smoothing",
        cases=("cross_entropy-soft-mean",),
    ),
    nll(
        "nll: mean over all labels",
        "divisor = label_weight.sum()",
        "divisor = input.dtype.type(M)",
        "forward",
        "divides by the number of all labels",
    ),
    nll("nll: class weights ignored", "if weight is None else weight[labels] * counted", "", "forward", "leaves weight out"),
    nll(
        "nll: 1/N missing in the backward",
        'dy * inverse(divisor, counted) if reduction == "mean" else dy',
        "dy",
        "backward",
        "does not divide the gradient",
    ),
    nll("nll: sign", "loss = -label_weight", "loss = label_weight", "forward", "wrong sign"),
]
