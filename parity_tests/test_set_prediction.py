"""Sets of boxes beyond their cases: the best matching, ties, the order of queries, padded images, and bad input."""

import itertools
import math

import numpy as np
import pytest
import torch

from parity.cases.draws import CLASSES, IMAGES, OBJECTS, QUERIES, no_objects, set_predictions
from parity.cases.set_prediction import all_alike, scattered
from parity.inputs import Draw
from parity_tests.shared import assert_equal_up_to_rounding, assert_refused_in_one_line
from reference import ops as theirs
from reference.ops import sinusoidal_positions_2d as their_positions
from scratch.ops import bipartite_matching, box_convert, generalized_box_iou_loss, matching_cost, set_loss, sinusoidal_positions_2d

B, Q, N = IMAGES, QUERIES, OBJECTS
EVERYONE = np.ones((1, 3), bool)


def cost_of(cost, matched):
    return sum(cost[query, n] for n, query in enumerate(matched))


@pytest.mark.parametrize("seed", range(20))
def test_the_matching_has_the_lowest_cost(seed):
    cost = np.random.default_rng(seed).normal(size=(1, 5, 3))
    (matched,), _ = bipartite_matching(cost, EVERYONE)
    assert len(set(matched)) == 3
    best = min(cost_of(cost[0], others) for others in itertools.permutations(range(5), 3))
    assert cost_of(cost[0], matched) == pytest.approx(best)


@pytest.mark.parametrize("queries", [3, 5, 100])
def test_equal_queries_get_the_objects_in_order(queries):
    for cost in (np.zeros((1, queries, 3)), np.broadcast_to([0.3, -2, 7.1], (1, queries, 3)).copy()):
        assert bipartite_matching(cost, EVERYONE)[0].tolist() == [[0, 1, 2]]
        assert theirs.bipartite_matching(torch.from_numpy(cost), torch.from_numpy(EVERYONE)).tolist() == [[0, 1, 2]]


def test_absent_objects_take_no_query():
    cost = np.array([[[0.0, 1, 2], [9, 0, 9]]])
    present = np.array([[False, True, True]])
    assert bipartite_matching(cost, present)[0].tolist() == [[-1, 1, 0]]
    assert bipartite_matching(cost, ~EVERYONE)[0].tolist() == [[-1, -1, -1]]


@pytest.mark.parametrize("draw_inputs", [set_predictions, scattered, all_alike, no_objects])
def test_the_loss_agrees_with_the_papers_definition(draw_inputs):
    """Compute the loss image by image and object by object, from the matching."""
    inputs = draw_inputs(Draw(0))
    logits, boxes, labels, targets = inputs.values()
    matched, _ = bipartite_matching(matching_cost(*inputs.values())[0], labels >= 0)
    log_p = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    total, weights, distance, overlap, objects = 0.0, 0.0, 0.0, 0.0, 0
    for b in range(B):
        for q in range(Q):
            (n,) = np.nonzero(matched[b] == q)
            assert len(n) < 2
            wanted, weight = (labels[b, n[0]], 1.0) if len(n) else (CLASSES, 0.1)
            total -= weight * log_p[b, q, wanted]
            weights += weight
            if len(n):
                one, two = boxes[b, q], targets[b, n[0]]
                distance += np.abs(one - two).sum()
                corners = (box_convert(each, "cxcywh", "xyxy")[0] for each in (one, two))
                overlap += generalized_box_iou_loss(*corners)[0]
                objects += 1
    assert objects == (labels >= 0).sum()
    expected = total / weights, 5 * distance / max(objects, 1), 2 * overlap / max(objects, 1)
    assert_equal_up_to_rounding(set_loss(*inputs.values())[0], expected, 1e-12)


def test_the_order_of_queries_and_of_objects_does_not_matter():
    logits, boxes, labels, targets = set_predictions(Draw(1)).values()
    parts, backward = set_loss(logits, boxes, labels, targets)
    dlogits, dboxes, *_ = backward(1.0, 1.0, 1.0)
    queries, objects = np.random.default_rng(0).permutation(Q), np.random.default_rng(1).permutation(N)
    others, others_backward = set_loss(logits[:, queries], boxes[:, queries], labels[:, objects], targets[:, objects])
    assert_equal_up_to_rounding(others, parts, 1e-12)
    dlogits_of_others, dboxes_of_others, *_ = others_backward(1.0, 1.0, 1.0)
    np.testing.assert_allclose(dlogits_of_others, dlogits[:, queries], rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(dboxes_of_others, dboxes[:, queries], rtol=1e-11, atol=1e-14)


def test_right_predictions_have_a_loss_near_0():
    _, boxes, labels, targets = set_predictions(Draw(2)).values()
    logits = np.full((B, Q, CLASSES + 1), -20.0)
    logits[:, :, -1] = 20
    boxes[:, :N] = np.where(labels[:, :, None] < 0, boxes[:, :N], targets)
    for b, n in zip(*np.nonzero(labels >= 0), strict=True):
        logits[b, n] = -20
        logits[b, n, labels[b, n]] = 20
    parts, backward = set_loss(logits, boxes, labels, targets)
    assert max(parts) < 1e-12
    _, dboxes, *_ = backward(1.0, 0.0, 0.0)
    assert not dboxes.any()


def test_float32_and_float64_give_the_same_matching():
    inputs = set_predictions(Draw(3))
    exact, _ = set_loss(*inputs.values())
    rounded = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in inputs.values()]
    parts, backward = set_loss(*rounded)
    assert {part.dtype for part in parts} == {np.dtype(np.float32)}
    np.testing.assert_allclose(parts, exact, rtol=1e-5)
    gradients = backward(*(np.float32(1) for _ in range(3)))
    assert [g.dtype for g in gradients[:2]] == [np.float32] * 2
    assert gradients[2:] == (None, None)


