"""What a grid of anchors says of boxes (Redmon & Farhadi 2017, section 2; 2018, section 2.1).

A grid is ((H, W), anchors): it divides an image into cells, and each anchor is a (width, height) in cells. Of predictions
(B, P, 5 + K), P counts grid by grid, in each row by row, cell by cell and anchor by anchor; a prediction holds two numbers for
the place of the box in its cell, two for its size, one that tells whether an object is there, and one for each of K classes.
"""

import math
from collections.abc import Sequence

import numpy as np

from scratch.checks import one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward
from scratch.ops.activation import sigmoid
from scratch.ops.boxes import box_convert
from scratch.ops.nms import nms

Grid = tuple[tuple[int, int], Sequence[tuple[float, float]]]
LARGEST = math.log(1000 / 16)  # as in torchvision's detectors: e^t may be 62.5 anchors and does not overflow


@op
def yolo_boxes(predictions: Array, grids: Sequence[Grid]) -> tuple[Array, Backward]:
    """The boxes (B, P, 4), (x centre, y centre, width, height) as shares of the image, of predictions (B, P, 5 + K).

    The centre lies sigmoid(t) of a cell to the right of and below the cell's corner, the sides are those of the anchor times
    e^t (2018, section 2.1), where t is at most LARGEST.
    """
    check_predictions("yolo_boxes", predictions, grids)
    corner, cell, anchor = (part.astype(predictions.dtype) for part in _priors(grids))
    place, place_backward = sigmoid(predictions[..., :2])
    t = predictions[..., 2:4]
    sides = anchor * np.exp(np.minimum(t, LARGEST))

    def backward(dboxes: Array) -> Array:
        dpredictions = np.zeros_like(predictions)
        dpredictions[..., :2] = place_backward(cell * dboxes[..., :2])
        dpredictions[..., 2:4] = np.where(t <= LARGEST, dboxes[..., 2:] * sides, 0)
        return dpredictions

    return np.concatenate([corner + cell * place, sides], axis=-1), backward


@op
def yolo_detections(
    predictions: Array, grids: Sequence[Grid], score_threshold: float = 0.05, iou_threshold: float = 0.5
) -> tuple[list[dict[str, Array]], Backward]:
    """What is seen in each image: `boxes` (D, 4) as yolo_boxes has them, `scores` (D,) and `labels` (D,), the surest first.

    The score of a box for a class is the probability that an object is there times that of the class; it has every class whose
    score is above the threshold. Of each class, boxes that repeat a surer one are left out: nms at iou_threshold. All of it is
    done in float64, so that rounding decides nothing. There is no gradient.
    """
    check_predictions("yolo_detections", predictions, grids)
    exact = predictions.astype(np.float64)
    boxes, _ = yolo_boxes(exact, grids)
    corners, _ = box_convert(boxes, "cxcywh", "xyxy")
    probabilities, _ = sigmoid(exact[..., 4:])
    scores = probabilities[..., :1] * probabilities[..., 1:]  # (B, P, K)
    found = []
    for image in range(len(boxes)):
        numbers, labels = [], []
        for k, of_class in enumerate(scores[image].T):
            sure = np.flatnonzero(of_class > score_threshold)
            kept, _ = nms(corners[image, sure], of_class[sure], iou_threshold)
            numbers.append(sure[kept])
            labels.append(np.full(len(kept), k))
        number, label = np.concatenate(numbers), np.concatenate(labels)
        score = scores[image, number, label]
        order = np.argsort(-score, kind="stable")
        seen = {"boxes": boxes[image, number], "scores": score}
        found.append({name: array[order].astype(predictions.dtype) for name, array in seen.items()} | {"labels": label[order]})
    return found, lambda dfound: None


def check_predictions(op: str, predictions: Array, grids: Sequence[Grid]) -> None:
    """Raise ValueError unless the predictions are those of the grids."""
    one_float_dtype(op, predictions=predictions)
    are_grids(op, grids)
    P = sum(H * W * len(anchors) for (H, W), anchors in grids)
    if predictions.ndim != 3 or predictions.shape[1] != P or predictions.shape[2] < 6:
        sizes = " and ".join(f"{H}x{W}x{len(anchors)}" for (H, W), anchors in grids)
        raise ValueError(
            f"{op}: expected predictions (B, {P}, 5 + K) of the cells and anchors of grids {sizes}, got {predictions.shape}"
        )


def are_grids(op: str, grids: Sequence[Grid]) -> None:
    """Raise ValueError unless each grid is ((H, W), anchors), sizes whole numbers above 0 and anchors pairs of numbers above 0."""
    try:
        sizes = [number for size, _ in grids for number in _pair(size)]
        anchors = [number for _, of_grid in grids for anchor in of_grid for number in _pair(anchor)]
        sound = all(isinstance(n, int | np.integer) and n > 0 for n in sizes) and all(0 < n < math.inf for n in anchors)
    except (TypeError, ValueError):
        sound = False
    if not (sound and sizes and anchors and all(len(of_grid) for _, of_grid in grids)):
        raise ValueError(f"{op}: grids are {grids!r}, expected ((H, W), anchors) of each, each anchor a (width, height) in cells")


def _pair(pair: Sequence[float]) -> tuple[float, float]:
    one, two = pair
    return one, two


def _priors(grids: Sequence[Grid]) -> tuple[Array, Array, Array]:
    """For each of P predictions the corner of its cell, the sides of the cell and those of the anchor, (P, 2) of the image."""
    parts = []
    for (H, W), anchors in grids:
        row, column, anchor = (index.ravel() for index in np.indices((H, W, len(anchors))))
        cell = np.broadcast_to([1 / W, 1 / H], (len(row), 2))
        parts.append((np.stack([column, row], axis=1) * cell, cell, np.array(anchors)[anchor] * cell))
    corner, cell, anchor = (np.concatenate(part) for part in zip(*parts, strict=True))
    return corner, cell, anchor
