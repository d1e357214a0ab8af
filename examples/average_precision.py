"""How good detections are, as COCO's own evaluation (pycocotools) judges them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, NamedTuple

import numpy as np

from scratch.module import Array


class Seen(NamedTuple):
    """What is in one image, or was found there: boxes (D, 4), (x1, y1, x2, y2), their labels (D,) and how sure one is (D,)."""

    boxes: Array
    labels: Array
    scores: Array


def mean_average_precision(truth: Sequence[Seen], found: Sequence[Seen], iou: float = 0.5) -> float:
    """The area below the curve of precision over recall, the mean over the classes that there are in `truth`.

    A box is right if its intersection over union with an object of its class, which no surer box has, is at least `iou`.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise ValueError(
            f'detections are judged by pycocotools, which is missing ({error}): pip install "pycocotools>=2.0.8"'
        ) from error
    with redirect_stdout(StringIO()):  # it reports on each of its stages
        right, answers = COCO(), COCO()
        classes = [{"id": int(label)} for label in np.unique(np.concatenate([seen.labels for seen in truth]))]
        for dataset, images in ((right, truth), (answers, found)):
            dataset.dataset = {
                "images": [{"id": i} for i in range(len(images))],
                "categories": classes,
                "annotations": _listed(images),
            }
            dataset.createIndex()
        judge = COCOeval(right, answers, "bbox")
        judge.params.iouThrs = np.array([iou])
        judge.evaluate()
        judge.accumulate()
    return float(judge.eval["precision"][0, :, :, 0, -1].mean())  # (levels of recall, classes), of objects of all sizes


def _listed(images: Sequence[Seen]) -> list[dict[str, Any]]:
    """The boxes of all images as COCO has them, numbered from 1: 0 would count as none."""
    listed = []
    for image, seen in enumerate(images):
        for box, label, score in zip(seen.boxes.tolist(), seen.labels.tolist(), seen.scores.tolist(), strict=True):
            x1, y1, x2, y2 = box
            width, height = x2 - x1, y2 - y1
            about = {"image_id": image, "category_id": label, "score": score, "iscrowd": 0, "area": width * height}
            listed.append(about | {"id": len(listed) + 1, "bbox": [x1, y1, width, height]})
    return listed
