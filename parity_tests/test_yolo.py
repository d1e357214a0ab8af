"""Grids of anchors beyond their cases: the papers' formulas by hand, matching, the loss, detections, and the whole YOLO."""

import math

import numpy as np
import pytest
import torch

import reference.models
import reference.ops
import scratch.models
import scratch.optim
from parity.cases.yolo import CLASSES, EVEN_GRIDS, GRIDS, B, N, at_edges, equal_objects, nothing, objects, predictions
from parity.inputs import Draw
from parity.weights import get_state, set_state
from parity_tests.shared import assert_equal_up_to_rounding, assert_refused_in_one_line, assert_weights_load
from scratch.module import constant
from scratch.ops import (
    anchor_matching,
    box_convert,
    box_iou,
    generalized_box_iou_loss,
    set_loss,
    yolo_boxes,
    yolo_detections,
    yolo_loss,
)
from scratch.random import manual_seed

BACKENDS = {"numpy": scratch.models, "torch": reference.models}
every_backend = pytest.mark.parametrize("models", BACKENDS.values(), ids=BACKENDS)
every_grids = pytest.mark.parametrize("grids", [GRIDS, EVEN_GRIDS, GRIDS[:1]], ids=["two", "even", "one"])


def cells(grids):
    """Return the cell of each prediction in order: (height and width of the grid, row, column, anchor)."""
    return [
        (H, W, row, column, anchor) for (H, W), anchors in grids for row in range(H) for column in range(W) for anchor in anchors
    ]


def sigmoid(t):
    return 1 / (1 + math.exp(-t))


def corners(box):
    return box_convert(np.asarray(box, np.float64), "cxcywh", "xyxy")[0]


def iou(one, two):
    return box_iou(corners(one)[None], corners(two)[None])[0].item()


def matched_by(matching, labels, boxes, grids):
    """Return the indices of the predictions that a backend matches with the objects."""
    as_arrays = np.array(labels), np.array(boxes, np.float64)
    if matching is anchor_matching:
        return matching(*as_arrays, grids)[0].tolist()
    return matching(*map(torch.from_numpy, as_arrays), grids).tolist()


every_matching = pytest.mark.parametrize("matching", [anchor_matching, reference.ops.anchor_matching], ids=BACKENDS)

# --- boxes ---


