"""Mistakes in the boxes of a grid of anchors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from parity.mistakes.functions.matching import corners
from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake
from reference.ops.yolo_boxes import LARGEST, Grid

Grids = Sequence[Grid]
Boxes = Callable[[Tensor, Grids], Tensor]
WITHIN_LOSS: list[tuple[str, Boxes]] = []  # mistakes that are those of yolo_loss too; anchor_matching would share the others
WITHIN_DETECTIONS: list[tuple[str, Boxes]] = []  # mistakes that are those of yolo_detections too


def cell_by_cell(t: Tensor, H: int, W: int, A: int) -> Tensor:
    """Split predictions into rows, columns and anchors (B, H, W, A, 5 + classes)."""
    return t.unflatten(1, (H, W, A))


def columns_and_rows(columns: Tensor, rows: Tensor) -> Tensor:
    """Return the corner (x, y) of each cell, in cells."""
    return torch.stack((columns, rows), dim=-1)


def clipped(t: Tensor) -> Tensor:
    """Clip the exponent of a side, which has no gradient where it is clipped."""
    return t.masked_fill(t > LARGEST, LARGEST)


@definition("yolo_boxes")
def yolo_boxes(
    predictions: Tensor,
    grids: Grids,
    *,
    anchored: Callable[[Grids], Grids] = lambda grids: grids,
    split: Callable[[Tensor, int, int, int], Tensor] = cell_by_cell,
    joined: Callable[[Tensor], Tensor] = lambda boxes: boxes.flatten(1, 3),
    cells: Callable[[Tensor, Tensor], Tensor] = columns_and_rows,
    place: Callable[[Tensor], Tensor] = torch.sigmoid,
    clipped: Callable[[Tensor], Tensor] = clipped,
    scale: Callable[[Tensor], Tensor] = torch.exp,
    size: Callable[[int, int], tuple[int, int]] = lambda H, W: (W, H),
    divided: Callable[[Tensor, Tensor], Tensor] = torch.div,
    centred: Callable[[Tensor, Tensor], Tensor] = lambda centre, sides: centre,
    form: Callable[[Tensor], Tensor] = lambda boxes: boxes,
) -> Tensor:
    """Compute the boxes of predictions (B, predictions, 4), in stages."""
    boxes = []
    counts = [H * W * len(anchors) for (H, W), anchors in grids]
    for ((H, W), anchors), of_grid in zip(anchored(grids), predictions.split(counts, dim=1), strict=True):
        t = split(of_grid, H, W, len(anchors))
        rows, columns = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
        whole = t.new_tensor(size(H, W))
        sides = divided(t.new_tensor(anchors) * scale(clipped(t[..., 2:4])), whole)
        centre = (cells(columns, rows)[:, :, None] + place(t[..., :2])) / whole
        boxes.append(joined(torch.cat((centred(centre, sides), sides), dim=-1)))
    return form(torch.cat(boxes, dim=1))


def register(message: str, in_loss: bool = True, in_detections: bool = True, **stages: Any) -> None:
    """Register a mistake in boxes, and note whether it is one of the loss and of detections too."""
    wrong = partial(yolo_boxes, **stages)
    mistake("yolo_boxes", message)(wrong)
    WITHIN_LOSS.extend([(message, wrong)] * in_loss)
    WITHIN_DETECTIONS.extend([(message, wrong)] * in_detections)


def other_anchors(grids: Grids) -> Grids:
    """Give each grid the anchors of another grid."""
    return [(size, anchors) for (size, _), (_, anchors) in zip(grids, grids[::-1], strict=True)]


def anchors_transposed(grids: Grids) -> Grids:
    """Swap the width and the height of each anchor."""
    return [(size, [(h, w) for w, h in anchors]) for size, anchors in grids]


def _anchor_by_anchor(t: Tensor, H: int, W: int, A: int) -> Tensor:
    return t.unflatten(1, (A, H, W)).permute(0, 2, 3, 1, 4)


def _column_by_column(t: Tensor, H: int, W: int, A: int) -> Tensor:
    return t.unflatten(1, (W, H, A)).transpose(1, 2)


OTHER_ANCHORS = "gives each grid the anchors of another grid"
ANCHORS_TRANSPOSED = "swaps the width and the height of the anchors"
ANCHORS_UNDIVIDED = "does not divide anchors, which are measured in cells, by the number of cells"
ANCHOR_BY_ANCHOR = "counts all cells of one anchor before the next anchor; all anchors of a cell come before the next cell"
COLUMN_BY_COLUMN = "counts cells column by column; they come row by row"

register(OTHER_ANCHORS, in_loss=False, anchored=other_anchors)
register(ANCHORS_TRANSPOSED, in_loss=False, anchored=anchors_transposed)
register(ANCHORS_UNDIVIDED, in_loss=False, divided=lambda sides, size: sides)
register(
    ANCHOR_BY_ANCHOR,
    in_loss=False,
    split=_anchor_by_anchor,
    joined=lambda boxes: boxes.permute(0, 3, 1, 2, 4).flatten(1, 3),
)
register(COLUMN_BY_COLUMN, in_loss=False, split=_column_by_column)
register("does not add the corner of the cell", cells=lambda columns, rows: 0 * columns_and_rows(columns, rows))
register(
    "measures positions from the centre of the cell; they are measured from its corner",
    cells=lambda x, y: columns_and_rows(x, y) + 0.5,
)
register("adds the row to x and the column to y", cells=lambda columns, rows: columns_and_rows(rows, columns))
register("divides by (H, W); the divisor is (W, H)", size=lambda H, W: (H, W))
register("applies no sigmoid to the position in the cell", place=lambda t: t)
register("stretches the sigmoid beyond the cell, as YOLOv4 and YOLOv5 do", place=lambda t: 2 * t.sigmoid() - 0.5)
register("applies no exponential to the sides", scale=lambda t: t)
register("applies a sigmoid to the sides; they need an exponential", scale=torch.sigmoid)
register("does not clip the exponent: it overflows", clipped=lambda t: t)
register("has a gradient where the exponent is clipped", in_detections=False, clipped=lambda t: with_gradient_of(clipped(t), t))
register("uses the position as the first corner of the box; it is the centre", centred=lambda centre, sides: centre + sides / 2)
register("returns corners; the boxes consist of centre, width and height", in_loss=False, in_detections=False, form=corners)
