"""Boxes from the predictions on grids of anchors (Redmon & Farhadi 2017, section 2; 2018, section 2.1).

A grid is ((H, W), anchors): it divides an image into H x W cells, and each anchor is a (width, height) in cells. Predictions
are (B, P, 5 + K), where P counts grids, then rows, then cells, then anchors. The numbers of a prediction are two for the place
of the box in its cell, two for its size, one for the presence of an object, and one for each of K classes.
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
    """Decode predictions t (B, P, 5 + K) to boxes (B, P, 4): x centre, y centre, width and height as fractions of the image.

    centre = corner + cell sigmoid(t_0:2) and sides = anchor exp(t_2:4), t_2:4 at most LARGEST (2018, section 2.1). With
    s = sigmoid(t_0:2), dt_0:2 = cell s (1 - s) dcentre and dt_2:4 = sides dsides, or 0 above LARGEST.
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
    """Return the detections of each image, the highest score first: `boxes` (D, 4) as in yolo_boxes, `scores` (D,), `labels` (D,).

    The score of a box for a class is the probability of an object times that of the class. A box has every class whose score
    is above score_threshold. In each class, nms at iou_threshold removes boxes that repeat one with a higher score.
    All of it is computed in float64, so that rounding does not change the detections. There is no gradient.
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
    """Raise ValueError unless the predictions fit the grids."""
    one_float_dtype(op, predictions=predictions)
    are_grids(op, grids)
    P = sum(H * W * len(anchors) for (H, W), anchors in grids)
    if predictions.ndim != 3 or predictions.shape[1] != P or predictions.shape[2] < 6:
        sizes = " and ".join(f"{H}x{W}x{len(anchors)}" for (H, W), anchors in grids)
        raise ValueError(
            f"{op}: expected predictions (B, {P}, 5 + K) of the cells and anchors of grids {sizes}, got {predictions.shape}"
        )


def are_grids(op: str, grids: Sequence[Grid]) -> None:
    """Raise ValueError unless each grid is ((H, W), anchors) with positive whole sizes and pairs of positive numbers."""
    try:
        sizes = [number for size, _ in grids for number in _pair(size)]
        anchors = [number for _, of_grid in grids for anchor in of_grid for number in _pair(anchor)]
        sound = all(isinstance(n, int | np.integer) and n > 0 for n in sizes) and all(0 < n < math.inf for n in anchors)
    except (TypeError, ValueError):
        sound = False
    if not (sound and sizes and anchors and all(len(of_grid) for _, of_grid in grids)):
        raise ValueError(f"{op}: grids are {grids!r}, expected ((H, W), anchors) of each, each anchor a (width, height) in cells")


def _pair(pair: Sequence[float]) -> tuple[float, float]:
    """Return a sequence of two numbers as a tuple, or raise ValueError."""
    one, two = pair
    return one, two


def _priors(grids: Sequence[Grid]) -> tuple[Array, Array, Array]:
    """Return the corner of each prediction's cell, the cell's sides and the anchor's sides, (P, 2) in fractions of the image."""
    parts = []
    for (H, W), anchors in grids:
        row, column, anchor = (index.ravel() for index in np.indices((H, W, len(anchors))))
        cell = np.broadcast_to([1 / W, 1 / H], (len(row), 2))
        parts.append((np.stack([column, row], axis=1) * cell, cell, np.array(anchors)[anchor] * cell))
    corner, cell, anchor = (np.concatenate(part) for part in zip(*parts, strict=True))
    return corner, cell, anchor
