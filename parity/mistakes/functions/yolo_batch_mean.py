"""Mistakes in the mean of YOLO's loss over the images of a batch."""

from __future__ import annotations

from torch import Tensor

from parity.mistakes.functions.yolo_loss import wrong_loss
from parity.mistakes.passes import with_gradient_of


@wrong_loss("divides by the batch size twice", "divided")
def divided_twice(part: Tensor, images: int, objects: int, predictions: int) -> Tensor:
    return part / (images * images)


@wrong_loss("does not divide by the batch size", "divided")
def not_divided(part: Tensor, images: int, objects: int, predictions: int) -> Tensor:
    return part


@wrong_loss("divides by the number of objects; the divisor is the number of images", "divided")
def divided_by_objects(part: Tensor, images: int, objects: int, predictions: int) -> Tensor:
    return part / max(objects, 1)


@wrong_loss("divides by the number of predictions; the divisor is the number of images", "divided")
def divided_by_predictions(part: Tensor, images: int, objects: int, predictions: int) -> Tensor:
    return part / predictions


@wrong_loss("does not divide the gradient by the batch size", "divided")
def gradient_not_divided(part: Tensor, images: int, objects: int, predictions: int) -> Tensor:
    return with_gradient_of(part / images, part)
