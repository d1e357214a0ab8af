"""Mistakes in the matching of sets, in the loss of what is matched, and in positions in images."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import reference.ops as right
from parity.mistakes.boxes import box_iou
from parity.mistakes.graft import graft
from reference.ops import box_convert, generalized_box_iou_loss


def matching_cost(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    target_boxes: Tensor,
    box_weight: float = 5.0,
    giou_weight: float = 2.0,
    *,
    change: str = "",
) -> Tensor:
    """The cost of matching with one change."""
    p = logits.log_softmax(2) if change == "log" else logits.sigmoid() if change == "sigmoid" else logits.softmax(2)
    p = logits[:, :, :-1].softmax(2) if change == "without no object" else p
    of_label = p.gather(2, labels.clamp(min=0)[:, None].expand(-1, logits.shape[1], -1))
    distance = torch.cdist(boxes, target_boxes, p=2 if change == "euclidean" else 1)
    corners = [each if change == "not converted" else box_convert(each, "cxcywh", "xyxy") for each in (boxes, target_boxes)]
    overlap = torch.stack([box_iou(*both, generalized=change != "iou") for both in zip(*corners, strict=True)])
    signs = {"class": (-1, 1, 1), "distance": (1, -1, 1), "overlap": (1, 1, -1)}.get(change, (1, 1, 1))
    weights = {"no class": (0, 1, 1), "no distance": (1, 0, 1), "no overlap": (1, 1, 0)}.get(change, (1, 1, 1))
    if change == "defaults":
        box_weight, giou_weight = 5.0, 2.0
    if change == "weights swapped":
        box_weight, giou_weight = giou_weight, box_weight
    terms = zip(signs, weights, (1, box_weight, giou_weight), (-of_label, distance, -overlap), strict=True)
    cost: Tensor = sum(sign * weight * factor * term for sign, weight, factor, term in terms)  # type: ignore[assignment]
    return cost.masked_fill(labels[:, None] < 0, 0)


def bipartite_matching(cost: Tensor, present: Tensor, *, change: str = "") -> Tensor:
    """The matching with one change."""
    if change == "maximised":
        return right.bipartite_matching(-cost, present)
    if change == "in order":
        numbers = torch.arange(present.shape[1]).expand_as(present)
        return numbers.masked_fill(~present, -1)
    if change == "padding":
        return right.bipartite_matching(cost, torch.ones_like(present)).masked_fill(~present, -1)
    if change not in ("greedy", "own best"):
        return right.bipartite_matching(cost, present)
    matched = torch.full_like(present, -1, dtype=torch.int64)
    for image, there in enumerate(present):
        left = cost[image].detach().clone()
        for n in there.nonzero()[:, 0]:
            matched[image, n] = left[:, n].argmin()
            if change == "greedy":
                left[matched[image, n]] = torch.inf
    return matched


def set_loss(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    target_boxes: Tensor,
    no_object: float = 0.1,
    box_weight: float = 5.0,
    giou_weight: float = 2.0,
    *,
    change: str = "",
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of a set with one change."""
    options = {"box_weight": box_weight, "giou_weight": giou_weight}
    matching = change if change in _of_cost else ""
    cost = matching_cost(
        logits.detach().double(), boxes.detach().double(), labels, target_boxes.double(), **options, change=matching
    )
    if change in _of_matching:
        matched = bipartite_matching(cost, labels >= 0, change=change)
    else:
        matched = right.bipartite_matching(cost, labels >= 0)
    image, target = (matched >= 0).nonzero(as_tuple=True)
    query = matched[image, target]
    B, Q, classes = logits.shape
    wanted = torch.full((B, Q), 0 if change == "first class" else classes - 1)
    wanted[image, query] = labels[image, target]
    weight = logits.new_ones(classes)
    weight[-1] = {"no_object 1": 1.0, "unmatched": 0.0}.get(change, no_object)
    class_loss = F.cross_entropy(logits.transpose(1, 2), wanted, weight)
    if change == "all queries":
        class_loss = F.cross_entropy(logits.transpose(1, 2), wanted, weight, reduction="sum") / (B * Q)
    count = max({"batch": B, "queries": B * Q, "not divided": 1}.get(change, len(query)), 1)
    found, sought = boxes[image, query], target_boxes[image, target]
    distance = F.l1_loss(found, sought, reduction="sum") / (4 if change == "mean of four" else 1)
    corners = [each if change == "loss not converted" else box_convert(each, "cxcywh", "xyxy") for each in (found, sought)]
    if change == "loss of iou":
        overlap = (1 - box_iou(*corners, pairs=False)).sum()
    else:
        overlap = generalized_box_iou_loss(*corners, reduction="sum")
    parts = class_loss, box_weight * distance / count, giou_weight * overlap / count
    if change == "unweighted":
        return class_loss, distance / count, overlap / count
    if change == "not divided in the backward":
        return parts[0], *(graft(part, part * count) for part in parts[1:])  # type: ignore[return-value]
    return parts


