"""Boxes: formats, areas, overlaps, non-maximum suppression, matches and detections."""

import math

import numpy as np
from scipy.special import expit
from scipy.special import softmax as scipy_softmax

from parity_tests.variants.variant import variant


def _corners(boxes, format):
    a, b, c, d = np.moveaxis(boxes, -1, 0)
    if format == "xyxy":
        return a, b, c, d
    return (a, b, a + c, b + d) if format == "xywh" else (a - c / 2, b - d / 2, a + c / 2, b + d / 2)


@variant("ops.box_convert", also="yolo_loss set_loss")
def box_convert_by_formulas(boxes, in_fmt, out_fmt):
    """Go through the corners, coordinate by coordinate."""
    x1, y1, x2, y2 = _corners(boxes, in_fmt)
    converted = {
        "xyxy": (x1, y1, x2, y2),
        "xywh": (x1, y1, x2 - x1, y2 - y1),
        "cxcywh": ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
    }[out_fmt]

    def backward(dy):
        a, b, c, d = np.moveaxis(dy, -1, 0)
        dx1, dy1, dx2, dy2 = {
            "xyxy": (a, b, c, d),
            "xywh": (a - c, b - d, c, d),
            "cxcywh": (a / 2 - c, b / 2 - d, a / 2 + c, b / 2 + d),
        }[out_fmt]
        dboxes = {
            "xyxy": (dx1, dy1, dx2, dy2),
            "xywh": (dx1 + dx2, dy1 + dy2, dx2, dy2),
            "cxcywh": (dx1 + dx2, dy1 + dy2, (dx2 - dx1) / 2, (dy2 - dy1) / 2),
        }[in_fmt]
        return np.stack(dboxes, axis=-1)

    return np.stack(converted, axis=-1), backward


@variant("ops.box_area")
def box_area_by_difference(boxes):
    """Use np.diff and np.prod."""
    sides = np.diff(boxes.reshape(*boxes.shape[:-1], 2, 2), axis=-2)[..., 0, :]

    def backward(dy):
        by_width, by_height = dy * sides[..., 1], dy * sides[..., 0]
        return np.stack([-by_width, -by_height, by_width, by_height], axis=-1)

    return sides.prod(axis=-1), backward


def _between(low, high):
    """Return the length max(high - low, 0), and its slope with respect to `high`."""
    return np.clip(high - low, 0, None), (high >= low).astype(high.dtype)


def _of_maximum(a, b):
    """Return the shares of two numbers in the gradient of their maximum; equal numbers have half of it each."""
    share = np.where(a == b, 0.5, np.where(a > b, 1, 0)).astype(a.dtype)
    return share, 1 - share


def _pairs(boxes1, boxes2, generalised):
    """Return the overlap of boxes (N, 1, 4) with boxes (1, M, 4), and its backward, coordinate by coordinate."""
    one, two = np.broadcast_arrays(boxes1, boxes2)
    p, q = np.moveaxis(one, -1, 0), np.moveaxis(two, -1, 0)  # x1, y1, x2, y2 of each pair
    sides = [_between(np.maximum(p[k], q[k]), np.minimum(p[k + 2], q[k + 2])) for k in range(2)]
    shared = sides[0][0] * sides[1][0]
    areas = [(r[2] - r[0]) * (r[3] - r[1]) for r in (p, q)]
    union = areas[0] + areas[1] - shared
    safe = np.where(union == 0, 1, union)
    hull_sides = [np.maximum(p[k + 2], q[k + 2]) - np.minimum(p[k], q[k]) for k in range(2)]
    hull = hull_sides[0] * hull_sides[1]
    safe_hull = np.where(hull == 0, 1, hull)
    y = shared / safe - ((safe_hull - union) / safe_hull if generalised else 0)  # a hull without an area counts as 1

    def backward(dy):
        dunion = -dy * shared / safe**2 + (dy / safe_hull if generalised else 0)
        dshared = dy / safe - dunion
        dhull = -dy * union / safe_hull**2 if generalised else np.zeros_like(dy)
        found = []
        for mine, other in ((p, q), (q, p)):
            d = np.zeros_like(np.broadcast_to(dy, mine.shape))
            for k in range(2):
                through = dshared * sides[1 - k][0] * sides[k][1]
                area = dunion * (mine[3 - k] - mine[1 - k])
                around = dhull * hull_sides[1 - k]
                d[k] -= through * _of_maximum(mine[k], other[k])[0] + area + around * _of_maximum(-mine[k], -other[k])[0]
                d[k + 2] += through * _of_maximum(-mine[k + 2], -other[k + 2])[0] + area
                d[k + 2] += around * _of_maximum(mine[k + 2], other[k + 2])[0]
            found.append(np.moveaxis(d, 0, -1))
        return found

    return y.astype(one.dtype), backward


