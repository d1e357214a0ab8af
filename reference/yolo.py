"""A grid of anchors: its boxes, what it is to say, its loss and its detections (Redmon & Farhadi 2018).

A grid is ((H, W), anchors), each anchor a (width, height) in cells. Predictions (B, P, 5 + K) are those of all grids one after
another, in each row by row, cell by cell and anchor by anchor. Objects come as labels (B, N), -1 where an image has fewer than N,
and boxes (B, N, 4), (x centre, y centre, width, height) each as a share of the image. The functions are open to torch's
overrides as its own are.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import wrap_torch_function

from reference.boxes import box_convert, box_iou, generalized_box_iou_loss, nms

Grid = tuple[tuple[int, int], Sequence[tuple[float, float]]]
LARGEST = math.log(1000 / 16)  # as in torchvision's detectors: e^t may be 62.5 anchors and does not overflow


@wrap_torch_function(lambda predictions, *others, **options: (predictions,))
def yolo_boxes(predictions: Tensor, grids: Sequence[Grid]) -> Tensor:
    """The boxes (B, P, 4), (x centre, y centre, width, height) as shares of the image, of predictions (B, P, 5 + K)."""
    boxes = []
    counts = [H * W * len(anchors) for (H, W), anchors in grids]
    for ((H, W), anchors), t in zip(grids, predictions.split(counts, dim=1), strict=True):
        t = t.unflatten(1, (H, W, len(anchors)))
        rows, columns = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
        cells = torch.stack((columns, rows), dim=-1)[:, :, None].to(t.device)
        size = t.new_tensor((W, H))
        centre = (cells + t[..., :2].sigmoid()) / size
        exponent = t[..., 2:4].masked_fill(t[..., 2:4] > LARGEST, LARGEST)  # LARGEST itself has a gradient, in every version
        sides = t.new_tensor(anchors) * exponent.exp() / size
        boxes.append(torch.cat((centre, sides), dim=-1).flatten(1, 3))
    return torch.cat(boxes, dim=1)


@wrap_torch_function(lambda labels, boxes, *others, **options: (labels, boxes))
@torch.no_grad()
def anchor_matching(labels: Tensor, boxes: Tensor, grids: Sequence[Grid]) -> Tensor:
    """The prediction (B, N) of each object, a number below P, none twice in an image; -1 where there is no object."""
    matched = torch.full(labels.shape, -1)
    shapes = torch.cat([torch.tensor(anchors, dtype=torch.float64) / torch.tensor((W, H)) for (H, W), anchors in grids])
    there = labels >= 0
    for (image, n), (x, y, *sides) in zip(there.nonzero().tolist(), boxes[there].tolist(), strict=True):
        choice, start = [], 0
        for (H, W), anchors in grids:
            cell = min(int(y * H), H - 1) * W + min(int(x * W), W - 1)
            choice += [start + cell * len(anchors) + i for i in range(len(anchors))]
            start += H * W * len(anchors)
        likeness = box_iou(shapes.new_tensor([[0, 0, *sides]]), F.pad(shapes, (2, 0)))[0]
        taken = torch.isin(torch.tensor(choice), matched[image])
        if not taken.all():
            matched[image, n] = choice[likeness.masked_fill(taken, -1).argmax()]
    return matched.to(labels.device)


@wrap_torch_function(lambda predictions, labels, boxes, *others, **options: (predictions, labels, boxes))
def yolo_loss(
    predictions: Tensor,
    labels: Tensor,
    boxes: Tensor,
    grids: Sequence[Grid],
    ignore_above: float = 0.5,
    no_object: float = 0.5,
    box_weight: float = 5.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """The parts (of classes, of objectness, of boxes) whose sum YOLO is trained by, matched in float64."""
    B = len(predictions)
    matched = anchor_matching(labels, boxes, grids)
    image, target = (matched >= 0).nonzero(as_tuple=True)
    chosen = predictions[image, matched[image, target]]

    classes = F.one_hot(labels[image, target].long(), predictions.shape[2] - 5).to(predictions.dtype)
    class_loss = F.binary_cross_entropy_with_logits(chosen[:, 5:], classes, reduction="sum")

    there = torch.zeros_like(predictions[..., 4])
    there[image, matched[image, target]] = 1
    ignored = overlapping(predictions, labels, boxes, grids, ignore_above) & (there == 0)
    weight = torch.where(there == 1, 1, no_object).masked_fill(ignored, 0).to(there.dtype)
    objectness = F.binary_cross_entropy_with_logits(predictions[..., 4], there, weight, reduction="sum")

    found = yolo_boxes(predictions, grids)[image, matched[image, target]]
    corners, sought = (box_convert(each, "cxcywh", "xyxy") for each in (found, boxes[image, target]))
    overlap = generalized_box_iou_loss(corners, sought, reduction="sum")
    return class_loss / B, objectness / B, box_weight * overlap / B


@torch.no_grad()
def overlapping(predictions: Tensor, labels: Tensor, boxes: Tensor, grids: Sequence[Grid], above: float) -> Tensor:
    """Which predictions (B, P) have a box whose intersection over union with an object's is above a number."""
    found, sought = (box_convert(each.double(), "cxcywh", "xyxy") for each in (yolo_boxes(predictions.double(), grids), boxes))
    return torch.stack(
        [(box_iou(mine, theirs[there]) > above).any(dim=1) for mine, theirs, there in zip(found, sought, labels >= 0, strict=True)]
    )


@wrap_torch_function(lambda predictions, *others, **options: (predictions,))
@torch.no_grad()
def yolo_detections(
    predictions: Tensor, grids: Sequence[Grid], score_threshold: float = 0.05, iou_threshold: float = 0.5
) -> list[dict[str, Tensor]]:
    """What is seen in each image: `boxes` (D, 4), `scores` (D,) and `labels` (D,), the surest first, found in float64."""
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
