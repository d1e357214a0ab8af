"""Mistakes in a grid of anchors: in its boxes, in which prediction is for which object, in the loss, and in detections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.boxes import box_iou
from parity.mistakes.graft import graft
from reference.ops import box_convert, nms
from reference.ops.yolo_boxes import LARGEST, Grid


def yolo_boxes(predictions: Tensor, grids: Sequence[Grid], *, change: str = "") -> Tensor:
    """The boxes of predictions with one change."""
    boxes = []
    counts = [H * W * len(anchors) for (H, W), anchors in grids]
    for ((H, W), anchors), t in zip(_with_anchors(grids, change), predictions.split(counts, dim=1), strict=True):
        A = len(anchors)
        t = {
            "anchor by anchor": lambda t, size=(A, H, W): t.unflatten(1, size).permute(0, 2, 3, 1, 4),
            "column by column": lambda t, size=(W, H, A): t.unflatten(1, size).transpose(1, 2),
        }.get(change, lambda t, size=(H, W, A): t.unflatten(1, size))(t)
        rows, columns = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
        cells = torch.stack((rows, columns) if change == "rows first" else (columns, rows), dim=-1)[:, :, None]
        cells = {"no cell": 0 * cells, "middle": cells + 0.5}.get(change, cells)
        place, t = t[..., :2], t[..., 2:4]
        place = place if change == "no sigmoid" else 2 * place.sigmoid() - 0.5 if change == "YOLOv4" else place.sigmoid()
        held = t.masked_fill(t > LARGEST, LARGEST)
        held = {"not held": t, "gradient beyond": graft(held, t)}.get(change, held)
        size = t.new_tensor((H, W) if change == "size swapped" else (W, H))
        sides = t.new_tensor(anchors) * (held if change == "no exp" else held.sigmoid() if change == "no larger" else held.exp())
        sides = sides if change == "anchors not divided" else sides / size
        centre = (cells + place) / size
        if change == "corner":
            centre = centre + sides / 2
        listed = torch.cat((centre, sides), dim=-1)
        boxes.append((listed.permute(0, 3, 1, 2, 4) if change == "anchor by anchor" else listed).flatten(1, 3))
    y = torch.cat(boxes, dim=1)
    return box_convert(y, "cxcywh", "xyxy") if change == "corners" else y


def anchor_matching(labels: Tensor, boxes: Tensor, grids: Sequence[Grid], *, change: str = "") -> Tensor:
    """The prediction of each object with one change."""
    matched = torch.full(labels.shape, -1)
    there = labels >= 0
    grids = _with_anchors(grids, change)
    for (image, n), (x, y, *sides) in zip(there.nonzero().tolist(), boxes[there].tolist(), strict=True):
        choice, shapes, start = [], [], 0
        for (H, W), anchors in grids:
            row, column = (y, x) if change != "x for y" else (x, y)
            row, column = (round(row * H), round(column * W)) if change == "rounded" else (int(row * H), int(column * W))
            if change != "over the edge":
                row, column = min(row, H - 1), min(column, W - 1)
            cell = column * H + row if change == "column by column" else row * W + column
            A = len(anchors)
            choice += [start + (i * H * W + cell if change == "anchor by anchor" else cell * A + i) for i in range(A)]
            shapes += [(w, h) if change == "anchors not divided" else (w / W, h / H) for w, h in anchors]
            start += 0 if change == "each from 0" else H * W * A
        of_anchors, own = torch.tensor(shapes, dtype=torch.float64), torch.tensor([sides], dtype=torch.float64)
        likeness = box_iou(F.pad(own, (2, 0)), F.pad(of_anchors, (2, 0)))[0]
        if change == "distance":
            likeness = -(of_anchors - own).abs().sum(dim=1)
        if change == "least":
            likeness = -likeness
        if change == "coarse alone":
            likeness[len(grids[0][1]) :] = -2
        taken = torch.isin(torch.tensor(choice), matched[image])
        if change in ("shared", "dropped"):
            best = int(likeness.argmax())
            matched[image, n] = -1 if change == "dropped" and taken[best] else choice[best]
        elif not taken.all():
            free = likeness.masked_fill(taken, -torch.inf)
            matched[image, n] = choice[len(free) - 1 - int(free.flip(0).argmax()) if change == "last" else int(free.argmax())]
    return matched.to(labels.device)


def yolo_loss(
    predictions: Tensor,
    labels: Tensor,
    boxes: Tensor,
    grids: Sequence[Grid],
    ignore_above: float = 0.5,
    no_object: float = 0.5,
    box_weight: float = 5.0,
    *,
    change: str = "",
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss with one change."""
    B, P, numbers = predictions.shape
    matched = anchor_matching(labels, boxes, grids, change=change if change in _of_matching else "")
    image, target = (matched >= 0).nonzero(as_tuple=True)
    place = image, matched[image, target]
    of_boxes = partial(yolo_boxes, grids=grids, change=change if change in _of_boxes else "")
    if change == "defaults":
        ignore_above, no_object, box_weight = 0.5, 0.5, 5.0

    logits, wanted = predictions[place][:, 5:], F.one_hot(labels[image, target], numbers - 5).to(predictions.dtype)
    if change == "all cells":
        everywhere = torch.zeros_like(predictions[..., 5:])
        everywhere[place] = wanted
        logits, wanted = predictions[..., 5:], everywhere
    class_loss = F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
    if change == "softmax":
        class_loss = F.cross_entropy(logits, wanted, reduction="sum")

    decoded = of_boxes(predictions)
    corners, objects = (box_convert(each, "cxcywh", "xyxy") for each in (decoded, boxes))
    found, sought = corners[place], objects[image, target]
    if change == "not converted":
        found, sought = decoded[place], boxes[image, target]
    iou = box_iou(found, sought, pairs=False)
    overlap = 1 - (iou if change == "iou" else box_iou(found, sought, generalized=True, pairs=False))

    exact = box_convert(of_boxes(predictions.detach().double()), "cxcywh", "xyxy")
    overlaps = torch.stack(
        [
            box_iou(mine, theirs[own]).amax(1) if own.any() else torch.zeros(P)
            for mine, theirs, own in zip(exact, objects, labels >= 0, strict=True)
        ]
    )
    there, chosen = torch.zeros_like(predictions[..., 4]), torch.zeros(B, P, dtype=torch.bool)
    chosen[place] = True
    there[place] = iou.detach() if change == "objectness is iou" else iou if change == "iou with gradient" else 1.0
    ignored = overlaps > (0.0 if change == "any overlap" else ignore_above)
    if change == "as well as the ignored":
        there = torch.where(ignored, 1, there)
        chosen = chosen | ignored
    weight = torch.full((B, P), {"no_object 1": 1.0, "unmatched": 0.0}.get(change, no_object), dtype=there.dtype)
    if change not in ("not ignored", "matched ignored too"):
        weight = weight.masked_fill(ignored, 0)
    weight = weight.masked_fill(chosen, 1)
    if change == "matched ignored too":
        weight = weight.masked_fill(ignored, 0)
    objectness = F.binary_cross_entropy_with_logits(predictions[..., 4], there, weight, reduction="sum")

    parts = [class_loss, objectness, (1 if change == "unweighted" else box_weight) * overlap.sum()]
    divisor = {"twice": B * B, "not divided": 1, "objects": max(len(image), 1), "predictions": B * P}.get(change, B)
    if change == "not divided in the backward":
        return tuple(graft(part / B, part) for part in parts)  # type: ignore[return-value]
    return tuple(part / divisor for part in parts)  # type: ignore[return-value]


