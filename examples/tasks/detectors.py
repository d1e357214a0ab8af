"""Two detectors: the configuration, the objective and the predicted objects of each."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

import numpy as np

import reference.ops
import scratch.models
from examples.tasks.average_precision import Found
from examples.training.objectives import Objective
from scratch import ops
from scratch.module import Array


class Detector(Protocol):
    """A detector of digits, whose model has the name of its class."""

    config: dict[str, Any]
    objective: Objective

    def inputs(self, images: Array) -> dict[str, Array]:
        """Return the inputs of the model by name."""
        ...

    def found(self, predictions: Any) -> list[Found]:
        """Return the objects in each image, from the value of the model."""
        ...


class YOLO:
    """A grid detector, with predictions (B, P, 5 + classes)."""

    def __init__(self, side: int, width: int):
        self.config: dict[str, Any] = dict(in_channels=1, classes=10, width=width)
        self.grids = scratch.models.YOLO(**self.config).grids(side, side)
        self.objective = Objective(partial(ops.yolo_loss, grids=self.grids), partial(reference.ops.yolo_loss, grids=self.grids))

    def inputs(self, images: Array) -> dict[str, Array]:
        return {"x": images}

    def found(self, predictions: Array) -> list[Found]:
        found, _ = ops.yolo_detections(predictions, self.grids)
        return [Found(corners(each["boxes"]), each["labels"], each["scores"]) for each in found]


class DETR:
    """A set detector, with logits and boxes of each decoder layer."""

    def __init__(self, width: int, dropout: float):
        self.config: dict[str, Any] = dict(
            in_channels=1,
            classes=10,
            depth=10,
            width=width,
            small_images=True,
            frozen_norm=False,  # the backbone is not pretrained
            d_model=64,
            nhead=4,
            encoder_layers=2,
            decoder_layers=3,
            dim_feedforward=128,
            num_queries=12,
            dropout=dropout,
        )
        self.objective = Objective(ops.detr_loss, reference.ops.detr_loss)

    def inputs(self, images: Array) -> dict[str, Array]:
        return {"images": images, "present": np.ones((len(images), *images.shape[2:]), bool)}

    def found(self, predictions: tuple[Array, Array]) -> list[Found]:
        """Return one object a query, in the order of the queries; most of them have a low score."""
        (scores, labels, boxes), _ = ops.detections(*(of_layers[-1] for of_layers in predictions))
        return [Found(*of_image) for of_image in zip(boxes, labels, scores, strict=True)]


def corners(boxes: Array) -> Array:
    """Convert boxes (..., 4) from centres and sizes to corners."""
    return ops.box_convert(boxes, "cxcywh", "xyxy")[0]
