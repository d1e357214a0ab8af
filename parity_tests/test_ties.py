"""Gradients at kinks: both twins give the gradient listed here, with every version of torch."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import reference.ops
from reference.ops.yolo_boxes import LARGEST
from scratch import ops

GRID = [((1, 1), [(1.0, 1.0)])]  # one cell with one anchor that has the cell's size
LARGEST_EXPONENT = np.float32(LARGEST)
STEPS = np.array([2])
SQUARE, BESIDE, TWICE = [[0, 0, 2, 2]], [[2, 0, 4, 2]], [[0, 0, 4, 2]]

# function of scratch, its twin, the inputs, and the gradient of the first input for an upstream gradient of 1
KINKS = {
    "relu at 0": (ops.relu, F.relu, [[0]], [0]),
    "leaky relu at 0": (partial(ops.leaky_relu, negative_slope=0.5), partial(F.leaky_relu, negative_slope=0.5), [[0]], [0.5]),
    "l1 loss of equals": (ops.l1_loss, F.l1_loss, [[3], [3]], [0]),
    "equal maxima of a window": (
        partial(ops.max_pool2d, kernel_size=2),
        partial(F.max_pool2d, kernel_size=2),
        [[[[7, 7], [7, 7]]]],
        [[[1, 0], [0, 0]]],
    ),
    "equal maxima of steps": (
        partial(ops.masked_max, lengths=STEPS),
        partial(reference.ops.masked_max, lengths=torch.from_numpy(STEPS)),
        [[[[7], [7]]]],
        [[[1], [0]]],
    ),
    "boxes that touch": (ops.box_iou, reference.ops.box_iou, [SQUARE, BESIDE], [[0, 0, 0.25, 0]]),
    "corners that are equal": (ops.box_iou, reference.ops.box_iou, [SQUARE, TWICE], [[-0.0625, -0.0625, 0.25, 0.0625]]),
    "exponent at its limit": (
        partial(ops.yolo_boxes, grids=GRID),
        partial(reference.ops.yolo_boxes, grids=GRID),
        [[[[0, 0, LARGEST_EXPONENT, 0, 0, 0]]]],
        [[[0.25, 0.25, 62.5, 1, 0, 0]]],
    ),
}


@pytest.mark.parametrize("what", KINKS)
def test_twins_agree_on_the_gradient_at_a_kink(what):
    ours, theirs, inputs, expected = KINKS[what]
    arrays = [np.array(x, np.float32) for x in inputs]
    y, backward = ours(*arrays)
    gradient = backward(np.ones_like(y))
    np.testing.assert_allclose(gradient[0] if isinstance(gradient, tuple) else gradient, expected, rtol=1e-5)

    tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    theirs(*tensors).sum().backward()
    np.testing.assert_allclose(tensors[0].grad, expected, rtol=1e-5, err_msg=f"torch {torch.__version__} has another gradient here")
