"""A grid detector: its boxes, the assignment of objects, the loss, the detections, and YOLO itself."""

from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import Inputs, centred_boxes, normal
from parity.inputs import Draw, float32_representable
from scratch.module import Array
from scratch.ops.yolo_boxes import LARGEST

CLASSES = 4
GRIDS = (((3, 5), ((1.5, 1.0), (1.25, 1.25))), ((6, 10), ((1.0, 2.5), (2.0, 1.0), (0.5, 0.625))))
EVEN_GRIDS = (((4, 8), ((2.0, 1.0), (1.0, 1.0))), ((8, 16), ((4.0, 2.0), (2.0, 2.0))))  # each shape occurs twice
B, N = 4, 5
PRESENT = np.arange(N) < np.array([[3], [0], [5], [1]])  # the second image has no object


def predictions(draw: Draw, grids: Any) -> Array:
    """Draw a prediction for each cell and anchor: most boxes are like the anchors, some sides would overflow."""
    P = sum(H * W * len(anchors) for (H, W), anchors in grids)
    predicted = draw.normal(B, P, 5 + CLASSES, scale=0.75)
    predicted[..., :4] *= 0.5
    predicted[:, ::13, 2:4] *= 400
    return predicted


def predictions_alone(grids: Any) -> Inputs:
    """Return a draw of predictions."""
    return lambda draw: {"predictions": predictions(draw, grids)}


def confident(grids: Any) -> Inputs:
    """Return a draw of predictions: some neighbours have high scores, too different for roundings to change their order."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        predicted = predictions(draw, grids)
        predicted[..., 4] = -6
        predicted[:, 24:36, 4] = 1
        spread = np.tile(np.linspace(-3, 3, 12 * CLASSES), (B, 1))
        predicted[:, 24:36, 5:] = float32_representable(draw.rng.permuted(spread, axis=1).reshape(B, 12, CLASSES))
        return {"predictions": predicted}

    return draw_inputs


def equally_confident(draw: Draw) -> dict[str, Any]:
    """Draw predictions with many equal scores."""
    predicted = confident(GRIDS)(draw)["predictions"]
    predicted[:, 24:36, 5:] = draw.grid(B, 12, CLASSES)
    return {"predictions": predicted}


def objects(grids: Any) -> Inputs:
    """Return a draw of labels and boxes: a different number for each image, each box like some anchor, nonsense as padding."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        found = np.full((B, N, 4), -7.0)
        for image, n in np.argwhere(PRESENT):
            (H, W), anchors = grids[draw.rng.integers(len(grids))]
            corner, anchor = draw.rng.integers((W, H)), anchors[draw.rng.integers(len(anchors))]
            centre, sides = corner + draw.rng.uniform(0.3, 0.7, 2), anchor * draw.rng.uniform(0.8, 1.25, 2)
            found[image, n] = np.concatenate([centre, sides]) / (W, H, W, H)
        labels = np.where(PRESENT, draw.integers(0, CLASSES, B, N), -1)
        return {"labels": labels, "boxes": float32_representable(found)}

    return draw_inputs


def equal_objects(draw: Draw) -> dict[str, Any]:
    """Draw objects in one cell, several with the shape of two anchors; in two images they outnumber the cell's anchors."""
    centres = np.repeat(draw.rng.uniform(0.1, 0.9, (B, 1, 2)), N + 1, axis=1)
    sides = np.array([[0.25, 0.25], [0.125, 0.25], [0.125, 0.125], [0.125, 0.25], [0.25, 0.25], [0.25, 0.25]])
    labels = draw.integers(0, CLASSES, B, N + 1)
    labels[0, 1] = labels[3] = -1
    return {"labels": labels, "boxes": float32_representable(np.concatenate([centres, np.tile(sides, (B, 1, 1))], axis=2))}


def on_borders(draw: Draw) -> dict[str, Any]:
    """Draw objects whose centres lie on the borders of cells and of the image."""
    centres = np.array([(x, y) for y in (0, 0.25, 0.5, 1) for x in (0, 0.125, 0.25, 0.5, 0.875, 1)])
    sides = draw.rng.uniform(0.05, 0.4, (len(centres), 2))
    found = float32_representable(np.concatenate([centres, sides], axis=1)).reshape(B, -1, 4)
    return {"labels": draw.integers(0, CLASSES, *found.shape[:2]), "boxes": found}


def at_edges(draw: Draw) -> dict[str, Any]:
    """Draw objects, some with centres on the edges and in the corners of the image; padding comes first."""
    found = centred_boxes(draw, B, N)
    found[1, :, :2] = [[0, 0], [1, 0], [0, 0.625], [1, 0.625], [0.625, 0]]
    return {"labels": np.where(PRESENT[::-1, ::-1], draw.integers(0, CLASSES, B, N), -1), "boxes": found}


def nothing(draw: Draw) -> dict[str, Any]:
    """Draw no objects for any image."""
    return {"labels": np.full((B, N), -1), "boxes": np.zeros((B, N, 4))}


def with_predictions(draw_objects: Inputs, grids: Any) -> Inputs:
    """Return a draw of predictions and objects."""
    return lambda draw: {"predictions": predictions(draw, grids), **draw_objects(draw)}