# --- positions ---


def test_positions_agree_with_detrs_formula():
    """Compute the positions of a 2 x 3 map by hand: 2π row / rows, divided by 10000^(2i / 4)."""
    x, present = np.zeros((1, 8, 2, 3)), np.ones((1, 2, 3), bool)
    y, backward = sinusoidal_positions_2d(x, present)
    for row, column in itertools.product(range(2), range(3)):
        for half, place in ((0, (row + 1) / (2 + 1e-6)), (4, (column + 1) / (3 + 1e-6))):
            angles = [2 * math.pi * place / rate for rate in (1, 100)]
            expected = [f(angle) for angle in angles for f in (math.sin, math.cos)]
            np.testing.assert_allclose(y[0, half : half + 4, row, column], expected, rtol=1e-12, atol=1e-13)
    assert backward(y) == (None, None)


@pytest.mark.parametrize("normalize", [True, False])
def test_padding_does_not_change_an_images_positions(normalize):
    alone, _ = sinusoidal_positions_2d(np.zeros((1, 6, 4, 5)), np.ones((1, 4, 5), bool), normalize)
    present = np.zeros((2, 7, 8), bool)
    present[0, :4, :5] = present[1] = True
    padded, _ = sinusoidal_positions_2d(np.zeros((2, 6, 7, 8)), present, normalize)
    assert_equal_up_to_rounding(padded[:1, :, :4, :5], alone, 1e-12)
    other = their_positions(torch.zeros(2, 6, 7, 8), torch.from_numpy(present), normalize)
    np.testing.assert_allclose(padded, other, atol=1e-6)


# --- bad input ---


def loss(**changed):
    inputs = set_predictions(Draw(0)) | changed
    return lambda: set_loss(*inputs.values())


MAP = np.zeros((2, 6, 3, 4))
BAD = {
    "more objects than queries": (
        lambda: bipartite_matching(np.zeros((2, 3, 4)), np.array([[True] * 3 + [False], [True] * 4])),
        "bipartite_matching: image 1 has 4 objects for 3 queries, expected at most one for each",
    ),
    "costs of one image": (
        lambda: bipartite_matching(np.zeros((3, 4)), np.ones((3, 4), bool)),
        "bipartite_matching: expected cost (B, Q, N) and present, bool, got (3, 4) and bool",
    ),
    "present as numbers": (lambda: bipartite_matching(np.zeros((2, 3, 4)), np.ones((2, 4), int)), "got (2, 3, 4) and int64"),
    "present elsewhere": (
        lambda: bipartite_matching(np.zeros((2, 3, 4)), np.ones((2, 3), bool)),
        "bipartite_matching: expected present of shape (2, 4), got (2, 3)",
    ),
    "weight of boxes": (
        lambda: set_loss(*set_predictions(Draw(0)).values(), box_weight=-1.0),
        "set_loss: box_weight is -1.0, expected",
    ),
    "weight of boxes in a cost": (
        lambda: matching_cost(*set_predictions(Draw(0)).values(), box_weight=float("inf")),
        "matching_cost: box_weight is inf, expected",
    ),
    "label": (loss(labels=np.full((B, N), CLASSES)), f"set_loss: labels hold {CLASSES}, expected 0 to 5, or -1 where there is no"),
    "negative label": (
        loss(labels=np.full((B, N), -2)),
        "set_loss: labels hold -2, expected 0 to 5, or -1 where there is no object",
    ),
    "labels as numbers": (
        loss(labels=np.zeros((B, N))),
        "set_loss: expected logits (B, Q, K + 1) and labels (B, N), whole numbers, got (4, 11, 7) and float64 (4, 5)",
    ),
    "one image": (loss(logits=np.zeros((Q, CLASSES + 1))), "got (11, 7) and int64 (4, 5)"),
    "another batch": (loss(labels=np.zeros((3, N), int)), "set_loss: expected labels of shape (4, 5), got (3, 5)"),
    "boxes": (loss(boxes=np.zeros((B, Q, 5))), "set_loss: expected boxes of shape (4, 11, 4), got (4, 11, 5)"),
    "targets": (loss(target_boxes=np.zeros((B, N - 1, 4))), "set_loss: expected target_boxes of shape (4, 5, 4), got (4, 4, 4)"),
    "a target of negative size": (
        loss(target_boxes=np.full((B, N, 4), -0.5)),
        "box_convert: boxes hold [-0.5, -0.5, -0.5, -0.5], a box of negative size in cxcywh",
    ),
    "two dtypes": (loss(boxes=np.zeros((B, Q, 4), np.float32)), "set_loss: expected one floating-point dtype, got logits float64"),
    "vectors": (
        lambda: sinusoidal_positions_2d(MAP[0], np.ones((3, 4), bool)),
        "sinusoidal_positions_2d: expected x (B, C, H, W) with an even number of channels, got (6, 3, 4)",
    ),
    "odd channels": (lambda: sinusoidal_positions_2d(MAP[:, :5], np.ones((2, 3, 4), bool)), "channels, got (2, 5, 3, 4)"),
    "another map": (
        lambda: sinusoidal_positions_2d(MAP, np.ones((2, 4, 3), bool)),
        "sinusoidal_positions_2d: expected present of shape (2, 3, 4), got (2, 4, 3)",
    ),
    "a mask of numbers": (
        lambda: sinusoidal_positions_2d(MAP, np.ones((2, 3, 4))),
        "sinusoidal_positions_2d: present is float64, expected bool (true: not padding)",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])
