"""Mistakes in reading detections from DETR's predictions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from parity.mistakes.functions.matching import corners
from parity.mistakes.register import definition, mistake

wrong_detections = partial(mistake, "detections")


@definition("detections")
@torch.no_grad()
def detections(
    logits: Tensor,
    boxes: Tensor,
    *,
    probabilities: Callable[[Tensor], Tensor] = lambda logits: logits.softmax(2)[:, :, :-1],
    converted: Callable[[Tensor], Tensor] = corners,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the scores, classes and boxes, in stages."""
    scores, classes = probabilities(logits).max(2)
    return scores, classes, converted(boxes)


@wrong_detections("treats 'no object' as a class that can be found", "probabilities")
def no_object_found(logits: Tensor) -> Tensor:
    return logits.softmax(2)


@wrong_detections("uses the first class for 'no object'; it is the last class", "probabilities")
def first_class(logits: Tensor) -> Tensor:
    return logits.softmax(2)[:, :, 1:]


@wrong_detections("leaves the class 'no object' out of the softmax", "probabilities")
def without_no_object(logits: Tensor) -> Tensor:
    return logits[:, :, :-1].softmax(2)


@wrong_detections("applies a sigmoid to each logit; the probabilities come from a softmax", "probabilities")
def sigmoid(logits: Tensor) -> Tensor:
    return logits.sigmoid()[:, :, :-1]


@wrong_detections("does not convert the boxes to corners", "converted")
def unconverted(boxes: Tensor) -> Tensor:
    return boxes.clone()
