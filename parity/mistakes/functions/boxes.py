"""Mistakes in the formats of boxes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

import reference.ops as right
from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import mistake

Pick = Callable[[Tensor, Tensor], Tensor]


@mistake("box_convert", "converts in the opposite direction")
def opposite_direction(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    return right.box_convert(boxes, out_fmt, in_fmt)


@mistake("box_convert", "does not convert")
def unconverted(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    return boxes


for other in ("xyxy", "xywh", "cxcywh"):
    mistake("box_convert", f"reads every box as {other}, whatever in_fmt is")(
        lambda boxes, in_fmt, out_fmt, other=other: right.box_convert(boxes, other, out_fmt)
    )


@mistake("box_convert", "swaps x and y")
def x_and_y_swapped(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    return right.box_convert(boxes, in_fmt, out_fmt)[..., [1, 0, 3, 2]]


@mistake("box_convert", "moves the corners by a whole side from the centre; they lie half a side away")
def whole_sides(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    if in_fmt == "cxcywh":
        centre, sides = boxes.split(2, dim=-1)
        boxes = torch.cat((centre, 2 * sides), dim=-1)
    return right.box_convert(boxes, in_fmt, out_fmt)


@mistake("box_convert", "does not convert the gradient back")
def gradient_unconverted(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    return with_gradient_of(right.box_convert(boxes, in_fmt, out_fmt), boxes)
