"""Mistakes in DETR's loss of all layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

import reference.ops as right
from parity.mistakes.functions import set_loss  # noqa: F401  its mistakes come first
from parity.mistakes.register import definition, mistake, registered

wrong_loss = partial(mistake, "detr_loss")


@definition("detr_loss")
def detr_loss(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    target_boxes: Tensor,
    auxiliary: bool = True,
    *,
    layers: Callable[[bool], slice] = lambda auxiliary: slice(0 if auxiliary else -1, None),
    reduced: Callable[[Tensor], Tensor] = lambda losses: losses.sum(0),
    of_layer: Callable[..., Any] = right.set_loss,
    **weights: float,
) -> tuple[Tensor, ...]:
    """Compute the losses of all layers, in stages."""
    counted = layers(auxiliary)
    losses = [of_layer(*layer, labels, target_boxes, **weights) for layer in zip(logits[counted], boxes[counted], strict=True)]
    return tuple(reduced(torch.stack(part)) for part in zip(*losses, strict=True))


@wrong_loss("leaves out the auxiliary losses, which are the losses of all layers but the last", "layers")
def last_layer(auxiliary: bool) -> slice:
    return slice(-1, None)


@wrong_loss("adds auxiliary losses, though only the loss of the last layer is asked for", "layers")
def all_layers(auxiliary: bool) -> slice:
    return slice(0, None)


@wrong_loss("takes the mean over the layers; the loss is their sum", "reduced")
def mean_of_layers(losses: Tensor) -> Tensor:
    return losses.mean(0)


for message, wrong in registered("set_loss"):
    wrong_loss(f"in each layer, {message}", "of_layer")(wrong)
