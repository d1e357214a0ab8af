"""Draws of inputs that several tables share."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.inputs import Draw, float32_representable
from scratch.module import Array

Inputs = Callable[[Draw], dict[str, Any]]


def normal(*shape: int) -> Inputs:
    """Return a draw of one input with normally distributed numbers."""
    return lambda draw: {"x": draw.normal(*shape)}


def tokens(*shape: int, vocabulary: int = 9) -> Inputs:
    """Return a draw of indices with repetitions; 2 is among them, which some cases use as padding."""

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        indices = draw.integers(0, vocabulary - 1, *shape)  # the last row of the table is never looked up
        indices.flat[:2] = 2
        return {"input": indices}

    return draw_inputs


def binary(*given: str) -> Inputs:
    """Return a draw of logits, two of them extreme, with targets between 0 and 1 and the weights that are given."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        x = draw.normal(5, 7, scale=3)
        x[0, 0], x[0, 1] = 200, -300
        weights = {"weight": draw.positive(5, 1), "pos_weight": draw.positive(7)}
        return {"input": x, "target": draw.fractions(5, 7)} | {name: w if name in given else None for name, w in weights.items()}

    return draw_inputs


def binary_without_weights(draw: Draw) -> dict[str, Array]:
    """Draw logits and targets as `binary` does, without weights."""
    inputs = binary()(draw)
    return {name: inputs[name] for name in ("input", "target")}


def padded_images(channels: int, H: int, W: int, *sizes: tuple[int, int]) -> Inputs:
    """Return a draw of images of these heights and widths, padded on the right and below.

    The padding holds random numbers. On many zeros, torch's batch norm adds up the squares in float64 one by one, and all
    roundings go in one direction.
    """
    present = np.stack([(np.arange(H) < h)[:, None] & (np.arange(W) < w) for h, w in sizes])
    return lambda draw: {"images": draw.normal(len(sizes), channels, H, W), "present": present}


IMAGES, QUERIES, OBJECTS, CLASSES = 4, 11, 5, 6
PRESENT = np.arange(OBJECTS) < np.array([[3], [0], [5], [1]])  # the second image has no object


def centred_boxes(draw: Draw, *shape: int) -> Array:
    """Draw boxes (..., 4) in DETR's format: centre, width and height as shares of the image."""
    sides = draw.rng.uniform(0.05, 0.4, (*shape, 2))
    return float32_representable(np.concatenate([draw.rng.uniform(0.2, 0.8, (*shape, 2)), sides], axis=-1))


def set_predictions(draw: Draw) -> dict[str, Any]:
    """Draw predictions of each query, and a different number of objects for each image."""
    return {
        "logits": draw.normal(IMAGES, QUERIES, CLASSES + 1, scale=2),
        "boxes": centred_boxes(draw, IMAGES, QUERIES),
        "labels": np.where(PRESENT, draw.integers(0, CLASSES, IMAGES, OBJECTS), -1),
        "target_boxes": np.where(PRESENT[:, :, None], centred_boxes(draw, IMAGES, OBJECTS), 0),
    }


def no_objects(draw: Draw) -> dict[str, Any]:
    """Draw predictions for images without any object."""
    inputs = set_predictions(draw)
    return inputs | {"labels": np.full((IMAGES, OBJECTS), -1), "target_boxes": np.zeros((IMAGES, OBJECTS, 4))}
