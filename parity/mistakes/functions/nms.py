"""Mistakes in non-maximum suppression."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

import parity.mistakes.functions.overlaps  # noqa: F401  its mistakes come first
from parity.mistakes.functions.overlap_stages import box_iou
from parity.mistakes.register import definition, mistake, registered

IN_THE_BACKWARD = {"larger", "smaller", "divided"}  # stages of an overlap whose mistakes change only gradients


def highest_first(scores: Tensor) -> Tensor:
    """Order boxes by falling scores, the first of equal ones first."""
    return scores.argsort(descending=True, stable=True)


def first_kept(repeats: Tensor, *, suppresses: Callable[[bool], bool] = lambda kept: kept) -> Tensor:
    """Return which boxes are kept, where a box that is kept suppresses those after it that it repeats."""
    kept = torch.ones(len(repeats), dtype=torch.bool)
    for i in range(len(repeats)):
        if suppresses(bool(kept[i])):
            kept[i + 1 :] &= ~repeats[i, i + 1 :]
    return kept


@definition("nms")
def nms(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float,
    *,
    ordered: Callable[[Tensor], Tensor] = highest_first,
    overlaps: Callable[[Tensor, Tensor], Tensor] = box_iou,
    repeating: Callable[[Tensor, float], Tensor] = torch.gt,
    keeping: Callable[[Tensor], Tensor] = first_kept,
    listed: Callable[[Tensor], Tensor] = lambda kept: kept,
) -> Tensor:
    """Suppress boxes that overlap a box with a higher score, in stages."""
    order = ordered(scores)
    overlap = overlaps(boxes[order], boxes[order])
    return listed(order[keeping(repeating(overlap, iou_threshold))])


@mistake("nms", "suppresses boxes whose overlap equals the threshold; it must be above", "repeating")
def at_the_threshold(overlap: Tensor, iou_threshold: float) -> Tensor:
    return overlap >= iou_threshold


@mistake("nms", "begins with the last of equal scores; the first of them comes first", "ordered")
def last_of_equal(scores: Tensor) -> Tensor:
    return scores.flip(0).argsort(descending=True, stable=True).neg() + len(scores) - 1


@mistake("nms", "begins with the lowest score", "ordered")
def lowest_first(scores: Tensor) -> Tensor:
    return scores.argsort(stable=True)


mistake("nms", "lets suppressed boxes suppress others", "keeping")(partial(first_kept, suppresses=lambda kept: True))


@mistake("nms", "returns the indices in rising order; the box with the highest score comes first", "listed")
def in_rising_order(kept: Tensor) -> Tensor:
    return kept.sort().values


for message, wrong in registered("box_iou"):
    if not wrong.keywords["measure"].keywords.keys() & IN_THE_BACKWARD:  # type: ignore[attr-defined]
        mistake("nms", message, "overlaps")(wrong)
