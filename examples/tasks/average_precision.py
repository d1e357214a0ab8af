"""The mean average precision of detections, by COCO's own evaluation (pycocotools)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, NamedTuple

import numpy as np

from scratch.module import Array


class Found(NamedTuple):
    """The objects of one image, true or found: boxes (D, 4) as (x1, y1, x2, y2), labels (D,) and scores (D,)."""

    boxes: Array
    labels: Array
    scores: Array


def mean_average_precision(truth: Sequence[Found], found: Sequence[Found], iou: float = 0.5) -> float:
    """Return the area below the curve of precision over recall, the mean over the classes that occur in `truth`.

    A box is right if its intersection over union with an object of its class is at least `iou`, and no box with a higher score
    has that object.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise ValueError(
            f'detections are scored by pycocotools, which is missing ({error}): pip install "pycocotools>=2.0.8"'
        ) from error
    with redirect_stdout(StringIO()):  # it prints each of its stages
        right, answers = COCO(), COCO()
        classes = [{"id": int(label)} for label in np.unique(np.concatenate([objects.labels for objects in truth]))]
        for dataset, images in ((right, truth), (answers, found)):
            dataset.dataset = {
                "images": [{"id": i} for i in range(len(images))],
                "categories": classes,
                "annotations": _annotations(images),
            }
            dataset.createIndex()
        judge = COCOeval(right, answers, "bbox")
        judge.params.iouThrs = np.array([iou])
        judge.evaluate()
        judge.accumulate()
    return float(judge.eval["precision"][0, :, :, 0, -1].mean())  # (levels of recall, classes), for objects of all sizes


def _annotations(images: Sequence[Found]) -> list[dict[str, Any]]:
    """Return the objects of all images in COCO's format, numbered from 1: COCO takes 0 for no object."""
    listed: list[dict[str, Any]] = []
    for image, objects in enumerate(images):
        for box, label, score in zip(objects.boxes.tolist(), objects.labels.tolist(), objects.scores.tolist(), strict=True):
            x1, y1, x2, y2 = box
            width, height = x2 - x1, y2 - y1
            about = {"image_id": image, "category_id": label, "score": score, "iscrowd": 0, "area": width * height}
            listed.append(about | {"id": len(listed) + 1, "bbox": [x1, y1, width, height]})
    return listed
