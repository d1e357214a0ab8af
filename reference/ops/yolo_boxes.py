"""Boxes and detections of a grid detector (Redmon & Farhadi 2017, section 2; 2018, section 2.1).

A grid is ((H, W), anchors): it divides the image into H x W cells, and each anchor is a (width, height) in cells. Predictions
(B, P, 5 + K) are ordered by grid, row, column and anchor. A prediction holds two numbers for the place of the box in its cell,
two for its size, one for whether there is an object, and one for each of K classes.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.overrides import wrap_torch_function

from reference.ops.boxes import box_convert
from reference.ops.nms import nms

Grid = tuple[tuple[int, int], Sequence[tuple[float, float]]]
LARGEST = math.log(1000 / 16)  # as in torchvision's detectors: e^t is at most 62.5 anchors and does not overflow


@wrap_torch_function(lambda predictions, *others, **options: (predictions,))
def yolo_boxes(predictions: Tensor, grids: Sequence[Grid]) -> Tensor:
    """Return the boxes (B, P, 4) of predictions (B, P, 5 + K): (x centre, y centre, width, height) as shares of the image."""
    boxes = []
    counts = [H * W * len(anchors) for (H, W), anchors in grids]
    for ((H, W), anchors), t in zip(grids, predictions.split(counts, dim=1), strict=True):
        t = t.unflatten(1, (H, W, len(anchors)))
        rows, columns = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
        cells = torch.stack((columns, rows), dim=-1)[:, :, None].to(t.device)
        size = t.new_tensor((W, H))
        centre = (cells + t[..., :2].sigmoid()) / size
        exponent = t[..., 2:4].masked_fill(
            t[..., 2:4] > LARGEST, LARGEST
        )  # at LARGEST itself the gradient flows, in every version of torch
        sides = t.new_tensor(anchors) * exponent.exp() / size
        boxes.append(torch.cat((centre, sides), dim=-1).flatten(1, 3))
    return torch.cat(boxes, dim=1)


@wrap_torch_function(lambda predictions, *others, **options: (predictions,))
@torch.no_grad()
def yolo_detections(
    predictions: Tensor, grids: Sequence[Grid], score_threshold: float = 0.05, iou_threshold: float = 0.5
) -> list[dict[str, Tensor]]:
    """Return for each image its `boxes` (D, 4), `scores` (D,) and `labels` (D,), by descending score; computed in float64."""
    exact = predictions.double()
    boxes = yolo_boxes(exact, grids)
    scores = exact[..., 4:5].sigmoid() * exact[..., 5:].sigmoid()
    found = []
    for box, of_classes in zip(boxes, scores, strict=True):
        corners = box_convert(box, "cxcywh", "xyxy")
        numbers, labels = [], []
        for k, score in enumerate(of_classes.T):
            sure = (score > score_threshold).nonzero()[:, 0]
            kept = sure[nms(corners[sure], score[sure], iou_threshold)]
            numbers.append(kept)
            labels.append(torch.full_like(kept, k))
        number, label = torch.cat(numbers), torch.cat(labels)
        score, order = of_classes[number, label].sort(descending=True, stable=True)
        found.append({"boxes": box[number][order].to(predictions), "scores": score.to(predictions), "labels": label[order]})
    return found
