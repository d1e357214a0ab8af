"""DETR: its layers, the whole model on padded images, the loss of all its layers, and what it has found."""

from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.cases.convolutional import Inputs
from parity.cases.set_prediction import CLASSES, boxes, nothing, predictions
from parity.inputs import Draw
from scratch.module import Array

LAYERS = 3
B, Q, S, WIDTH, HEADS, INNER = 3, 7, 13, 15, 3, 11
THERE = (np.arange(S) < np.array([6, 13, 1])[:, None])[:, None, None]


def placed(mask: Array | None) -> Inputs:
    """What an encoder layer takes."""
    return lambda draw: {"src": draw.normal(B, S, WIDTH), "positions": draw.normal(B, S, WIDTH), "src_mask": mask}


def looking(mask: Array | None) -> Inputs:
    """What a decoder layer takes."""
    return lambda draw: {
        "tgt": draw.normal(B, Q, WIDTH),
        "memory": draw.normal(B, S, WIDTH),
        "tgt_positions": draw.normal(B, Q, WIDTH),
        "positions": draw.normal(B, S, WIDTH),
        "memory_mask": mask,
    }


def of_layers(inputs: Inputs) -> Inputs:
    """Predictions of several layers for the same objects."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        one, *others = (inputs(draw) for _ in range(LAYERS))
        return one | {name: np.stack([one[name], *(other[name] for other in others)]) for name in ("logits", "boxes")}

    return draw_inputs


def padded(channels: int, H: int, W: int, *sizes: tuple[int, int]) -> Inputs:
    """Images, of these heights and widths, padded to the right and below.

    With numbers: of so many zeros, torch's batch norm sums the squares in float64 one by one, always rounded the same way.
    """
    present = np.stack([(np.arange(H) < h)[:, None] & (np.arange(W) < w) for h, w in sizes])
    return lambda draw: {"images": draw.normal(len(sizes), channels, H, W), "present": present}


def without_padding(*shape: int) -> Inputs:
    """Images of one size."""
    return lambda draw: {"images": draw.normal(*shape), "present": None}


def unequal(draw: Draw) -> dict[str, Any]:
    """Images of unequal sizes."""
    return {"images": [draw.normal(3, h, w) for h, w in ((5, 4), (2, 7), (4, 3))]}


def answers(draw: Draw) -> dict[str, Any]:
    """What one layer predicts."""
    return {"logits": draw.normal(B, Q, CLASSES + 1, scale=2), "boxes": boxes(draw, B, Q)}


SMALL: dict[str, Any] = {
    "classes": 5,
    "depth": 10,
    "width": 3,
    "d_model": 14,
    "nhead": 2,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "dim_feedforward": 11,
    "dropout": 0.0,
    "num_queries": 5,
    "in_channels": 2,
    "small_images": True,
}
# Queries of the size that training starts from, and parts that add less than what goes past them, or all queries grow alike.
SCALES = {"queries": 4, "out_proj": 0.5, "linear2": 0.5}
UNEQUAL = (31, 46), (25, 30), (40, 19)
LARGER = (50, 70), (44, 51), (62, 33)  # of few pixels, a batch's own statistics are of poor condition

CASES = [
    ParityCase("pad_images", "ops.pad_images", "functional.pad_images", unequal),
    ParityCase("detections", "ops.detections", "matching.detections", answers),
    *(
        ParityCase(f"detr_loss{suffix}", "ops.detr_loss", "matching.detr_loss", inputs, config, constants=("target_boxes",))
        for suffix, inputs, config in (
            ("", of_layers(predictions), {}),
            ("-last-layer", of_layers(predictions), {"auxiliary": False}),
            ("-weights", of_layers(predictions), {"no_object": 0.3, "box_weight": 0.25, "giou_weight": 0.5}),
            ("-no-objects", of_layers(nothing), {}),
        )
    ),
    *(
        ParityCase(
            f"DETR{layer}{suffix}",
            f"layers.DETR{layer}",
            f"layers.DETR{layer}",
            inputs(mask),
            {"d_model": WIDTH, "nhead": HEADS, "dim_feedforward": INNER, "dropout": dropout},
        )
        for layer, inputs in (("EncoderLayer", placed), ("DecoderLayer", looking))
        for suffix, mask, dropout in (("", None, 0.0), ("-padded", THERE, 0.0), ("-dropout", THERE, 0.3))
    ),
    *(
        ParityCase(f"detr{suffix}", "models.DETR", "models.DETR", inputs, SMALL | config, scales=SCALES)
        for suffix, inputs, config in (
            ("", padded(2, 40, 46, *UNEQUAL), {}),
            ("-trained-here", padded(2, 62, 70, *LARGER), {"frozen_norm": False, "dropout": 0.3}),
            ("-one-size", without_padding(3, 2, 33, 47), {"decoder_layers": 2}),
            (
                "-bottleneck",
                padded(1, 70, 99, (70, 99), (44, 51), (33, 80)),
                {"depth": 14, "width": 6, "in_channels": 1, "small_images": False},
            ),
            ("-one-layer", padded(2, 25, 33, (25, 33), (17, 30)), {"encoder_layers": 1, "decoder_layers": 1, "num_queries": 4}),
        )
    ),
]
