"""Functions in the form of scratch.ops that torch lacks, or whose arguments it takes differently.

Those that are decorated with wrap_torch_function can be overridden by a TorchFunctionMode, as torch's own functions can.
"""

from reference.ops.additive_attention import additive_attention
from reference.ops.anchor_matching import anchor_matching
from reference.ops.attention import attention_weights, scaled_dot_product_attention
from reference.ops.boxes import box_area, box_convert, box_iou, generalized_box_iou
from reference.ops.detections import detections
from reference.ops.detr_loss import detr_loss
from reference.ops.dice_loss import dice_loss
from reference.ops.dropout import dropout
from reference.ops.group_norm import group_norm
from reference.ops.gru import gru
from reference.ops.interpolate_positions import interpolate_positions
from reference.ops.layer_norm import layer_norm
from reference.ops.loss import binary_cross_entropy_with_logits, generalized_box_iou_loss, sigmoid_focal_loss
from reference.ops.lstm import lstm
from reference.ops.masked_pool import masked_max, masked_mean
from reference.ops.masks import causal_mask, padding_mask
from reference.ops.matching import bipartite_matching, matching_cost
from reference.ops.nms import nms
from reference.ops.norm import batch_norm, frozen_batch_norm
from reference.ops.pad_images import pad_images
from reference.ops.relative_position import relative_position_bucket
from reference.ops.rms_norm import rms_norm
from reference.ops.rnn import rnn
from reference.ops.rotary import rotary
from reference.ops.set_loss import set_loss
from reference.ops.sinusoidal_positions import sinusoidal_positions
from reference.ops.sinusoidal_positions_2d import sinusoidal_positions_2d
from reference.ops.yolo_boxes import yolo_boxes, yolo_detections
from reference.ops.yolo_loss import yolo_loss

__all__ = [
    "additive_attention",
    "anchor_matching",
    "attention_weights",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "bipartite_matching",
    "box_area",
    "box_convert",
    "box_iou",
    "causal_mask",
    "detections",
    "detr_loss",
    "dice_loss",
    "dropout",
    "frozen_batch_norm",
    "generalized_box_iou",
    "generalized_box_iou_loss",
    "group_norm",
    "gru",
    "interpolate_positions",
    "layer_norm",
    "lstm",
    "masked_max",
    "masked_mean",
    "matching_cost",
    "nms",
    "pad_images",
    "padding_mask",
    "relative_position_bucket",
    "rms_norm",
    "rnn",
    "rotary",
    "scaled_dot_product_attention",
    "set_loss",
    "sigmoid_focal_loss",
    "sinusoidal_positions",
    "sinusoidal_positions_2d",
    "yolo_boxes",
    "yolo_detections",
    "yolo_loss",
]
