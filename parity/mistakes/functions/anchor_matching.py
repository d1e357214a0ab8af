"""Mistakes in matching objects with the anchors of a grid."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.functions.overlap_stages import box_iou
from parity.mistakes.functions.yolo_boxes import (
    ANCHOR_BY_ANCHOR,
    ANCHORS_TRANSPOSED,
    ANCHORS_UNDIVIDED,
    COLUMN_BY_COLUMN,
    OTHER_ANCHORS,
    Grids,
    anchors_transposed,
    other_anchors,
)
from parity.mistakes.register import definition, mistake

Place = tuple[int, int]
wrong_matching = partial(mistake, "anchor_matching")


def cell_of(x: float, y: float, H: int, W: int) -> Place:
    """Return the row and column of the cell that holds a centre; an edge belongs to the last cell."""
    return min(int(y * H), H - 1), min(int(x * W), W - 1)


def likeness(own: Tensor, anchors: Tensor, in_first_grid: int) -> Tensor:
    """Compute the intersection over union of an object and each anchor around one centre."""
    return box_iou(F.pad(own, (2, 0)), F.pad(anchors, (2, 0)))[0]


def best_free(likeness: Tensor, taken: Tensor) -> int | None:
    """Return the first of the best anchors whose predictions are not taken, or None."""
    return None if taken.all() else int(likeness.masked_fill(taken, -torch.inf).argmax())


@definition("anchor_matching")
def anchor_matching(
    labels: Tensor,
    boxes: Tensor,
    grids: Grids,
    *,
    anchored: Callable[[Grids], Grids] = lambda grids: grids,
    in_image: Callable[[float, float, int, int], tuple[float, float]] = lambda w, h, W, H: (w / W, h / H),
    cell: Callable[[float, float, int, int], Place] = cell_of,
    cell_number: Callable[[int, int, int, int], int] = lambda row, column, H, W: row * W + column,
    number: Callable[[int, int, int, int], int] = lambda cell, anchor, cells, anchors: cell * anchors + anchor,
    moved: Callable[[int], int] = lambda predictions: predictions,
    likeness: Callable[[Tensor, Tensor, int], Tensor] = likeness,
    chosen: Callable[[Tensor, Tensor], int | None] = best_free,
) -> Tensor:
    """Return the prediction of each object (B, objects), in stages; -1 where there is none."""
    matched, grids, there = torch.full(labels.shape, -1), anchored(grids), labels >= 0
    for (image, n), (x, y, *sides) in zip(there.nonzero().tolist(), boxes[there].tolist(), strict=True):
        choice, shapes, start = [], [], 0
        for (H, W), anchors in grids:
            at = cell_number(*cell(x, y, H, W), H, W)
            choice += [start + number(at, i, H * W, len(anchors)) for i in range(len(anchors))]
            shapes += [in_image(w, h, W, H) for w, h in anchors]
            start += moved(H * W * len(anchors))
        of_anchors, own = torch.tensor(shapes, dtype=torch.float64), torch.tensor([sides], dtype=torch.float64)
        best = chosen(likeness(own, of_anchors, len(grids[0][1])), torch.isin(torch.tensor(choice), matched[image]))
        if best is not None:
            matched[image, n] = choice[best]
    return matched.to(labels.device)


wrong_matching(OTHER_ANCHORS, "anchored")(other_anchors)
wrong_matching(ANCHORS_TRANSPOSED, "anchored")(anchors_transposed)
wrong_matching(ANCHORS_UNDIVIDED, "in_image")(lambda w, h, W, H: (w, h))
wrong_matching(ANCHOR_BY_ANCHOR, "number")(lambda cell, anchor, cells, anchors: anchor * cells + cell)
wrong_matching(COLUMN_BY_COLUMN, "cell_number")(lambda row, column, H, W: column * H + row)
SHARED_WITH_BOXES = {OTHER_ANCHORS, ANCHORS_TRANSPOSED, ANCHORS_UNDIVIDED, ANCHOR_BY_ANCHOR, COLUMN_BY_COLUMN}


@wrong_matching("swaps x and y", "cell")
def x_and_y_swapped(x: float, y: float, H: int, W: int) -> Place:
    return cell_of(y, x, H, W)


@wrong_matching("rounds to the nearest corner of a cell; an object belongs to the cell that holds its centre", "cell")
def rounded(x: float, y: float, H: int, W: int) -> Place:
    return min(round(y * H), H - 1), min(round(x * W), W - 1)


@wrong_matching("assigns a centre on the edge of the image to the next row or image; it belongs to the last cell", "cell")
def over_the_edge(x: float, y: float, H: int, W: int) -> Place:
    return int(y * H), int(x * W)


@wrong_matching("counts the predictions of each grid from 0; the predictions of the previous grids come first", "moved")
def each_grid_from_0(predictions: int) -> int:
    return 0


@wrong_matching("compares anchors by the differences of their sides; they are compared by intersection over union", "likeness")
def by_difference(own: Tensor, anchors: Tensor, in_first_grid: int) -> Tensor:
    return -(anchors - own).abs().sum(dim=1)


@wrong_matching("takes the anchor that is least like the object", "likeness")
def least_alike(own: Tensor, anchors: Tensor, in_first_grid: int) -> Tensor:
    return -likeness(own, anchors, in_first_grid)


@wrong_matching("takes only the anchors of the first grid; the best anchor can be in any grid", "likeness")
def only_first_grid(own: Tensor, anchors: Tensor, in_first_grid: int) -> Tensor:
    alike = likeness(own, anchors, in_first_grid)
    alike[in_first_grid:] = -2
    return alike


@wrong_matching("takes the last of equal anchors; the first one is taken", "chosen")
def last_of_equal(likeness: Tensor, taken: Tensor) -> int | None:
    return None if taken.all() else len(taken) - 1 - int(likeness.masked_fill(taken, -torch.inf).flip(0).argmax())


@wrong_matching("assigns one prediction to several objects; the first gets it, and the others get their second choice", "chosen")
def shared(likeness: Tensor, taken: Tensor) -> int | None:
    return int(likeness.argmax())


@wrong_matching("leaves out an object whose first choice is taken; it gets its second choice", "chosen")
def dropped(likeness: Tensor, taken: Tensor) -> int | None:
    best = int(likeness.argmax())
    return None if taken[best] else best