def detr_loss(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    target_boxes: Tensor,
    auxiliary: bool = True,
    *,
    change: str = "",
    of_layer: Callable[..., Any] = right.set_loss,
    **weights: float,
) -> tuple[Tensor, ...]:
    """The loss of all layers with one change, or with another loss of each."""
    first = 0 if change == "all layers" or (auxiliary and change != "last layer") else len(logits) - 1
    losses = [of_layer(*layer, labels, target_boxes, **weights) for layer in zip(logits[first:], boxes[first:], strict=True)]
    return tuple(torch.stack(part).sum(0) / (len(losses) if change == "mean" else 1) for part in zip(*losses, strict=True))


@torch.no_grad()
def detections(logits: Tensor, boxes: Tensor, *, change: str = "") -> tuple[Tensor, Tensor, Tensor]:
    """What has been found with one change."""
    p = logits.sigmoid() if change == "sigmoid" else logits.softmax(2)
    p = logits[:, :, :-1].softmax(2) if change == "without no object" else p
    kept = {"no object found": p, "first class": p[:, :, 1:], "without no object": p}.get(change, p[:, :, :-1])
    scores, found = kept.max(2)
    return scores, found, boxes.clone() if change == "not converted" else box_convert(boxes, "cxcywh", "xyxy")


def sinusoidal_positions_2d(
    x: Tensor, present: Tensor, normalize: bool = True, base: float = 10000.0, *, change: str = ""
) -> Tensor:
    """Sines and cosines of rows and columns with one change."""
    normalize = normalize != (change == "normalize")
    base = 10000.0 if change == "base" else base
    width = x.shape[1] // 2
    exponents = torch.arange(0, width, 2, dtype=torch.float64) / width
    exponents = exponents / 2 if change == "whole width" else exponents
    seen = torch.ones_like(present) if change == "padding" else present
    counted = []
    for axis in (1, 2):
        places = seen.cumsum(axis, dtype=torch.float64) - int(change == "from 0")
        last = places.amax(axis, keepdim=True)
        last = torch.full_like(last, x.shape[axis + 1]) if change == "whole map" else last
        whole = 1.0 if change == "no turn" else math.pi if change == "half a turn" else 2 * math.pi
        counted.append(whole * places / (last + (0 if change == "eps" else 1e-6)) if normalize else places)
    angles = torch.stack(counted[::-1] if change == "columns first" else counted, dim=1)[..., None] * base**-exponents
    parts = (angles.cos(), angles.sin()) if change == "swapped" else (angles.sin(), angles.cos())
    table = torch.cat(parts, dim=-1) if change == "halves" else torch.stack(parts, dim=-1).flatten(-2)
    table = table[..., :width]
    if change == "taking turns":
        return table.permute(0, 4, 1, 2, 3).flatten(1, 2).to(x.dtype)
    return table.movedim(-1, 2).flatten(1, 2).to(x.dtype)


