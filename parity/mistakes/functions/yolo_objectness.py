"""Mistakes in the objectness term of YOLO's loss: its weights and its targets."""

from __future__ import annotations

import torch
from torch import Tensor

from parity.mistakes.functions.overlap_stages import overlap
from parity.mistakes.functions.yolo_loss import full, weights, wrong_loss


@wrong_loss("ignores no prediction: predictions that overlap an object are trained to say that there is no object", "weights")
def nothing_ignored(chosen: Tensor, ignored: Tensor, no_object: float) -> Tensor:
    return full(chosen, no_object).masked_fill(chosen, 1)


@wrong_loss("ignores predictions that overlap an object even where they are matched with it", "weights")
def matched_ignored(chosen: Tensor, ignored: Tensor, no_object: float) -> Tensor:
    return full(chosen, no_object).masked_fill(chosen, 1).masked_fill(ignored, 0)


@wrong_loss("trains predictions that overlap an object but are not matched to say that there is one; they are ignored", "asked")
def ignored_asked(there: Tensor, chosen: Tensor, ignored: Tensor) -> tuple[Tensor, Tensor]:
    return torch.where(ignored, 1, there), chosen | ignored


@wrong_loss("ignores every prediction that overlaps an object at all; it ignores those above ignore_above", "limit")
def any_overlap(ignore_above: float) -> float:
    return 0.0


@wrong_loss("gives predictions without an object the same weight as the others: ignores no_object", "weights")
def no_object_1(chosen: Tensor, ignored: Tensor, no_object: float) -> Tensor:
    return weights(chosen, ignored, 1.0)


@wrong_loss("leaves predictions without an object out of the loss; they are trained to say that there is none", "weights")
def no_object_0(chosen: Tensor, ignored: Tensor, no_object: float) -> Tensor:
    return weights(chosen, ignored, 0.0)


@wrong_loss("trains objectness to be the overlap, as YOLOv2 does; it is trained to be 1", "objectness")
def objectness_is_overlap(found: Tensor, sought: Tensor) -> Tensor:
    return overlap(found, sought).detach()


@wrong_loss("trains objectness to be the overlap, and lets a gradient through the overlap", "objectness")
def objectness_through_overlap(found: Tensor, sought: Tensor) -> Tensor:
    return overlap(found, sought)