def _all_pairs(boxes1, boxes2, generalised):
    y, of_pairs = _pairs(boxes1[:, None], boxes2[None], generalised)

    def backward(dy):
        dboxes1, dboxes2 = of_pairs(dy)
        return dboxes1.sum(axis=1), dboxes2.sum(axis=0)

    return y, backward


@variant("ops.box_iou")
def box_iou_by_coordinates(boxes1, boxes2):
    """Write each coordinate alone, with clipped sides."""
    return _all_pairs(boxes1, boxes2, generalised=False)


@variant("ops.generalized_box_iou")
def generalized_box_iou_by_coordinates(boxes1, boxes2):
    """Write each coordinate alone, with clipped sides."""
    return _all_pairs(boxes1, boxes2, generalised=True)


@variant("ops.box_iou")
def box_iou_pair_by_pair(boxes1, boxes2):
    """Loop over all pairs, in float64."""
    wide = [[a[None].astype(np.float64) for a in boxes] for boxes in (boxes1, boxes2)]
    pairs = {(n, m): _pairs(a, b, generalised=False) for n, a in enumerate(wide[0]) for m, b in enumerate(wide[1])}
    y = np.zeros((len(boxes1), len(boxes2)), boxes1.dtype)
    for at, (value, _) in pairs.items():
        y[at] = value[0]

    def backward(dy):
        dboxes1, dboxes2 = np.zeros(boxes1.shape), np.zeros(boxes2.shape)
        for (n, m), (_, of_pair) in pairs.items():
            d1, d2 = of_pair(dy[n, m, None].astype(np.float64))
            dboxes1[n] += d1[0]
            dboxes2[m] += d2[0]
        return dboxes1.astype(boxes1.dtype), dboxes2.astype(boxes2.dtype)

    return y, backward


@variant("ops.generalized_box_iou_loss")
def generalized_box_iou_loss_by_coordinates(boxes1, boxes2, reduction="mean"):
    """Write each coordinate alone, and reduce the losses at the end."""
    y, of_pairs = _pairs(boxes1, boxes2, generalised=True)
    loss = 1 - y
    count = loss.size if reduction == "mean" else 1

    def backward(dy=1.0):
        return tuple(of_pairs(np.broadcast_to(np.asarray(-dy / count, loss.dtype), loss.shape)))

    return loss if reduction == "none" else loss.sum() / loss.dtype.type(count), backward


def _iou_matrix(boxes):
    return _pairs(boxes[:, None], boxes[None], generalised=False)[0]


@variant("ops.nms", also="yolo_detections-few")
def nms_by_matrix(boxes, scores, iou_threshold):
    """Compute all overlaps first, and walk over the sorted boxes with a mask."""
    order = np.argsort(-scores, kind="stable")
    overlaps = _iou_matrix(boxes[order]) > iou_threshold
    kept = np.ones(len(order), bool)
    for n in range(len(order)):
        if kept[n]:
            kept[n + 1 :] &= ~overlaps[n, n + 1 :]
    return order[kept].astype(np.int64), lambda dkept: (None, None)


@variant("ops.nms", also="yolo_detections", but="nms-large")
def nms_by_sorted_list(boxes, scores, iou_threshold):
    """Keep a Python list, and compare each box with those that are kept."""
    kept = []
    for n in sorted(range(len(scores)), key=lambda n: (-scores[n], n)):
        if all(_iou_matrix(boxes[[m, n]])[0, 1] <= iou_threshold for m in kept):
            kept.append(n)
    return np.array(kept, dtype=np.int64), lambda dkept: (None, None)


