"""Sets of boxes: positions in images, matching, and the loss of what is matched."""

from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.inputs import Draw, float32_representable
from scratch.module import Array

B, Q, N, CLASSES = 4, 11, 5, 6
THERE = np.arange(N) < np.array([[3], [0], [5], [1]])  # an image without any object among them


def boxes(draw: Draw, *shape: int) -> Array:
    """Boxes (..., 4) as DETR has them: centre, width and height as shares of the image."""
    sides = draw.rng.uniform(0.05, 0.4, (*shape, 2))
    return float32_representable(np.concatenate([draw.rng.uniform(0.2, 0.8, (*shape, 2)), sides], axis=-1))


def predictions(draw: Draw) -> dict[str, Any]:
    """What is predicted, and objects of which images have as many as they happen to have."""
    return {
        "logits": draw.normal(B, Q, CLASSES + 1, scale=2),
        "boxes": boxes(draw, B, Q),
        "labels": np.where(THERE, draw.integers(0, CLASSES, B, N), -1),
        "target_boxes": np.where(THERE[:, :, None], boxes(draw, B, N), 0),
    }


def all_alike(draw: Draw) -> dict[str, Any]:
    """Queries that predict the same, and in one image the same object again and again: every assignment costs the same."""
    inputs = predictions(draw)
    for name in ("logits", "boxes"):
        inputs[name] = np.repeat(inputs[name][:, :1], Q, axis=1)
    for name in ("labels", "target_boxes"):
        inputs[name][2] = inputs[name][2, :1]
    return inputs


def scattered(draw: Draw) -> dict[str, Any]:
    """Objects that do not come first in their rows."""
    inputs = predictions(draw)
    return inputs | {name: inputs[name][:, ::-1].copy() for name in ("labels", "target_boxes")}


def nothing(draw: Draw) -> dict[str, Any]:
    """Images without any object."""
    inputs = predictions(draw)
    return inputs | {"labels": np.full((B, N), -1), "target_boxes": np.zeros((B, N, 4))}


def costs(draw: Draw) -> dict[str, Any]:
    """Costs, and which of the objects there are; the others want the query that is best for the first."""
    cost = draw.normal(B, Q, N)
    return {"cost": np.where(THERE[:, None], cost, 8 * cost[:, :, :1]), "present": THERE}


def equal_costs(draw: Draw) -> dict[str, Any]:
    """Costs many of which are equal, and as many objects as queries."""
    return {"cost": draw.grid(B, N, N), "present": THERE}


def maps(*shape: int) -> Any:
    """Feature maps, of which those of smaller images are padded to the right and below."""

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
]
CASES = [
    *(
        ParityCase(
            f"sinusoidal_positions_2d{suffix}",
            "ops.sinusoidal_positions_2d",
            "positions.sinusoidal_positions_2d",
            maps(*shape),
            config,
        )
        for suffix, shape, config in FORMS
    ),
    *(
        ParityCase(
            f"SinusoidalPositions2d{suffix}", "layers.SinusoidalPositions2d", "layers.SinusoidalPositions2d", maps(*shape), config
        )
        for suffix, shape, config in FORMS[:2]
    ),
    ParityCase("matching_cost", "ops.matching_cost", "matching.matching_cost", predictions),
    ParityCase(
        "matching_cost-weights", "ops.matching_cost", "matching.matching_cost", scattered, {"box_weight": 1.5, "giou_weight": 0.7}
    ),
    ParityCase("bipartite_matching", "ops.bipartite_matching", "matching.bipartite_matching", costs),
    ParityCase("bipartite_matching-ties", "ops.bipartite_matching", "matching.bipartite_matching", equal_costs),
    *(
        ParityCase(f"set_loss{suffix}", "ops.set_loss", "matching.set_loss", inputs, config, constants=("target_boxes",))
        for suffix, inputs, config in (
            ("", predictions, {}),
            ("-weights", scattered, {"no_object": 0.3, "box_weight": 0.25, "giou_weight": 0.5}),
            ("-ties", all_alike, {}),
            ("-no-objects", nothing, {}),
        )
    ),
]
