"""Error messages of ops and layers: one line with the given and the expected value."""

from functools import partial

import numpy as np
import pytest

from parity.case import resolve
from parity.cases import CASES
from parity.inputs import Draw
from scratch import layers, models, ops

X = np.zeros((3, 5, 8, 9), np.float32)
ROWS = np.zeros((4, 7), np.float32)
LABELS = np.arange(4)


def f32(*shape):
    return np.zeros(shape, np.float32)


BAD = {
    "linear widths": (
        lambda: ops.linear(ROWS, f32(3, 6)),
        "linear: expected x (..., in) and weight (out, in), got (4, 7) and (3, 6)",
    ),
    "channels that are no whole numbers": (
        lambda: models.CNN(1, (8, 8), 3, channels=(4, 2.5)),
        "CNN: channels is (4, 2.5), expected a sequence, each a whole number",
    ),
    "linear bias": (lambda: ops.linear(ROWS, f32(3, 7), f32(4)), "linear: expected bias of shape (3,), got (4,)"),
    "linear dtypes": (
        lambda: ops.linear(ROWS, np.zeros((3, 7))),
        "linear: expected one floating-point dtype, got x float32, weight float64",
    ),
    "linear of a number": (
        lambda: ops.linear(np.float32(1), f32(3, 7)),
        "linear: expected x (..., in) and weight (out, in), got ()",
    ),
    "linear weight of one axis": (lambda: ops.linear(ROWS, f32(3, 7, 1)[0]), "got (4, 7) and (7, 1)"),
    "linear weight of three axes": (lambda: ops.linear(ROWS, f32(3, 7, 2)), "got (4, 7) and (3, 7, 2)"),
    "relu of integers": (lambda: ops.relu(LABELS), "relu: expected one floating-point dtype, got x int64"),
    "gelu approximation": (lambda: ops.gelu(ROWS, "erf"), "gelu: approximate is 'erf', expected one of none, tanh"),
    "softplus without a line": (
        lambda: ops.softplus(ROWS, threshold=float("inf")),
        "softplus: beta is 1.0 and threshold is inf, expected two finite numbers",
    ),
    "softplus that is a step": (
        lambda: layers.Softplus(beta=float("inf"))(ROWS),
        "softplus: beta is inf and threshold is 20.0, expected two finite numbers",
    ),
    "softmax of integers": (lambda: ops.softmax(LABELS), "softmax: expected one floating-point dtype"),
    "flatten backwards": (lambda: ops.flatten(X, 2, 1), "flatten: start_dim 2 comes after end_dim 1"),
    "flatten backwards from the end": (lambda: ops.flatten(X, -1, 1), "flatten: start_dim -1 comes after end_dim 1"),
    "dropout mask": (lambda: ops.dropout(ROWS, np.ones((4, 6), bool), 0.3), "dropout: expected keep of shape (4, 7), got (4, 6)"),
    "conv of one image": (lambda: ops.conv2d(X[0], f32(4, 5, 3, 3)), "conv2d: expected x (N, C, H, W)"),
    "conv with a kernel of three axes": (lambda: ops.conv2d(X, f32(4, 5, 3)), "conv2d: expected x (N, C, H, W) and weight"),
    "conv in no groups": (lambda: ops.conv2d(X[:, :0], f32(4, 5, 3, 3), groups=0), "in 0 groups takes 0"),
    "conv channels": (
        lambda: ops.conv2d(X, f32(4, 3, 3, 3)),
        "conv2d: x has 5 channels; a weight of shape (4, 3, 3, 3) in 1 groups takes 3",
    ),
    "conv groups": (lambda: ops.conv2d(X, f32(4, 1, 3, 3), groups=5), "needs its first axis divisible by groups"),
    "conv bias": (lambda: ops.conv2d(X, f32(4, 5, 3, 3), f32(5)), "conv2d: expected bias of shape (4,), got (5,)"),
    "conv kernel too large": (
        lambda: ops.conv2d(X, f32(4, 5, 3, 12), padding=1),
        "conv2d: a kernel of (3, 12) with dilation (1, 1) does not fit images of (8, 9) padded by (1, 1)",
    ),
    "conv stride": (
        lambda: ops.conv2d(X, f32(4, 5, 3, 3), stride=0),
        "conv2d: stride is 0, expected an int or a pair of ints, each at least 1",
    ),
    "conv padding": (lambda: ops.conv2d(X, f32(4, 5, 3, 3), padding=(1, -1)), "conv2d: padding is (1, -1), expected"),
    "conv dilation": (lambda: ops.conv2d(X, f32(4, 5, 3, 3), dilation=1.5), "conv2d: dilation is 1.5, expected"),
    "pool of rows": (lambda: ops.max_pool2d(ROWS, 2), "max_pool2d: expected x (N, C, H, W) or (C, H, W), got (4, 7)"),
    "pool too large": (lambda: ops.avg_pool2d(X, 10), "avg_pool2d: a kernel of (10, 10)"),
    "pool of nothing": (lambda: ops.max_pool2d(X, 0), "max_pool2d: kernel_size is 0, expected"),
    "pool without dilation": (lambda: ops.max_pool2d(X, 2, dilation=0), "max_pool2d: dilation is 0, expected"),
    "pool padding of one axis": (
        lambda: ops.max_pool2d(X, 2, padding=(0, 2)),
        "max_pool2d: padding is (0, 2), expected at most half",
    ),
    "adaptive pool of rows": (lambda: ops.adaptive_avg_pool2d(ROWS, 2), "adaptive_avg_pool2d: expected x (N, C, H, W)"),
    "pool padding": (
        lambda: ops.max_pool2d(X, 2, padding=2),
        "max_pool2d: padding is (2, 2), expected at most half of kernel_size (2, 2)",
    ),
    "adaptive size": (lambda: ops.adaptive_avg_pool2d(X, 0), "adaptive_avg_pool2d: output_size is 0"),
    "batch norm of one value": (
        lambda: ops.batch_norm(f32(1, 5), training=True),
        "batch_norm: expected more than one value a channel",
    ),
    "batch norm without statistics": (
        lambda: ops.batch_norm(ROWS),
        "batch_norm: got no running_mean and running_var, expected both when not training",
    ),
    "batch norm weight": (
        lambda: ops.batch_norm(ROWS, f32(6), training=True),
        "batch_norm: expected weight of shape (7,), got (6,)",
    ),
    "batch norm of one axis": (lambda: ops.batch_norm(f32(5), training=True), "batch_norm: expected x (N, C, ...), got (5,)"),
    "batch norm without a variance": (
        lambda: ops.batch_norm(ROWS, running_mean=f32(7)),
        "batch_norm: running_mean came without running_var, expected both or neither",
    ),
    "batch norm without a mean": (
        lambda: ops.batch_norm(ROWS, running_var=f32(7), training=True),
        "batch_norm: running_var came without running_mean, expected both or neither",
    ),
    "batch norm bias": (
        lambda: ops.batch_norm(ROWS, None, f32(6), training=True),
        "batch_norm: expected bias of shape (7,), got (6,)",
    ),
    "batch norm mean": (
        lambda: ops.batch_norm(ROWS, None, None, f32(6), f32(7)),
        "batch_norm: expected running_mean of shape (7,)",
    ),
    "batch norm variance": (
        lambda: ops.batch_norm(ROWS, None, None, f32(7), f32(6)),
        "batch_norm: expected running_var of shape (7,)",
    ),
    "one logit": (
        lambda: ops.cross_entropy(np.float32(1), LABELS[0]),
        "cross_entropy: expected input (N, C, ...) or (C,), got a scalar",
    ),
    "label too large": (
        lambda: ops.cross_entropy(ROWS, np.array([0, 7, 2, 1])),
        "cross_entropy: label 7 is out of range: expected 0 to 6, or ignore_index -100",
    ),
    "label negative": (lambda: ops.nll_loss(ROWS, np.array([0, -1, 2, 1])), "nll_loss: label -1 is out of range: expected 0 to 6"),
    "labels of another batch": (
        lambda: ops.cross_entropy(ROWS, LABELS[:3]),
        "cross_entropy: expected target of shape (4,), got (3,)",
    ),
    "class weights": (lambda: ops.cross_entropy(ROWS, LABELS, f32(6)), "cross_entropy: expected weight of shape (7,), got (6,)"),
    "label smoothing": (
        lambda: ops.cross_entropy(ROWS, LABELS, label_smoothing=1.5),
        "cross_entropy: label_smoothing is 1.5, expected 0 to 1",
    ),
    "label smoothing below 0": (
        lambda: ops.cross_entropy(ROWS, LABELS, label_smoothing=-0.5),
        "cross_entropy: label_smoothing is -0.5, expected 0 to 1",
    ),
    "reduction": (
        lambda: ops.cross_entropy(ROWS, LABELS, reduction="avg"),
        "cross_entropy: reduction is 'avg', expected one of mean, sum, none",
    ),
    "loss reduction": (lambda: ops.mse_loss(ROWS, ROWS, reduction="avg"), "mse_loss: reduction is 'avg'"),
    "loss shapes": (lambda: ops.mse_loss(ROWS, f32(4, 1)), "mse_loss: expected target of shape (4, 7), got (4, 1)"),
    "loss dtypes": (lambda: ops.l1_loss(ROWS, np.zeros((4, 7))), "l1_loss: expected one floating-point dtype"),
    "smooth l1 beta": (
        lambda: ops.smooth_l1_loss(ROWS, ROWS, beta=-0.5),
        "smooth_l1_loss: beta is -0.5, expected a finite number of 0 or more",
    ),
    "bce target": (
        lambda: ops.binary_cross_entropy_with_logits(ROWS, f32(4)),
        "binary_cross_entropy_with_logits: expected target of shape (4, 7), got (4,)",
    ),
    "bce weight that repeats the input": (
        lambda: ops.binary_cross_entropy_with_logits(f32(3), f32(3), f32(3, 1)),
        "binary_cross_entropy_with_logits: expected weight of a shape that broadcasts to (3,), got (3, 1)",
    ),
    "bce pos_weight that repeats the input": (
        lambda: ops.binary_cross_entropy_with_logits(f32(3), f32(3), None, f32(3, 1)),
        "binary_cross_entropy_with_logits: expected pos_weight of a shape that broadcasts to (3,), got (3, 1)",
    ),
    "boolean labels": (
        lambda: ops.nll_loss(ROWS, np.ones(4, bool)),
        "nll_loss: target is bool, expected labels, whole numbers",
    ),
    "an ignored label among probabilities": (
        lambda: ops.cross_entropy(ROWS, ROWS, ignore_index=2),
        "cross_entropy: ignore_index is 2, expected a negative number where the target holds probabilities",
    ),
    "no first state": (
        lambda: ops.gru(f32(3, 2, 3), None, f32(12, 3), f32(12, 4)),
        "gru: expected h0 to be a NumPy array, got None",
    ),
    "flatten beyond the rank": (
        lambda: ops.flatten(X, 4),
        "flatten: start_dim is 4, expected -4 to 3 for an array of 4 axes",
    ),
    "softmax beyond the rank": (
        lambda: ops.softmax(ROWS, 2),
        "softmax: dim is 2, expected -2 to 1 for an array of 2 axes",
    ),
    "batch norm eps": (
        lambda: ops.batch_norm(ROWS, training=True, eps=0.0),
        "batch_norm: eps is 0, expected more than 0 when training",
    ),
    "eps below 0": (
        lambda: ops.layer_norm(ROWS, normalized_shape=(7,), eps=-1e-5),
        "layer_norm: eps is -1e-05, expected 0 or more",
    ),
    "dropout probability": (
        lambda: ops.dropout(ROWS, ROWS == 0, 1.5),
        "dropout: p is 1.5, expected a probability, 0 to 1",
    ),
    "ignored labels of no classes": (
        lambda: ops.cross_entropy(f32(5, 0), np.full(5, 3), ignore_index=3),
        "cross_entropy: expected at least one class, got 5 labels and an input without classes",
    ),
    "keys without heads": (
        lambda: ops.attention_weights(f32(3, 6, 4, 5), f32(3, 0, 7, 5), enable_gqa=True),
        "attention_weights: expected heads of query divisible by those of key",
    ),
    "dropout by numbers": (
        lambda: ops.dropout(ROWS, ROWS, 0.5),
        "dropout: keep is float32, expected bool (true: stays)",
    ),
    "an option of another kind": (
        lambda: ops.conv2d(X, f32(4, 5, 3, 3), groups=1.5),
        "conv2d: groups is 1.5, expected a whole number",
    ),
    "an option that is not a number": (
        lambda: layers.Dropout(float("nan")),
        "Dropout: p is nan, expected a number",
    ),
    "a truth value for a width": (
        lambda: layers.Linear(3, True),
        "Linear: out_features is True, expected a whole number",
    ),
    "grids": (
        lambda: ops.yolo_boxes(f32(2, 4, 7), (((2, 2), 1),)),
        "yolo_boxes: grids are (((2, 2), 1),), expected ((H, W), anchors) of each",
    ),
    "costs that are not finite": (
        lambda: ops.bipartite_matching(np.full((1, 2, 1), np.nan), np.ones((1, 1), bool)),
        "bipartite_matching: cost holds NaN or infinity where there is an object",
    ),
    "Linear width": (lambda: layers.Linear(0, 3), "Linear: expected positive widths, got in_features 0"),
    "Linear without outputs": (
        lambda: layers.Linear(3, 0),
        "Linear: expected positive widths, got in_features 3 and out_features 0",
    ),
    "Conv2d without channels": (lambda: layers.Conv2d(0, 4, 3), "Conv2d: expected positive channels that groups divides"),
    "Conv2d in no groups": (lambda: layers.Conv2d(5, 4, 3, groups=0), "Conv2d: expected positive channels that groups divides"),
    "Conv2d outputs": (lambda: layers.Conv2d(4, 5, 3, groups=2), "Conv2d: expected positive channels that groups divides"),
    "Conv2d of nothing": (lambda: layers.Conv2d(5, 4, 0), "Conv2d: kernel_size is 0, expected"),
    "Conv2d groups": (
        lambda: layers.Conv2d(5, 4, 3, groups=2),
        "Conv2d: expected positive channels that groups divides, got in_channels 5",
    ),
    "Conv2d kernel": (lambda: layers.Conv2d(5, 4, (3, 3, 3)), "Conv2d: kernel_size is (3, 3, 3)"),
    "BatchNorm width": (lambda: layers.BatchNorm2d(0), "BatchNorm2d: expected a positive num_features, got 0"),
    "BatchNorm1d of images": (
        lambda: layers.BatchNorm1d(5)(X),
        "BatchNorm1d: expected an input of 2 or 3 dimensions, got shape (3, 5, 8, 9)",
    ),
    "BatchNorm2d of rows": (
        lambda: layers.BatchNorm2d(7)(ROWS),
        "BatchNorm2d: expected an input of 4 dimensions, got shape (4, 7)",
    ),
    "Dropout probability": (lambda: layers.Dropout(1.5), "Dropout: p is 1.5, expected a probability, 0 to 1"),
    "Dropout below 0": (lambda: layers.Dropout(-0.5), "Dropout: p is -0.5, expected a probability, 0 to 1"),
    "MLP activation": (lambda: models.MLP(3, [4], 2, activation="relo"), "activation is 'relo', expected one of relu, leaky_relu"),
    "CNN image": (lambda: models.CNN(1, (3, 8), 10), "CNN: images of 3x8 are too small for 2 blocks, each of which halves them"),
    "CNN of another size": (
        lambda: models.CNN(5, (12, 12), 10)(X),
        "linear: expected x (..., in) and weight (out, in), got (3, 256)",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    call, message = BAD[what]
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        call()
    assert str(caught.value).startswith(message) or message in str(caught.value)
    assert "\n" not in str(caught.value)


TAKES_ANY_DTYPE = {"ops.flatten"}  # takes numbers of any dtype


@pytest.mark.parametrize("case", [c for c in CASES if c.scratch.startswith("ops.")], ids=lambda case: case.name)
def test_ops_refuse_integers_and_mixed_dtypes(case):
    op = partial(resolve(case.scratch, "scratch"), **case.config)
    inputs = case.inputs(Draw(0))
    floats = [name for name, array in inputs.items() if isinstance(array, np.ndarray) and array.dtype.kind == "f"]
    for name in floats if case.scratch not in TAKES_ANY_DTYPE else ():
        for wrong in [np.int64, np.float32] if len(floats) > 1 else [np.int64]:
            with pytest.raises(ValueError, match=f"^{case.scratch.removeprefix('ops.')}: .*expected"):
                op(*(inputs | {name: np.nan_to_num(inputs[name], posinf=0, neginf=0).astype(wrong)}).values())


def test_an_ignored_label_may_be_out_of_range():
    loss, backward = ops.cross_entropy(ROWS, np.array([0, -100, 2, -100]))
    assert np.isclose(loss, np.log(7))
    assert (backward(np.float32(1))[0][[1, 3]] == 0).all()


def test_a_mean_over_ignored_labels_is_nan_as_in_torch():
    loss, backward = ops.cross_entropy(ROWS, np.full(4, -100))
    assert np.isnan(loss)
    backward(np.float32(1))