@every_grids
def test_boxes_agree_with_the_papers_formula(grids):
    predicted = predictions(Draw(0), grids)
    boxes, _ = yolo_boxes(predicted, grids)
    for p, (H, W, row, column, (w, h)) in enumerate(cells(grids)):
        for b in range(B):
            x, y, a, c = predicted[b, p, :4]
            sides = (size * math.exp(min(t, math.log(62.5))) for size, t in ((w / W, a), (h / H, c)))
            expected = [(column + sigmoid(x)) / W, (row + sigmoid(y)) / H, *sides]
            assert_equal_up_to_rounding(boxes[b, p], expected, 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_exponents_do_not_overflow_and_have_gradient_0(dtype):
    predicted = np.zeros((1, 30, 6), dtype)
    predicted[0, :, 2:4] = np.geomspace(1, 1e30, 30)[:, None]
    boxes, backward = yolo_boxes(predicted, GRIDS[:1])
    assert np.isfinite(boxes).all()
    gradient = backward(np.ones_like(boxes))
    assert (gradient[..., 2:4] != 0).tolist() == (predicted[..., 2:4] <= math.log(62.5)).tolist()
    parts, loss_backward = yolo_loss(predicted, np.array([[0]]), np.array([[[0.5, 0.5, 0.2, 0.3]]], dtype), GRIDS[:1])
    assert all(np.isfinite(part) for part in parts)
    assert np.isfinite(loss_backward(*map(dtype, (1, 1, 1)))[0]).all()


# --- matching ---


@pytest.mark.parametrize("seed", range(10))
@every_matching
def test_an_object_gets_its_cells_anchor_of_most_similar_shape(matching, seed):
    labels, boxes = objects(GRIDS)(Draw(seed)).values()
    matched = matched_by(matching, labels, boxes, GRIDS)
    for b, n in np.ndindex(labels.shape):
        if labels[b, n] < 0:
            assert matched[b][n] == -1
            continue
        x, y, w, h = boxes[b, n]
        likeness = {
            p: iou([0, 0, w, h], [0, 0, anchor[0] / W, anchor[1] / H])
            for p, (H, W, row, column, anchor) in enumerate(cells(GRIDS))
            if column <= x * W < column + 1 and row <= y * H < row + 1 and p not in matched[b][:n]
        }
        assert matched[b][n] == max(likeness, key=lambda p: likeness[p])


@every_matching
def test_a_cell_includes_its_upper_and_left_border(matching):
    grids = (((2, 4), ((1.0, 1.0),)),)
    places = {(0, 0): 0, (0.25, 0): 1, (0.2499, 0.4999): 0, (0.25, 0.5): 5, (1, 0): 3, (0, 1): 4, (1, 1): 7, (0.999, 0.999): 7}
    for place, expected in places.items():
        assert matched_by(matching, [[0]], [[[*place, 0.1, 0.1]]], grids) == [[expected]]


@every_matching
def test_the_first_of_equal_anchors_gets_the_object(matching):
    grids = (((1, 1), ((0.5, 0.25), (0.25, 0.5))), ((1, 2), ((1.0, 0.25), (0.5, 0.5))))
    assert matched_by(matching, [[0]], [[[0.75, 0.5, 0.25, 0.25]]], grids) == [[0]]  # half of the box of each anchor
    assert matched_by(matching, [[0]], [[[0.75, 0.5, 0.25, 0.5]]], grids) == [[1]]  # equal to the second and the last anchor
    assert matched_by(matching, [[0]], [[[0.5, 0.5, 0.0, 0.0]]], grids) == [[0]]  # overlaps no anchor


@every_matching
def test_later_objects_get_the_next_best_free_anchor(matching):
    grids = (((1, 1), ((0.5, 0.25), (0.25, 0.5))), ((1, 2), ((1.0, 0.25), (0.5, 0.5))))
    like_the_second = [0.75, 0.5, 0.25, 0.5]
    assert matched_by(matching, [[0] * 5], [[like_the_second] * 5], grids) == [[1, 5, 0, 4, -1]]
    assert matched_by(matching, [[0, -1, 2]], [[like_the_second] * 3], grids) == [[1, -1, 5]]
    two_images = matched_by(matching, [[0, 0], [-1, 0]], [[like_the_second] * 2] * 2, grids)
    assert two_images == [[1, 5], [-1, 1]]
    elsewhere = [0.25, 0.5, 0.25, 0.5]
    assert matched_by(matching, [[0, 0]], [[elsewhere, like_the_second]], grids) == [[1, 5]]


# --- the loss ---

BATCHES = {
    "like anchors": (objects(GRIDS), GRIDS),
    "ties": (equal_objects, EVEN_GRIDS),
    "edges": (at_edges, GRIDS),
    "none": (nothing, GRIDS),
    "one grid": (objects(GRIDS[1:]), GRIDS[1:]),
}


@pytest.mark.parametrize("batch", BATCHES)
def test_the_loss_agrees_with_the_papers_formula(batch):
    """Compute the loss image by image and prediction by prediction, from the matching."""
    draw_objects, grids = BATCHES[batch]
    predicted, (labels, boxes) = predictions(Draw(1), grids), draw_objects(Draw(0)).values()
    matched, decoded = anchor_matching(labels, boxes, grids)[0], yolo_boxes(predicted, grids)[0]
    classes = objectness = overlap = 0.0
    ignored = 0
    for b, p in np.ndindex(predicted.shape[:2]):
        p_there, p_classes = sigmoid(predicted[b, p, 4]), [sigmoid(t) for t in predicted[b, p, 5:]]
        if p in matched[b]:
            n = matched[b].tolist().index(p)
            objectness -= math.log(p_there)
            classes -= sum(math.log(q if k == labels[b, n] else 1 - q) for k, q in enumerate(p_classes))
            overlap += generalized_box_iou_loss(corners(decoded[b, p]), corners(boxes[b, n]))[0]
        elif any(iou(decoded[b, p], boxes[b, n]) > 0.5 for n in np.flatnonzero(labels[b] >= 0)):
            ignored += 1
        else:
            objectness -= 0.5 * math.log(1 - p_there)
    assert ignored or batch != "like anchors"
    parts, _ = yolo_loss(predicted, labels, boxes, grids)
    assert_equal_up_to_rounding(parts, [classes / B, objectness / B, 5 * overlap / B], 1e-11)


def test_matched_predictions_have_gradients_and_ignored_ones_none():
    predicted, (labels, boxes) = predictions(Draw(1), GRIDS), objects(GRIDS)(Draw(0)).values()
    matched, decoded = anchor_matching(labels, boxes, GRIDS)[0], yolo_boxes(predicted, GRIDS)[0]
    _, backward = yolo_loss(predicted, labels, boxes, GRIDS)
    gradient, *nothing = backward(1.0, 1.0, 1.0)
    assert nothing == [None, None]
    for b, p in np.ndindex(predicted.shape[:2]):
        if p in matched[b]:
            assert (gradient[b, p, 4:] != 0).all()
        else:
            near = any(iou(decoded[b, p], boxes[b, n]) > 0.5 for n in np.flatnonzero(labels[b] >= 0))
            assert gradient[b, p].any() != near
            assert not np.delete(gradient[b, p], 4).any()


def test_padding_and_other_images_do_not_change_the_loss():
    predicted, (labels, boxes) = predictions(Draw(2), GRIDS), objects(GRIDS)(Draw(3)).values()
    parts, backward = yolo_loss(predicted, labels, boxes, GRIDS)
    gradient, *_ = backward(1.0, 2.0, 3.0)
    padded = np.pad(labels, ((0, 0), (1, 2)), constant_values=-1), np.pad(boxes, ((0, 0), (1, 2), (0, 0)), constant_values=np.nan)
    wider, wider_backward = yolo_loss(predicted, *padded, GRIDS)
    assert_equal_up_to_rounding(wider, parts, 1e-13)
    assert_equal_up_to_rounding(wider_backward(1.0, 2.0, 3.0)[0], gradient, 1e-13)
    alone = [yolo_loss(predicted[b, None], labels[b, None], boxes[b, None], GRIDS) for b in range(B)]
    assert_equal_up_to_rounding(np.mean([part for part, _ in alone], axis=0), parts, 1e-12)
    assert_equal_up_to_rounding(np.concatenate([b(1.0, 2.0, 3.0)[0] for _, b in alone]) / B, gradient, 1e-12)
    without_columns, _ = yolo_loss(predicted, labels[:, :0], boxes[:, :0], GRIDS)
    assert_equal_up_to_rounding(without_columns, yolo_loss(predicted, *nothing(Draw(0)).values(), GRIDS)[0], 1e-13)


def right_predictions(labels, boxes, grids):
    """Return confident predictions of the objects: the inverse of yolo_boxes for matched predictions."""
    places = cells(grids)
    predicted = np.zeros((len(labels), len(places), 5 + CLASSES))
    predicted[..., 4:] = -30
    for b, n in np.argwhere(labels >= 0):
        p = anchor_matching(labels, boxes, grids)[0][b, n]
        H, W, row, column, (w, h) = places[p]
        x, y, width, height = boxes[b, n]
        shares = x * W - column, y * H - row
        predicted[b, p, :4] = [
            *(math.log(share / (1 - share)) for share in shares),
            math.log(width * W / w),
            math.log(height * H / h),
        ]
        predicted[b, p, [4, 5 + labels[b, n]]] = 30
    return predicted


def test_right_predictions_have_a_loss_near_0_and_are_detected():
    labels, boxes = objects(GRIDS)(Draw(4)).values()
    predicted = right_predictions(labels, boxes, GRIDS)
    parts, _ = yolo_loss(predicted, labels, boxes, GRIDS)
    assert max(parts) < 1e-9
    for found, label, box in zip(yolo_detections(predicted, GRIDS)[0], labels, boxes, strict=True):
        there = label >= 0
        assert len(found["labels"]) == there.sum()
        for each, where in zip(found["labels"], found["boxes"], strict=True):
            assert min(np.abs(where - other).max() for other in box[label == each]) < 1e-9


def test_float32_and_float64_give_the_same_matching():
    predicted, (labels, boxes) = predictions(Draw(5), GRIDS), objects(GRIDS)(Draw(5)).values()
    exact, _ = yolo_loss(predicted, labels, boxes, GRIDS)
    parts, backward = yolo_loss(predicted.astype(np.float32), labels, boxes.astype(np.float32), GRIDS)
    assert {part.dtype for part in parts} == {np.dtype(np.float32)}
    np.testing.assert_allclose(parts, exact, rtol=1e-5)
    assert backward(*(np.float32(1) for _ in range(3)))[0].dtype == np.float32


def test_detr_trains_on_the_same_batches():
    labels, boxes = objects(GRIDS)(Draw(6)).values()
    boxes[labels < 0] = 0
    yolo_loss(predictions(Draw(6), GRIDS), labels, boxes, GRIDS)
    set_loss(Draw(6).normal(B, 9, CLASSES + 1), np.full((B, 9, 4), 0.25), labels, boxes)


# --- detections ---


def predictions_of(*objects):
    """Return predictions in one cell, with one anchor for each object (its sides and its scores)."""
    grid = (((1, 1), tuple(sides for sides, _ in objects)),)
    predicted = np.zeros((1, len(objects), 5 + len(objects[0][1])))
    predicted[0, :, 4] = 50
    predicted[0, :, 5:] = [[math.log(score / (1 - score)) for score in scores] for _, scores in objects]
    return predicted, grid


def test_only_a_better_box_of_its_class_suppresses_a_box():
    predicted, grid = predictions_of(((0.4, 0.4), (0.6, 0.01)), ((0.4, 0.5), (0.7, 0.3)), ((0.1, 0.1), (0.5, 0.02)))
    (found,), backward = yolo_detections(predicted, grid)
    assert found["labels"].tolist() == [0, 0, 1]
    np.testing.assert_allclose(found["scores"], [0.7, 0.5, 0.3])
    np.testing.assert_allclose(found["boxes"], [[0.5, 0.5, 0.4, 0.5], [0.5, 0.5, 0.1, 0.1], [0.5, 0.5, 0.4, 0.5]])
    assert backward(found) is None
    (fewer,), _ = yolo_detections(predicted, grid, score_threshold=0.4)
    assert fewer["labels"].tolist() == [0, 0]
    (more,), _ = yolo_detections(predicted, grid, iou_threshold=0.9)
    np.testing.assert_allclose(more["scores"], [0.7, 0.6, 0.5, 0.3])


def test_detections_score_above_the_threshold():
    predicted, grid = predictions_of(((0.4, 0.4), (0.0502, 0.0498, 0.5)))
    assert yolo_detections(predicted, grid)[0][0]["labels"].tolist() == [2, 0]
    assert yolo_detections(predicted, grid, score_threshold=0.5)[0][0]["labels"].tolist() == []


def test_rounding_does_not_decide_which_box_is_kept():
    """Compare two scores that are both 1 in float32; then the first box would be kept."""
    predicted, grid = predictions_of(((0.4, 0.4), (0.5,)), ((0.4, 0.5), (0.5,)))
    predicted[0, :, 4:] = [[20, 50], [21, 50]]
    (found,), _ = yolo_detections(predicted.astype(np.float32), grid)
    np.testing.assert_allclose(found["boxes"], [[0.5, 0.5, 0.4, 0.5]], rtol=1e-6)


def test_low_scores_give_no_detections():
    predicted = np.full((2, len(cells(GRIDS)), 7), -9, np.float32)
    for found in yolo_detections(predicted, GRIDS)[0]:
        assert {name: (array.shape, array.dtype) for name, array in found.items()} == {
            "boxes": ((0, 4), np.float32),
            "scores": ((0,), np.float32),
            "labels": ((0,), np.int64),
        }
    for theirs in reference.ops.yolo_detections(torch.from_numpy(predicted), GRIDS):
        assert {name: tuple(tensor.shape) for name, tensor in theirs.items()} == {"boxes": (0, 4), "scores": (0,), "labels": (0,)}


# --- the model ---

SMALL = {"in_channels": 1, "classes": CLASSES, "width": 4, "blocks": (1, 1, 1), "anchors": (((9, 14), (16, 10)), ((5, 7),))}


def twins(dtype="float64", **config):
    """Return a YOLO of each backend with the same weights."""
    manual_seed(0)
    ours = scratch.models.YOLO(**SMALL | config).astype(dtype)
    theirs = reference.models.YOLO(**SMALL | config).to(getattr(torch, dtype))
    set_state(theirs, get_state(ours))
    return ours, theirs


def scenes(count, H=32, W=48):
    """Draw images with bright and dark boxes, their labels and their boxes."""
    rng = np.random.default_rng(0)
    images, labels, boxes = rng.normal(0, 0.1, (count, 1, H, W)), np.full((count, 3), -1), np.zeros((count, 3, 4))
    for b in range(count):
        for n in range(b % 4):
            w, h = rng.integers((5, 6), (18, 16))
            x, y = rng.integers((0, 0), (W - w, H - h))
            labels[b, n] = rng.integers(CLASSES)
            boxes[b, n] = (x + w / 2) / W, (y + h / 2) / H, w / W, h / H
            images[b, 0, y : y + h, x : x + w] += (-1) ** n * (1 + labels[b, n])
    return images, labels, boxes


@every_backend
def test_grids_follow_the_strides(models):
    assert models.YOLO(**SMALL).grids(32, 48) == (
        ((4, 6), ((9 / 8, 14 / 8), (16 / 8, 10 / 8))),
        ((8, 12), ((5 / 4, 7 / 4),)),
    )


def test_anchors_are_sides_in_pixels():
    ours, _ = twins()
    boxes, _ = yolo_boxes(np.zeros((1, 4 * 6 * 2 + 8 * 12, 5 + CLASSES)), ours.grids(32, 48))
    sides = np.unique(boxes[0, :, 2:] * (48, 32), axis=0)
    np.testing.assert_allclose(sides, [[5, 7], [9, 14], [16, 10]])


@every_backend
def test_images_may_have_any_size_that_cells_divide(models):
    ours, theirs = twins()
    ours.eval()
    theirs.eval()
    model, as_images = (ours, lambda a: a) if models is scratch.models else (theirs, torch.from_numpy)
    for H, W in ((8, 8), (8, 40), (56, 16)):
        y = model(as_images(np.zeros((2, 1, H, W))))
        y = y[0] if models is scratch.models else y
        assert y.shape == (2, H * W // 64 * 2 + H * W // 16, 5 + CLASSES) == (2, len(cells(ours.grids(H, W))), 5 + CLASSES)


def test_a_pixel_changes_predictions_of_nearby_cells_only():
    """Change some pixels: the index of each changed prediction must belong to a cell near them."""
    ours, _ = twins(blocks=(0, 0, 0))
    ours.eval()
    x = np.random.default_rng(1).normal(size=(1, 1, 160, 160))
    other = x.copy()
    other[0, 0, 24:28, 132:136] += 1
    changed = (ours(x)[0] != ours(other)[0]).any(axis=2)[0]
    for p, (H, W, row, column, _) in enumerate(cells(ours.grids(160, 160))):
        if changed[p]:
            assert abs((row + 0.5) / H - 26 / 160) < 0.35
            assert abs((column + 0.5) / W - 134 / 160) < 0.35
        elif abs((row + 0.5) / H - 26 / 160) < 1 / H:
            assert abs((column + 0.5) / W - 134 / 160) > 1 / W


def test_constant_images_have_no_gradient():
    ours, _ = twins()
    x = np.random.default_rng(0).normal(size=(2, 1, 16, 24))
    y, backward = ours(x)
    dy = np.random.default_rng(1).normal(size=y.shape)
    assert backward(dy) is not None
    wanted = {name: parameter.grad for name, parameter in ours.named_parameters()}
    ours.zero_grad()
    with constant(x):
        _, backward = ours(x)
    assert backward(dy) is None
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(parameter.grad, wanted[name], rtol=1e-11, atol=1e-13)


@every_backend
def test_initial_objectness_is_one_per_cent(models):
    state = get_state(models.YOLO(**SMALL))
    for name, anchors in (("coarse.1.bias", 2), ("fine.1.bias", 1)):
        numbers = state[name].reshape(anchors, 5 + CLASSES)
        np.testing.assert_allclose([sigmoid(t) for t in numbers[:, 4]], 0.01, rtol=1e-6)
        assert not np.delete(numbers, 4, axis=1).any()


@pytest.mark.parametrize("writer", BACKENDS)
@pytest.mark.parametrize("reader", BACKENDS)
def test_every_backend_loads_the_weights_of_the_other(tmp_path, writer, reader):
    saved, loaded = assert_weights_load(tmp_path, BACKENDS[writer].YOLO, BACKENDS[reader], SMALL)
    assert loaded.grids(32, 48) == saved.grids(32, 48)


def test_training_steps_and_detections_agree_between_backends():
    ours, theirs = twins()
    images, labels, boxes = scenes(8)
    grids = ours.grids(*images.shape[2:])
    optimizer, their_optimizer = scratch.optim.AdamW(ours.parameters(), lr=3e-3), torch.optim.AdamW(theirs.parameters(), lr=3e-3)
    batch = [torch.from_numpy(array) for array in (labels, boxes)]
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        with constant(images):
            predicted, backward = ours(images)
        parts, loss_backward = yolo_loss(predicted, labels, boxes, grids)
        backward(loss_backward(1.0, 1.0, 1.0)[0])
        optimizer.step()
        their_optimizer.zero_grad()
        their_parts = reference.ops.yolo_loss(theirs(torch.from_numpy(images)), *batch, grids)
        sum(their_parts).backward()
        their_optimizer.step()
        losses.append((parts, [part.item() for part in their_parts]))
    np.testing.assert_allclose(*zip(*losses, strict=True), rtol=1e-6, atol=1e-9)
    assert sum(losses[-1][0]) < 0.5 * sum(losses[0][0])
    ours.eval()
    theirs.eval()
    found, _ = yolo_detections(ours(images)[0], grids)
    with torch.no_grad():
        their_found = reference.ops.yolo_detections(theirs(torch.from_numpy(images)), grids)
    assert sum(len(each["labels"]) for each in found) > 0
    for mine, other in zip(found, their_found, strict=True):
        assert mine["labels"].tolist() == other["labels"].tolist()
        np.testing.assert_allclose(mine["boxes"], other["boxes"], rtol=1e-6)
        np.testing.assert_allclose(mine["scores"], other["scores"], rtol=1e-6)


# --- bad input ---

BOTH = {
    "classes": ({"classes": 0}, "expected at least one of each and blocks of at least two stages, got in_channels 1, classes 0, "),
    "one stage": (
        {"blocks": (1,)},
        "expected at least one of each and blocks of at least two stages, got in_channels 1, classes 4, ",
    ),
    "negative blocks": ({"blocks": (1, -1)}, "expected at least one of each and blocks of at least two stages"),
    "one grid": ({"anchors": (((9, 14),),)}, "expected anchors, (width, height) in pixels, of a coarse and of a fine grid, got"),
    "no anchors": ({"anchors": (((9, 14),), ())}, "expected anchors, (width, height) in pixels"),
    "an empty anchor": ({"anchors": (((9, 14),), ((0, 3),))}, "expected anchors, (width, height) in pixels"),
}
IMAGES = {
    "channels": ((2, 3, 16, 16), "expected images (B, 1, H, W), got (2, 3, 16, 16)"),
    "no batch": ((1, 16, 16), "expected images (B, 1, H, W), got (1, 16, 16)"),
    "too small": ((2, 1, 4, 16), "cells of 8x8 do not cut images of 4x16 evenly; resize or pad the images, or take fewer stages"),
    "not divisible": ((2, 1, 16, 20), "cells of 8x8 do not cut images of 16x20 evenly; resize or pad"),
    "empty": ((2, 1, 0, 16), "cells of 8x8 do not cut images of 0x16 evenly"),
}


@every_backend
@pytest.mark.parametrize("what", BOTH)
def test_wrong_arguments_are_refused_in_one_line(models, what):
    config, message = BOTH[what]
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        models.YOLO(**SMALL | config)
    assert str(caught.value).startswith(f"YOLO: {message}")
    assert "\n" not in str(caught.value)


@every_backend
@pytest.mark.parametrize("what", IMAGES)
def test_wrong_images_are_refused_in_one_line(models, what):
    shape, message = IMAGES[what]
    images = np.zeros(shape, np.float32) if models is scratch.models else torch.zeros(shape)
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        models.YOLO(**SMALL)(images)
    assert str(caught.value).startswith(f"YOLO: {message}")
    assert "\n" not in str(caught.value)


SAID, (LABELS, BOXES) = predictions(Draw(0), GRIDS), objects(GRIDS)(Draw(0)).values()


def loss(predicted=SAID, labels=LABELS, boxes=BOXES, grids=GRIDS):
    return lambda: yolo_loss(predicted, labels, boxes, grids)


def with_box(*box):
    boxes = BOXES.copy()
    boxes[2, 3] = box
    return boxes


AS_SHARES = "expected (x centre, y centre, width, height) as shares of the image, the centre in it and no side negative"
BAD = {
    "outside to the right": (
        loss(boxes=with_box(1.5, 0.5, 0.25, 0.25)),
        f"yolo_loss: boxes hold [1.5, 0.5, 0.25, 0.25], {AS_SHARES}",
    ),
    "outside above": (
        loss(boxes=with_box(0.5, -0.125, 0.25, 0.25)),
        f"yolo_loss: boxes hold [0.5, -0.125, 0.25, 0.25], {AS_SHARES}",
    ),
    "in pixels": (loss(boxes=with_box(32, 16, 10, 8)), f"yolo_loss: boxes hold [32.0, 16.0, 10.0, 8.0], {AS_SHARES}"),
    "negative size": (loss(boxes=with_box(0.5, 0.5, 0.25, -0.5)), f"yolo_loss: boxes hold [0.5, 0.5, 0.25, -0.5], {AS_SHARES}"),
    "not a number": (loss(boxes=with_box(0.5, np.nan, 0.25, 0.5)), f"yolo_loss: boxes hold [0.5, nan, 0.25, 0.5], {AS_SHARES}"),
    "infinite": (loss(boxes=with_box(0.5, 0.5, np.inf, 0.5)), f"yolo_loss: boxes hold [0.5, 0.5, inf, 0.5], {AS_SHARES}"),
    "label": (
        loss(labels=np.full((B, N), CLASSES), boxes=np.full((B, N, 4), 0.5)),
        f"yolo_loss: labels hold {CLASSES}, expected 0 to {CLASSES - 1}, or -1 where there is no object",
    ),
    "negative label": (loss(labels=LABELS - 1), "yolo_loss: labels hold -2, expected 0 or more, or -1 where there is no object"),
    "labels as numbers": (loss(labels=LABELS / 1), "yolo_loss: expected labels (B, N), whole numbers, got float64 (4, 5)"),
    "labels of one image": (loss(labels=LABELS[0]), "yolo_loss: expected labels (B, N), whole numbers, got int64 (5,)"),
    "fewer images": (loss(labels=LABELS[:3], boxes=BOXES[:3]), "yolo_loss: expected labels of shape (4, 5), got (3, 5)"),
    "fewer boxes": (loss(boxes=BOXES[:, 1:]), "yolo_loss: expected boxes of shape (4, 5, 4), got (4, 4, 4)"),
    "other grids": (
        loss(grids=EVEN_GRIDS),
        "yolo_loss: expected predictions (B, 320, 5 + K) of the cells and anchors of grids 4x8x2 and 8x16x2, got (4, 210, 9)",
    ),
    "no class": (
        loss(predicted=SAID[..., :5]),
        "yolo_loss: expected predictions (B, 210, 5 + K) of the cells and anchors of grids",
    ),
    "no batch": (loss(predicted=SAID[0]), "5x2 and 6x10x3, got (210, 9)"),
    "no images": (
        loss(predicted=SAID[:0], labels=LABELS[:0], boxes=BOXES[:0]),
        "yolo_loss: expected the predictions of at least one image, got (0, 210, 9)",
    ),
    "two dtypes": (
        loss(predicted=SAID.astype(np.float32)),
        "yolo_loss: expected one floating-point dtype, got predictions float32, boxes",
    ),
    "whole numbers": (
        lambda: yolo_boxes(SAID.astype(int), GRIDS),
        "yolo_boxes: expected one floating-point dtype, got predictions",
    ),
    "detections of other grids": (lambda: yolo_detections(SAID, GRIDS[:1]), "yolo_detections: expected predictions (B, 30, 5 + K)"),
    "an overlap above 1": (lambda: yolo_detections(SAID, GRIDS, 0.05, 1.5), "nms: iou_threshold is 1.5, expected 0 to 1"),
    "matched outside": (
        lambda: anchor_matching(LABELS, with_box(0.5, 2, 0, 0), GRIDS),
        f"anchor_matching: boxes hold [0.5, 2.0, 0.0, 0.0], {AS_SHARES}",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])
