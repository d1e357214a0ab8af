"""Two ways to find objects: what each detector is built with, trained by and says."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np
from average_precision import Seen
from objectives import Objective

import reference.ops
import scratch.models
from scratch import ops
from scratch.module import Array


class YOLO:
    """A grid detector: predictions (B, P, 5 + classes)."""

    def __init__(self, options: argparse.Namespace):
        self.config: dict[str, Any] = dict(in_channels=1, classes=10, width=options.width)
        self.grids = scratch.models.YOLO(**self.config).grids(options.size, options.size)
        self.objective = Objective(*(partial(loss, grids=self.grids) for loss in (ops.yolo_loss, reference.ops.yolo_loss)))

    def reads(self, images: Array) -> dict[str, Array]:
        """The inputs of the model by name."""
        return {"x": images}

    def seen(self, predictions: Array) -> list[Seen]:
        """What is found in each image."""
        found, _ = ops.yolo_detections(predictions, self.grids)
        return [Seen(corners(each["boxes"]), each["labels"], each["scores"]) for each in found]


class DETR:
    """A set detector: logits and boxes of each decoder layer."""

    def __init__(self, options: argparse.Namespace):
        self.config: dict[str, Any] = dict(
            in_channels=1,
            classes=10,
            depth=10,
            width=options.width,
            small_images=True,
            frozen_norm=False,  # it is trained from nothing
            d_model=64,
            nhead=4,
            encoder_layers=2,
            decoder_layers=3,
            dim_feedforward=128,
            num_queries=12,
            dropout=options.dropout,
        )
        self.objective = Objective(ops.detr_loss, reference.ops.detr_loss)

    def reads(self, images: Array) -> dict[str, Array]:
        """The inputs of the model by name."""
        return {"images": images, "present": np.ones((len(images), *images.shape[2:]), bool)}

    def seen(self, predictions: tuple[Array, Array]) -> list[Seen]:
        """What each query finds, in the order of the queries; most of them are not sure of it."""
        (scores, labels, boxes), _ = ops.detections(*(of_layers[-1] for of_layers in predictions))
        return [Seen(*of_image) for of_image in zip(boxes, labels, scores, strict=True)]


Detector = YOLO | DETR
DETECTORS = {"yolo": YOLO, "detr": DETR}


def corners(boxes: Array) -> Array:
    """Boxes (..., 4) by their corners, of their centres and sides."""
    return ops.box_convert(boxes, "cxcywh", "xyxy")[0]