_of_cost = {
    "log": "takes the logarithm of the probability; it is the probability itself",
    "sigmoid": "takes a sigmoid of each logit; it is a softmax",
    "without no object": "leaves no object out of the softmax",
    "class": "adds the probability of the label; it is subtracted",
    "distance": "subtracts the distance; it is added",
    "overlap": "adds the overlap; it is subtracted",
    "no class": "leaves the class out",
    "no distance": "leaves the distance out",
    "no overlap": "leaves the overlap out",
    "euclidean": "takes the Euclidean distance; it is the sum of the four distances",
    "not converted": "does not convert the boxes to corners for their overlap",
    "iou": "takes the plain intersection over union; it is the generalised one",
    "defaults": "takes the default weights",
    "weights swapped": "takes box_weight and giou_weight for each other",
}
_of_matching = {
    "maximised": "takes the assignment that costs most",
    "in order": "gives the queries out in their order",
    "padding": "gives queries to objects that are not there, which others lack",
    "greedy": "gives each object in turn the cheapest query that is left, though others may need it more",
    "own best": "gives each object its cheapest query, several of them the same one",
}
Mistakes = list[tuple[str, Callable[..., Any]]]


def _with(function: Callable[..., Any], texts: dict[str, str]) -> Mistakes:
    return [(text, partial(function, change=change)) for change, text in texts.items()]


_of_loss = _with(
    set_loss,
    {
        "unmatched": "leaves the queries without an object out of the loss; they are to say that there is none",
        "no_object 1": "counts queries without an object as much as the others: ignores no_object",
        "first class": "takes the first class for no object; it is the last",
        "all queries": "divides the loss of classes by the number of queries; torch divides by their weights",
        "batch": "divides the losses of boxes by the batch size; it is the number of objects",
        "queries": "divides the losses of boxes by the number of queries; it is that of objects",
        "not divided": "does not divide the losses of boxes by the number of objects",
        "not divided in the backward": "does not divide the gradients of boxes by the number of objects",
        "mean of four": "takes the mean of the four distances; it is their sum",
        "loss not converted": "does not convert the boxes to corners for their overlap",
        "loss of iou": "takes the plain intersection over union; it is the generalised one",
        "unweighted": "leaves box_weight and giou_weight out of the loss",
        **{
            change: f"in the matching, {text}"
            for change, text in (_of_cost | _of_matching).items()
            if change != "padding"  # it costs 0 here, and takes a query that nobody else wants
        },
    },
)
TABLE: dict[str, Mistakes] = {
    "matching_cost": _with(matching_cost, _of_cost),
    "bipartite_matching": _with(bipartite_matching, _of_matching),
    "set_loss": _of_loss,
    "detr_loss": [
        *_with(
            detr_loss,
            {
                "last layer": "leaves the auxiliary losses out, those of all layers but the last",
                "all layers": "adds auxiliary losses, where that of the last layer alone is asked for",
                "mean": "takes the mean of the layers' losses; it is their sum",
            },
        ),
        *((f"in each layer, {text}", partial(detr_loss, of_layer=wrong)) for text, wrong in _of_loss),
    ],
    "detections": _with(
        detections,
        {
            "no object found": "takes no object for a class that can be found",
            "first class": "takes the first class for no object; it is the last",
            "without no object": "leaves no object out of the softmax",
            "sigmoid": "takes a sigmoid of each logit; it is a softmax",
            "not converted": "does not convert the boxes to corners",
        },
    ),
    "sinusoidal_positions_2d": _with(
        sinusoidal_positions_2d,
        {
            "columns first": "has the columns in the first half of the channels; rows come first",
            "taking turns": "has rows and columns take turns; rows are in the first half of the channels",
            "from 0": "counts from 0; the first has 1",
            "padding": "counts the padding too",
            "whole map": "divides by the size of the map; it is that of the image in it",
            "no turn": "does not multiply by 2π",
            "half a turn": "multiplies by π; it is 2π",
            "eps": "leaves the 1e-6 of the division out",
            "normalize": "normalises where it should not, or the other way round",
            "whole width": "takes i / C for the exponent of the base, which is 2i / (C / 2)",
            "base": "takes the default base, 10000",
            "swapped": "swaps sines and cosines: the sines belong at even places",
            "halves": "has the sines in the first half and the cosines in the second; they take turns",
        },
    ),
}