OBJECTS: list[tuple[str, Any, Any]] = [
    ("", objects(GRIDS), GRIDS),
    ("-ties", equal_objects, EVEN_GRIDS),
    ("-edges", at_edges, GRIDS),
    ("-no-objects", nothing, GRIDS),
]
OPS = [
    *(
        ParityCase(f"yolo_boxes{suffix}", "ops.yolo_boxes", predictions_alone(grids), {"grids": grids})
        for suffix, grids in (("", GRIDS), ("-even", EVEN_GRIDS), ("-one-grid", GRIDS[1:]))
    ),
    *(
        ParityCase(f"anchor_matching{suffix}", "ops.anchor_matching", inputs, {"grids": grids})
        for suffix, inputs, grids in (*OBJECTS, ("-borders", on_borders, EVEN_GRIDS))
    ),
    *(
        ParityCase(
            f"yolo_loss{suffix}",
            "ops.yolo_loss",
            with_predictions(inputs, grids),
            {"grids": grids, **config},
            constants=("boxes",),
        )
        for suffix, inputs, grids, config in (
            *((*row, {}) for row in OBJECTS),
            ("-weights", objects(EVEN_GRIDS), EVEN_GRIDS, {"ignore_above": 0.25, "no_object": 0.125, "box_weight": 1.5}),
        )
    ),
    *(
        ParityCase(f"yolo_detections{suffix}", "ops.yolo_detections", inputs, {"grids": grids, **config})
        for suffix, inputs, grids, config in (
            ("", confident(GRIDS), GRIDS, {}),
            ("-ties", equally_confident, GRIDS, {}),
            ("-few", confident(EVEN_GRIDS), EVEN_GRIDS, {"score_threshold": 0.3, "iou_threshold": 0.25}),
        )
    ),
]

ANCHORS = (((9, 6), (4, 8)), ((5, 3), (2, 4), (3, 3)))
MODELS = [
    ParityCase(
        f"yolo{suffix}",
        "models.YOLO",
        normal(3, *size),
        {"in_channels": 2, "classes": 3, "anchors": ANCHORS, "width": 2, "blocks": (1, 1)} | config,
    )
    for suffix, size, config in (
        ("", (2, 12, 20), {}),
        ("-deep", (1, 24, 16), {"blocks": (0, 2, 1), "in_channels": 1, "width": 5}),
        ("-plain", (2, 20, 12), {"blocks": (0, 0), "width": 3}),
        ("-square", (2, 16, 16), {"anchors": (ANCHORS[0], ANCHORS[1][:1]), "width": 3}),
    )
]

CASES = [*OPS, *MODELS]


def so_many(images: int, grids: Any, classes: int) -> Inputs:
    """Return a draw of predictions for each cell and anchor of so many images."""
    P = sum(H * W * len(anchors) for (H, W), anchors in grids)
    return lambda draw: {"predictions": draw.normal(images, P, 5 + classes, scale=0.75)}


def near_the_largest_side(draw: Draw) -> dict[str, Any]:
    """Draw predictions of sides at distances of 2^0 to 2^-16 from the largest, on both sides."""
    predicted = so_many(1, ONE_GRID, 1)(draw)["predictions"]
    steps = 2.0 ** -np.arange(17)
    sides = float32_representable(LARGEST + np.concatenate([steps, -steps]))
    predicted[0, : len(sides), 2:4] = np.stack([sides, sides[::-1]], axis=1)
    return {"predictions": predicted}


def so_many_objects(images: int, objects: int, classes: int) -> Inputs:
    """Return a draw of labels and boxes; the first object of each image has label 0, and after 9 objects comes padding."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        labels = draw.integers(0, classes, images, objects)
        labels[:, 0], labels[:, 9:] = 0, -1
        return {"labels": labels, "boxes": centred_boxes(draw, images, objects)}

    return draw_inputs


def with_objects(images: int, grids: Any, classes: int) -> Inputs:
    """Return a draw of predictions for so many images, each with two objects."""
    return lambda draw: so_many(images, grids, classes)(draw) | so_many_objects(images, 2, classes)(draw)


ONE_GRID = (((5, 7), ((1.5, 1.0),)),)
FEW_CELLS = (((1, 3), ((1.5, 1.0), (1.0, 2.0))),)
YOLO_SIZES: list[tuple[str, int, Any, int]] = [
    ("batch-of-one", 1, FEW_CELLS, 2),
    ("batch-of-one-odd", 1, ONE_GRID, 4),
    ("square", 18, ONE_GRID, 13),
]
CASES += [
    ParityCase("yolo_boxes-largest-side", "ops.yolo_boxes", near_the_largest_side, {"grids": ONE_GRID}),
    ParityCase("anchor_matching-batch-of-one", "ops.anchor_matching", so_many_objects(1, 3, 2), {"grids": FEW_CELLS}),
    ParityCase("anchor_matching-large", "ops.anchor_matching", so_many_objects(4, 257, 5), {"grids": EVEN_GRIDS}),
]
CASES += [
    case
    for size, images, grids, classes in YOLO_SIZES
    for case in (
        ParityCase(f"yolo_boxes-{size}", "ops.yolo_boxes", so_many(images, grids, classes), {"grids": grids}),
        ParityCase(
            f"yolo_loss-{size}", "ops.yolo_loss", with_objects(images, grids, classes), {"grids": grids}, constants=("boxes",)
        ),
        ParityCase(
            f"yolo_detections-{size}",
            "ops.yolo_detections",
            so_many(images, grids, classes),
            {"grids": grids, "score_threshold": 0.6},
        ),
    )
]
CASES += [
    ParityCase(
        "yolo-batch-of-one",
        "models.YOLO",
        normal(1, 3, 16, 12),
        {"in_channels": 3, "classes": 2, "anchors": ANCHORS, "width": 2, "blocks": (1, 1)},
        training=False,
    ),
]
