"""Mistakes in reading detections from YOLO's predictions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from parity.mistakes.functions.matching import corners
from parity.mistakes.functions.yolo_boxes import WITHIN_DETECTIONS, Boxes, Grids, yolo_boxes
from parity.mistakes.register import definition, mistake
from reference.ops import nms

Detections = list[dict[str, Tensor]]
wrong_detections = partial(mistake, "yolo_detections")
FAR = 1e3  # moves the boxes of each class apart, so that they do not suppress those of other classes


@definition("yolo_detections")
def yolo_detections(
    predictions: Tensor,
    grids: Grids,
    score_threshold: float = 0.05,
    iou_threshold: float = 0.5,
    *,
    decoded: Boxes = yolo_boxes,
    classes: Callable[[Tensor], Tensor] = torch.sigmoid,
    scores: Callable[[Tensor, Tensor], Tensor] = torch.mul,
    apart: Callable[[Tensor, Tensor], Tensor] = lambda boxes, label: boxes + FAR * label[:, None],
    suppressed: Callable[[Tensor, Tensor, float], Tensor] = nms,
    listed: Callable[[Tensor, Tensor], Tensor] = lambda kept, label: kept,
    returned: Callable[[Tensor], Tensor] = lambda boxes: boxes,
) -> Detections:
    """Return the boxes, scores and labels that are found in each image, in stages."""
    exact = predictions.detach().double()
    found = []
    all_scores = scores(exact[..., 4:5].sigmoid(), classes(exact[..., 5:]))
    for box, score in zip(decoded(exact, grids), all_scores, strict=True):
        number, label = (score > score_threshold).nonzero(as_tuple=True)
        number, label = (number[order := label.argsort(stable=True)], label[order])
        kept = listed(suppressed(apart(corners(box)[number], label), score[number, label], iou_threshold), label)
        number, label = number[kept], label[kept]
        boxes = returned(box)[number].to(predictions)
        found.append({"boxes": boxes, "scores": score[number, label].to(predictions), "labels": label})
    return found


@wrong_detections("uses the probability of the class as the score; it is multiplied by the probability of an object", "scores")
def only_class(there: Tensor, classes: Tensor) -> Tensor:
    return classes


@wrong_detections("uses the probability of an object as the score; it is multiplied by the probability of the class", "scores")
def only_object(there: Tensor, classes: Tensor) -> Tensor:
    return there.expand_as(classes)


@wrong_detections("applies a softmax over the classes; each class has a sigmoid of its own", "classes")
def softmax(logits: Tensor) -> Tensor:
    return logits.softmax(-1)


@wrong_detections("takes only the best class of each box; it takes all classes above the threshold", "scores")
def best_class(there: Tensor, classes: Tensor) -> Tensor:
    scores = there * classes
    return scores.where(scores == scores.amax(-1, keepdim=True), 0)


@wrong_detections("suppresses boxes of other classes; only boxes of the same class are suppressed", "apart")
def across_classes(boxes: Tensor, label: Tensor) -> Tensor:
    return boxes + 0


@wrong_detections("suppresses no box", "suppressed")
def nothing_suppressed(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    return nms(boxes, scores, 1.0)


@wrong_detections("lists the boxes class by class; the box with the highest score comes first", "listed")
def class_by_class(kept: Tensor, label: Tensor) -> Tensor:
    return kept[label[kept].argsort(stable=True)]


wrong_detections("returns corners; the boxes consist of centre, width and height", "returned")(corners)


@wrong_detections("uses the default score_threshold")
def default_score_threshold(
    predictions: Tensor, grids: Grids, score_threshold: float = 0.05, iou_threshold: float = 0.5
) -> Detections:
    return yolo_detections(predictions, grids, iou_threshold=iou_threshold)


@wrong_detections("uses the default iou_threshold")
def default_iou_threshold(
    predictions: Tensor, grids: Grids, score_threshold: float = 0.05, *options: Any, **rest: Any
) -> Detections:
    return yolo_detections(predictions, grids, score_threshold)


for message, wrong in WITHIN_DETECTIONS:
    wrong_detections(f"in the boxes, {message}", "decoded")(wrong)
