"""Sets of predictions: positions in images, the matching with objects, and its loss."""

from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import IMAGES, OBJECTS, PRESENT, QUERIES, Inputs, centred_boxes, no_objects, set_predictions
from parity.inputs import Draw


def all_alike(draw: Draw) -> dict[str, Any]:
    """Draw queries with equal predictions and, in one image, equal objects: every assignment costs the same."""
    inputs = set_predictions(draw)
    for name in ("logits", "boxes"):
        inputs[name] = np.repeat(inputs[name][:, :1], QUERIES, axis=1)
    for name in ("labels", "target_boxes"):
        inputs[name][2] = inputs[name][2, :1]
    return inputs


def scattered(draw: Draw) -> dict[str, Any]:
    """Draw predictions and objects, with the padding before the objects."""
    inputs = set_predictions(draw)
    return inputs | {name: inputs[name][:, ::-1].copy() for name in ("labels", "target_boxes")}


def costs(draw: Draw) -> dict[str, Any]:
    """Draw costs and a mask of the objects; padding has its lowest cost at the best query of the first object."""
    cost = draw.normal(IMAGES, QUERIES, OBJECTS)
    return {"cost": np.where(PRESENT[:, None], cost, 8 * cost[:, :, :1]), "present": PRESENT}


def equal_costs(draw: Draw) -> dict[str, Any]:
    """Draw costs with many ties, for as many queries as objects."""
    return {"cost": draw.grid(IMAGES, OBJECTS, OBJECTS), "present": PRESENT}


def maps(*shape: int) -> Inputs:
    """Return a draw of feature maps, and of a mask by which all but the first are padded on the right and below."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        B, _, H, W = shape
        heights, widths = (np.linspace(n, n // 2, B).astype(int)[:, None] for n in (H, W))
        present = (np.arange(H) < heights)[:, :, None] & (np.arange(W) < widths)[:, None]
        return {"x": draw.normal(*shape), "present": present}

    return draw_inputs


FORMS: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("", (3, 12, 7, 9), {}),
    ("-counted", (3, 10, 7, 9), {"normalize": False}),
    ("-base", (3, 14, 5, 8), {"base": 100.0}),
    ("-counted-base", (1, 14, 5, 8), {"base": 100.0, "normalize": False}),
]
CASES = [
    *(
        ParityCase(
            f"sinusoidal_positions_2d{suffix}",
            "ops.sinusoidal_positions_2d",
            maps(*shape),
            config,
        )
        for suffix, shape, config in FORMS
    ),
    *(
        ParityCase(f"SinusoidalPositions2d{suffix}", "layers.SinusoidalPositions2d", maps(*shape), config)
        for suffix, shape, config in FORMS
    ),
    ParityCase("matching_cost", "ops.matching_cost", set_predictions),
    ParityCase("matching_cost-weights", "ops.matching_cost", scattered, {"box_weight": 1.5, "giou_weight": 0.7}),
    ParityCase("bipartite_matching", "ops.bipartite_matching", costs),
    ParityCase("bipartite_matching-ties", "ops.bipartite_matching", equal_costs),
    *(
        ParityCase(f"set_loss{suffix}", "ops.set_loss", inputs, config, constants=("target_boxes",))
        for suffix, inputs, config in (
            ("", set_predictions, {}),
            ("-weights", scattered, {"no_object": 0.3, "box_weight": 0.25, "giou_weight": 0.5}),
            ("-ties", all_alike, {}),
            ("-no-objects", no_objects, {}),
        )
    ),
]


def set_of(images: int, queries: int, classes: int, objects: int) -> Inputs:
    """Return a draw of predictions for so many queries; the first object of each image has label 0, one image has no other."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        labels = draw.integers(0, classes, images, objects)
        labels[:, 0] = 0
        labels[-1, 1:] = -1
        return {
            "logits": draw.normal(images, queries, classes + 1, scale=2),
            "boxes": centred_boxes(draw, images, queries),
            "labels": labels,
            "target_boxes": centred_boxes(draw, images, objects),
        }

    return draw_inputs


def costs_of(images: int, queries: int, objects: int) -> Inputs:
    """Return a draw of costs; the last image has a single object, which is not the first."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        present = np.ones((images, objects), bool)
        present[-1] = np.arange(objects) == objects - 1
        return {"cost": draw.normal(images, queries, objects), "present": present}

    return draw_inputs


CASES += [
    case
    for size, shape in (("batch-of-one", (1, 4, 5, 3)), ("square", (18, 2, 7, 18)))
    for case in (
        ParityCase(f"sinusoidal_positions_2d-{size}", "ops.sinusoidal_positions_2d", maps(*shape)),
        ParityCase(f"SinusoidalPositions2d-{size}", "layers.SinusoidalPositions2d", maps(*shape)),
    )
]
CASES += [
    case
    for size, inputs, cost in (
        ("batch-of-one", set_of(1, 3, 4, 2), costs_of(1, 5, 3)),
        ("square", set_of(18, 13, 17, 5), costs_of(17, 18, 17)),
    )
    for case in (
        ParityCase(f"matching_cost-{size}", "ops.matching_cost", inputs),
        ParityCase(f"bipartite_matching-{size}", "ops.bipartite_matching", cost),
        ParityCase(f"set_loss-{size}", "ops.set_loss", inputs, constants=("target_boxes",)),
    )
]
