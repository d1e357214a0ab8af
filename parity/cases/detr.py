"""DETR: its layers, the whole model on padded images, the loss over all layers, and the detections."""

from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import CLASSES, Inputs, centred_boxes, no_objects, padded_images, set_predictions
from parity.inputs import Draw
from scratch.module import Array

AFTER = ("set_prediction", "vit")
LAYERS = 3
B, Q, S, WIDTH, HEADS, INNER = 3, 7, 13, 15, 3, 11
PRESENT = (np.arange(S) < np.array([6, 13, 1])[:, None])[:, None, None]


def encoder_inputs(mask: Array | None) -> Inputs:
    """Return a draw of the inputs of an encoder layer."""
    return lambda draw: {"src": draw.normal(B, S, WIDTH), "positions": draw.normal(B, S, WIDTH), "src_mask": mask}


def decoder_inputs(mask: Array | None) -> Inputs:
    """Return a draw of the inputs of a decoder layer."""
    return lambda draw: {
        "tgt": draw.normal(B, Q, WIDTH),
        "memory": draw.normal(B, S, WIDTH),
        "tgt_positions": draw.normal(B, Q, WIDTH),
        "positions": draw.normal(B, S, WIDTH),
        "memory_mask": mask,
    }


def for_all_layers(inputs: Inputs) -> Inputs:
    """Return a draw of the predictions of several layers for the same objects."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        one, *others = (inputs(draw) for _ in range(LAYERS))
        return one | {name: np.stack([one[name], *(other[name] for other in others)]) for name in ("logits", "boxes")}

    return draw_inputs


def without_padding(*shape: int) -> Inputs:
    """Return a draw of images of one size, without a mask."""
    return lambda draw: {"images": draw.normal(*shape), "present": None}


def unequal(draw: Draw) -> dict[str, Any]:
    """Draw images of different sizes."""
    return {"images": [draw.normal(3, h, w) for h, w in ((5, 4), (2, 7), (4, 3))]}


def answers(draw: Draw) -> dict[str, Any]:
    """Draw the predictions of one layer."""
    return {"logits": draw.normal(B, Q, CLASSES + 1, scale=2), "boxes": centred_boxes(draw, B, Q)}


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
# Queries as large as at initialisation, and small residual branches: otherwise all queries become similar.
SCALES = {"queries": 4, "out_proj": 0.5, "linear2": 0.5}
UNEQUAL = (31, 46), (25, 30), (40, 19)
LARGER = (50, 70), (44, 51), (62, 33)  # batch statistics over few pixels are ill-conditioned

CASES = [
    ParityCase("pad_images", "ops.pad_images", unequal),
    ParityCase("detections", "ops.detections", answers),
    *(
        ParityCase(f"detr_loss{suffix}", "ops.detr_loss", inputs, config, constants=("target_boxes",))
        for suffix, inputs, config in (
            ("", for_all_layers(set_predictions), {}),
            ("-last-layer", for_all_layers(set_predictions), {"auxiliary": False}),
            ("-last-layer-weights", for_all_layers(set_predictions), {"auxiliary": False, "no_object": 0.3, "giou_weight": 0.5}),
            ("-weights", for_all_layers(set_predictions), {"no_object": 0.3, "box_weight": 0.25, "giou_weight": 0.5}),
            ("-no-objects", for_all_layers(no_objects), {}),
        )
    ),
    *(
        ParityCase(
            f"DETR{layer}{suffix}",
            f"layers.DETR{layer}",
            inputs(mask),
            {"d_model": WIDTH, "nhead": HEADS, "dim_feedforward": INNER, "dropout": dropout},
        )
        for layer, inputs in (("EncoderLayer", encoder_inputs), ("DecoderLayer", decoder_inputs))
        for suffix, mask, dropout in (("", None, 0.0), ("-padded", PRESENT, 0.0), ("-dropout", PRESENT, 0.3))
    ),
    *(
        ParityCase(f"DETR{layer}-default", f"layers.DETR{layer}", inputs(PRESENT), {"d_model": WIDTH, "nhead": HEADS})
        for layer, inputs in (("EncoderLayer", encoder_inputs), ("DecoderLayer", decoder_inputs))
    ),
    *(
        ParityCase(f"detr{suffix}", "models.DETR", inputs, SMALL | config, scales=SCALES)
        for suffix, inputs, config in (
            ("", padded_images(2, 40, 46, *UNEQUAL), {}),
            ("-trained-here", padded_images(2, 62, 70, *LARGER), {"frozen_norm": False, "dropout": 0.3}),
            ("-one-size", without_padding(3, 2, 33, 47), {"decoder_layers": 2}),
            (
                "-bottleneck",
                padded_images(1, 70, 99, (70, 99), (44, 51), (33, 80)),
                {"depth": 14, "width": 6, "in_channels": 1, "small_images": False},
            ),
            (
                "-one-layer",
                padded_images(2, 25, 33, (25, 33), (17, 30)),
                {"encoder_layers": 1, "decoder_layers": 1, "num_queries": 4},
            ),
        )
    ),
]
