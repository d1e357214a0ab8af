"""Pure functions: each returns its value and its backward.

    y, backward = conv2d(x, weight, bias, stride=2, padding=1)
    dx, dweight, dbias = backward(dy)

A backward may be called once. It returns one gradient for each array input, or the gradient itself where there is one array
input. An input without a gradient, such as integers or an array that was not given, has None. Backwards of ops with
parameters also take `needs`, a bool for each input: no work is done for inputs that are False.

Docstrings give the formula of the value and of the backward. There, dx is the gradient of x, dy the upstream gradient, and Σ
a sum over all axes along which the input was repeated; products of arrays of one shape are elementwise.

Every op is decorated with `op` of scratch.contract: an input that is not a plain array, or an upstream gradient whose shape or
dtype is not that of the value, is a ValueError in one line. Machinery lies in scratch.fast; `definitions` has each op that
uses it as its paper writes it.
"""

from scratch.ops.activation import leaky_relu, relu, sigmoid, silu, tanh
from scratch.ops.additive_attention import additive_attention
from scratch.ops.anchor_matching import anchor_matching
from scratch.ops.attention import attention_weights, scaled_dot_product_attention
from scratch.ops.boxes import box_area, box_convert, box_iou, generalized_box_iou
from scratch.ops.conv import conv2d
from scratch.ops.conv_transpose import conv_transpose2d
from scratch.ops.cross_entropy import cross_entropy
from scratch.ops.detections import detections
from scratch.ops.detr_loss import detr_loss
from scratch.ops.dice_loss import dice_loss
from scratch.ops.dropout import dropout
from scratch.ops.embedding import embedding
from scratch.ops.flatten import flatten
from scratch.ops.gelu import gelu
from scratch.ops.group_norm import group_norm
from scratch.ops.gru import gru
from scratch.ops.interpolate import interpolate
from scratch.ops.interpolate_positions import interpolate_positions
from scratch.ops.layer_norm import layer_norm
from scratch.ops.linear import linear
from scratch.ops.loss import (
    binary_cross_entropy_with_logits,
    generalized_box_iou_loss,
    l1_loss,
    mse_loss,
    sigmoid_focal_loss,
    smooth_l1_loss,
)
from scratch.ops.lstm import lstm
from scratch.ops.masked_pool import masked_max, masked_mean
from scratch.ops.masks import causal_mask, padding_mask
from scratch.ops.matching import bipartite_matching, matching_cost
from scratch.ops.nll_loss import nll_loss
from scratch.ops.nms import nms
from scratch.ops.norm import batch_norm, frozen_batch_norm
from scratch.ops.pad_images import pad_images
from scratch.ops.pool import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from scratch.ops.relative_position import relative_position_bucket
from scratch.ops.rms_norm import rms_norm
from scratch.ops.rnn import rnn
from scratch.ops.rotary import rotary
from scratch.ops.set_loss import set_loss
from scratch.ops.sinusoidal_positions import sinusoidal_positions
from scratch.ops.sinusoidal_positions_2d import sinusoidal_positions_2d
from scratch.ops.softmax import log_softmax, softmax
from scratch.ops.yolo_boxes import yolo_boxes, yolo_detections
from scratch.ops.yolo_loss import yolo_loss

__all__ = [
    "adaptive_avg_pool2d",
    "additive_attention",
    "anchor_matching",
    "attention_weights",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "bipartite_matching",
    "box_area",
    "box_convert",
    "box_iou",
    "causal_mask",
    "conv2d",
    "conv_transpose2d",
    "cross_entropy",
    "detections",
    "detr_loss",
    "dice_loss",
    "dropout",
    "embedding",
    "flatten",
    "frozen_batch_norm",
    "gelu",
    "generalized_box_iou",
    "generalized_box_iou_loss",
    "group_norm",
    "gru",
    "interpolate",
    "interpolate_positions",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "lstm",
    "masked_max",
    "masked_mean",
    "matching_cost",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "nms",
    "pad_images",
    "padding_mask",
    "relative_position_bucket",
    "relu",
    "rms_norm",
    "rnn",
    "rotary",
    "scaled_dot_product_attention",
    "set_loss",
    "sigmoid",
    "sigmoid_focal_loss",
    "silu",
    "sinusoidal_positions",
    "sinusoidal_positions_2d",
    "smooth_l1_loss",
    "softmax",
    "tanh",
    "yolo_boxes",
    "yolo_detections",
    "yolo_loss",
]
