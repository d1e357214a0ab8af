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


def of_layer(batch: int, queries: int, width: int, memory: int = 0) -> Inputs:
    """Return a draw of the inputs of an encoder layer, or of a decoder layer where a memory of so many steps is given."""
    lengths = {"tgt": queries, "memory": memory, "tgt_positions": queries, "positions": memory}
    lengths = lengths if memory else {"src": queries, "positions": queries}
    mask = "memory_mask" if memory else "src_mask"
    return lambda draw: {name: draw.normal(batch, length, width) for name, length in lengths.items()} | {mask: None}


def answers_of(images: int, queries: int, classes: int) -> Inputs:
    """Return a draw of the predictions of one layer for so many queries."""
    return lambda draw: {
        "logits": draw.normal(images, queries, classes + 1, scale=2),
        "boxes": centred_boxes(draw, images, queries),
    }


def set_of(layers: int, images: int, queries: int, classes: int, objects: int) -> Inputs:
    """Return a draw of the predictions of so many layers; the first object of each image has label 0, one image has no other."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        labels = draw.integers(0, classes, images, objects)
        labels[:, 0] = 0
        labels[-1, 1:] = -1
        return {
            "logits": draw.normal(layers, images, queries, classes + 1, scale=2),
            "boxes": centred_boxes(draw, layers, images, queries),
            "labels": labels,
            "target_boxes": centred_boxes(draw, images, objects),
        }

    return draw_inputs


CASES += [
    ParityCase("pad_images-batch-of-one", "ops.pad_images", lambda draw: {"images": [draw.normal(1, 3, 5)]}),
    ParityCase("pad_images-square", "ops.pad_images", lambda draw: {"images": [draw.normal(17, 15, 17), draw.normal(17, 16, 3)]}),
    ParityCase("detections-batch-of-one", "ops.detections", answers_of(1, 4, 5)),
    ParityCase("detections-square", "ops.detections", answers_of(18, 13, 17)),
    ParityCase("detr_loss-layer-of-one", "ops.detr_loss", set_of(1, 1, 3, 4, 2), constants=("target_boxes",)),
    ParityCase("detr_loss-square", "ops.detr_loss", set_of(18, 1, 13, 17, 3), constants=("target_boxes",)),
]
CASES += [
    ParityCase(
        f"DETR{layer}Layer-{size}",
        f"layers.DETR{layer}Layer",
        of_layer(*shape, memory=memory),
        {"d_model": shape[-1], "nhead": HEADS, "dim_feedforward": INNER, "dropout": dropout},
    )
    for layer, memory in (("Encoder", 0), ("Decoder", 5))
    for size, shape, dropout in (("batch-of-one", (1, 4, 6), 0.1), ("square", (18, 13, 18), 0.0))
]
CASES += [
    ParityCase(
        "detr-batch-of-one",
        "models.DETR",
        without_padding(1, 2, 19, 26),
        {name: value for name, value in SMALL.items() if name != "dropout"} | {"encoder_layers": 1, "decoder_layers": 1},
        scales=SCALES,
    ),
]