def yolo_detections(
    predictions: Tensor, grids: Sequence[Grid], score_threshold: float = 0.05, iou_threshold: float = 0.5, *, change: str = ""
) -> list[dict[str, Tensor]]:
    """Detections with one change."""
    if change == "score_threshold":
        score_threshold = 0.05
    if change == "iou_threshold":
        iou_threshold = 0.5
    exact = predictions.detach().double()
    boxes = yolo_boxes(exact, grids, change=change if change in _of_boxes else "")
    there, classes = exact[..., 4:5].sigmoid(), exact[..., 5:].sigmoid()
    if change == "softmax":
        classes = exact[..., 5:].softmax(-1)
    scores = classes if change == "no objectness" else there.expand_as(classes) if change == "no classes" else there * classes
    if change == "best class":
        scores = scores.where(scores == scores.amax(-1, keepdim=True), 0)
    found = []
    for box, score in zip(boxes, scores, strict=True):
        corners = box_convert(box, "cxcywh", "xyxy")
        number, label = (score > score_threshold).nonzero(as_tuple=True)
        number, label = (number[order := label.argsort(stable=True)], label[order])
        apart = corners[number] + 0 if change == "across classes" else corners[number] + 1e3 * label[:, None]
        kept = nms(apart, score[number, label], 1.0 if change == "no nms" else iou_threshold)
        if change == "not in order":
            kept = kept[label[kept].argsort(stable=True)]
        number, label = number[kept], label[kept]
        of_box = corners if change == "corners" else box
        found.append({"boxes": of_box[number].to(predictions), "scores": score[number, label].to(predictions), "labels": label})
    return found


def _with_anchors(grids: Sequence[Grid], change: str) -> list[Grid]:
    """The grids, each with the anchors of another one or with its own turned by a quarter where that is the change."""
    if change == "other anchors":
        return [(size, anchors) for (size, _), (_, anchors) in zip(grids, grids[::-1], strict=True)]
    return [(size, [(h, w) if change == "anchors swapped" else (w, h) for w, h in anchors]) for size, anchors in grids]


