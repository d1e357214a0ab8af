"""A single number keeps its dtype; NumPy 1 widens it when it meets a Python number."""

from functools import partial

import numpy as np
import pytest

from scratch import ops

BOX, OTHER = [0, 0, 2, 2], [1, 1, 3, 4]
ELEMENTWISE = (ops.relu, ops.leaky_relu, ops.sigmoid, ops.tanh, ops.silu, ops.gelu, partial(ops.gelu, approximate="tanh"))
LOSSES = {  # a loss and its smallest possible inputs
    "mse": (ops.mse_loss, 2, 3),
    "l1": (ops.l1_loss, 2, 3),
    "smooth l1": (ops.smooth_l1_loss, 2, 3),
    "binary cross-entropy": (ops.binary_cross_entropy_with_logits, 2, 1, 3, 4),
    "focal": (ops.sigmoid_focal_loss, 2, 1),
    "boxes": (ops.generalized_box_iou_loss, BOX, OTHER),
    "probabilities": (ops.cross_entropy, [1, -1, 2], [0, 0.5, 0.5]),
}


def float32(x):
    return np.array(x, np.float32)


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_an_activation_keeps_the_dtype(op):
    y, backward = op(float32(2))
    assert y.dtype == backward(np.ones_like(y)).dtype == np.float32


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_keeps_the_dtype(name, reduction):
    loss, *inputs = LOSSES[name]
    y, backward = loss(*map(float32, inputs), reduction=reduction)
    assert y.dtype == np.float32
    assert {gradient.dtype for gradient in backward(np.ones_like(y)) if gradient is not None} == {np.dtype(np.float32)}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("op", [ops.cross_entropy, ops.nll_loss])
@pytest.mark.parametrize("rows", [0, 1])
def test_a_loss_with_labels_keeps_the_dtype(op, rows, reduction):
    y, backward = op(np.ones((rows, 3), np.float32), np.zeros(rows, int), reduction=reduction)
    assert y.dtype == backward(np.ones_like(y))[0].dtype == np.float32


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_an_empty_batch_of_probabilities_keeps_the_dtype(reduction):
    none = np.zeros((0, 3), np.float32)
    y, backward = ops.cross_entropy(none, none, reduction=reduction)
    assert {y.dtype, *(gradient.dtype for gradient in backward(np.ones_like(y))[:2])} == {np.dtype(np.float32)}