@variant("ops.bipartite_matching", only="bipartite_matching", also="set_loss detr_loss")
def bipartite_matching_by_subsets(cost, present):
    """Try all assignments by dynamic programming over the sets of objects that have a query."""
    matched = np.full(present.shape, -1)
    for image, there in enumerate(present):
        objects = np.flatnonzero(there)
        best = {0: (0.0, ())}  # by set of objects: the least cost, and the pairs
        for query, costs in enumerate(cost[image]):
            for taken, (total, pairs) in list(best.items()):
                for k, n in enumerate(objects):
                    more = taken | 1 << k
                    if more != taken and total + costs[n] < best.get(more, (math.inf,))[0]:
                        best[more] = total + costs[n], (*pairs, (n, query))
        for n, query in best[2 ** len(objects) - 1][1]:
            matched[image, n] = query
    return matched, lambda dmatched: (None, None)


@variant("ops.matching_cost", also="set_loss")
def matching_cost_image_by_image(logits, boxes, labels, target_boxes, box_weight=5.0, giou_weight=2.0):
    """Loop over the images and their objects."""
    cost = np.zeros((*logits.shape[:2], labels.shape[1]), logits.dtype)
    for image, n in zip(*np.nonzero(labels >= 0), strict=True):
        found, sought = boxes[image], target_boxes[image, n][None]
        overlap, _ = _pairs(*(np.stack(_corners(b, "cxcywh"), axis=-1) for b in (found, sought)), generalised=True)
        distance = np.linalg.norm(found - sought, ord=1, axis=1)
        probability = scipy_softmax(logits[image], axis=1)[:, labels[image, n]]
        cost[image, :, n] = box_weight * distance - probability - giou_weight * overlap
    return cost, lambda dcost: (None, None, None, None)


@variant("ops.detections", also="detections")
def detections_by_sorting(logits, boxes):
    """Sort the classes, and compute the corners by formulas."""
    p = scipy_softmax(logits, axis=-1)[..., :-1]
    label = np.argsort(-p, axis=-1, kind="stable")[..., :1]
    corners = np.stack(_corners(boxes, "cxcywh"), axis=-1)
    return (np.take_along_axis(p, label, axis=-1)[..., 0], label[..., 0], corners), lambda *dy: (None, None)


def _numbered(grids):
    """Yield the number of each prediction with its grid's size, its cell and its anchor."""
    places = [
        (H, W, row, column, anchor) for (H, W), anchors in grids for row in range(H) for column in range(W) for anchor in anchors
    ]
    yield from enumerate(places)


@variant("ops.yolo_boxes", also="yolo_loss yolo_detections")
def yolo_boxes_prediction_by_prediction(predictions, grids):
    """Loop over the predictions, in float64."""
    t = predictions.astype(np.float64)
    boxes, slopes = np.zeros((*t.shape[:2], 4)), np.zeros((*t.shape[:2], 4))
    for p, (H, W, row, column, (width, height)) in _numbered(grids):
        s = expit(t[:, p, :2])
        boxes[:, p, :2] = np.add(s, (column, row)) / (W, H)
        slopes[:, p, :2] = s * (1 - s) / (W, H)
        boxes[:, p, 2:] = np.exp(np.clip(t[:, p, 2:4], None, math.log(62.5))) * (width / W, height / H)
        slopes[:, p, 2:] = boxes[:, p, 2:] * (t[:, p, 2:4] <= math.log(62.5))

    def backward(dboxes):
        dpredictions = np.zeros_like(predictions)
        dpredictions[..., :4] = dboxes * slopes
        return dpredictions

    return boxes.astype(predictions.dtype), backward


@variant("ops.anchor_matching", also="yolo_loss yolo_loss-ties")
def anchor_matching_object_by_object(labels, boxes, grids):
    """Loop over the objects, with a set of the predictions that are taken."""
    anchors = [(p, H, W, row, column, anchor) for p, (H, W, row, column, anchor) in _numbered(grids)]
    matched = np.full(labels.shape, -1)
    for image in range(len(labels)):
        taken = set()
        for n in np.flatnonzero(labels[image] >= 0):
            x, y, w, h = boxes[image, n].astype(np.float64).tolist()
            best = (-1.0, 1)  # likeness, and minus the number of the prediction: of equal ones the first wins
            for p, H, W, row, column, (width, height) in anchors:
                if (min(int(y * H), H - 1), min(int(x * W), W - 1)) == (row, column) and p not in taken:
                    shared = min(w, width / W) * min(h, height / H)
                    union = w * h + width / W * (height / H) - shared
                    likeness = shared / union if union else 0.0
                    best = max(best, (likeness, -p))
            if best[0] >= 0:
                matched[image, n] = -best[1]
                taken.add(-best[1])
    return matched, lambda dmatched: (None, None)