_of_anchors = {
    "other anchors": "gives each grid the anchors of the other one",
    "anchors swapped": "takes the width of an anchor for its height",
    "anchors not divided": "does not divide anchors, which are in cells, by the number of cells",
}
_of_order = {
    "anchor by anchor": "counts predictions anchor by anchor and each cell by cell; it is the other way round",
    "column by column": "counts cells column by column; it is row by row",
}
_of_boxes = {
    **_of_anchors,
    **_of_order,
    "no cell": "leaves the place of the cell out",
    "middle": "counts from the middle of the cell; it is its corner",
    "rows first": "adds the row to x and the column to y",
    "size swapped": "divides by (H, W); it is (W, H)",
    "no sigmoid": "takes no sigmoid of the place in the cell",
    "YOLOv4": "stretches the sigmoid beyond the cell, as YOLOv4 and YOLOv5 do",
    "no exp": "takes no exponential of the sides",
    "no larger": "takes a sigmoid of the sides; it is an exponential",
    "not held": "does not hold the exponent: it overflows",
    "gradient beyond": "has a gradient where the exponent is held",
    "corner": "takes the place for the first corner of the box; it is its centre",
}
_of_matching = {
    **_of_anchors,
    **_of_order,
    "x for y": "takes x for y",
    "rounded": "rounds to the nearest corner; an object is in the cell that holds its centre",
    "over the edge": "takes the edge of the image for the next row or image; it is in the last cell",
    "each from 0": "counts the predictions of each grid from 0; those of the grids before come first",
    "distance": "compares anchors by the differences of their sides; it is the intersection over union",
    "least": "takes the anchor least like the object",
    "coarse alone": "takes the anchors of the first grid alone; it is the best of all grids",
    "last": "takes the last of equal anchors; it is the first",
    "shared": "gives a prediction to several objects; the first has it, the others their second choice",
    "dropped": "leaves an object out whose first choice is taken; it gets its second",
}
Mistakes = list[tuple[str, Callable[..., Any]]]


def _with(function: Callable[..., Any], texts: dict[str, str]) -> Mistakes:
    return [(text, partial(function, change=change)) for change, text in texts.items()]


TABLE: dict[str, Mistakes] = {
    "yolo_boxes": _with(yolo_boxes, {**_of_boxes, "corners": "returns corners; it is the centre, width and height"}),
    "anchor_matching": _with(anchor_matching, _of_matching),
    "yolo_loss": _with(
        yolo_loss,
        {
            "not ignored": "ignores no prediction: those that overlap an object are to say that there is none",
            "matched ignored too": "ignores predictions that overlap an object even where they are matched with it",
            "as well as the ignored": "wants objects of predictions that overlap one but are not matched; they are ignored",
            "any overlap": "ignores every prediction that overlaps an object at all; it is those above ignore_above",
            "no_object 1": "counts predictions without an object as much as the others: ignores no_object",
            "unmatched": "leaves predictions without an object out of the loss; they are to say that there is none",
            "objectness is iou": "wants the overlap for objectness, as YOLOv2 does; it is 1",
            "iou with gradient": "wants the overlap for objectness, and lets a gradient through it",
            "all cells": "has a loss of classes for every prediction; it is those with an object",
            "softmax": "takes the cross-entropy of a softmax; each class is for itself",
            "not converted": "does not convert the boxes to corners for their overlap",
            "iou": "takes the plain intersection over union; it is the generalised one",
            "unweighted": "leaves box_weight out",
            "defaults": "takes the default ignore_above, no_object and box_weight",
            "twice": "divides by the batch size twice",
            "not divided": "does not divide by the batch size",
            "objects": "divides by the number of objects; it is that of images",
            "predictions": "divides by the number of predictions; it is that of images",
            "not divided in the backward": "does not divide the gradient by the batch size",
            **{change: f"in the boxes, {text}" for change, text in _of_boxes.items() if change not in _of_matching},
            **{change: f"in the matching, {text}" for change, text in _of_matching.items() if change not in _of_boxes},
        },
    ),
    "yolo_detections": _with(
        yolo_detections,
        {
            "no objectness": "takes the probability of the class for the score; it is that of an object too",
            "no classes": "takes the probability of an object for the score; it is that of the class too",
            "softmax": "takes a softmax over the classes; each is for itself",
            "best class": "takes the best class of each box alone; it is all above the threshold",
            "across classes": "suppresses boxes of other classes; it is those of the same one",
            "no nms": "suppresses no box",
            "not in order": "lists class by class; the surest comes first",
            "corners": "returns corners; it is the centre, width and height",
            "score_threshold": "takes the default score_threshold",
            "iou_threshold": "takes the default iou_threshold",
            **{change: f"in the boxes, {text}" for change, text in _of_boxes.items() if change != "gradient beyond"},
        },
    ),
}
