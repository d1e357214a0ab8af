"""Boxes beyond their cases: known overlaps, non-maximum suppression by its definition, and bad input."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reference.ops
from parity_tests.shared import assert_equal_up_to_rounding, assert_refused_in_one_line
from scratch.ops import (
    binary_cross_entropy_with_logits,
    box_area,
    box_convert,
    box_iou,
    generalized_box_iou,
    generalized_box_iou_loss,
    nms,
    sigmoid_focal_loss,
)

ONE = np.array([[0.0, 0, 2, 2]])
OTHERS = {
    "itself": ([0, 0, 2, 2], 1, 1),
    "a quarter": ([1, 1, 3, 3], 1 / 7, 1 / 7 - 2 / 9),
    "within": ([0.5, 0.5, 1.5, 1.5], 1 / 4, 1 / 4),
    "touching": ([2, 0, 4, 2], 0, 0),
    "at a corner": ([2, 2, 4, 4], 0, -1 / 2),
    "apart": ([4, 0, 6, 2], 0, -1 / 3),
    "apart in both directions": ([4, 4, 6, 6], 0, 2 / 9 - 1),
    "a line": ([1, 0, 1, 2], 0, 0),
    "a point far away": ([8, 8, 8, 8], 0, 1 / 16 - 1),
}


@pytest.mark.parametrize("what", OTHERS)
def test_known_overlaps(what):
    other, iou, giou = OTHERS[what]
    other = np.array([other], float)
    for one, two in ((ONE, other), (other, ONE)):
        assert box_iou(one, two)[0] == pytest.approx(iou)
        assert generalized_box_iou(one, two)[0] == pytest.approx(giou)
        assert generalized_box_iou_loss(one, two)[0] == pytest.approx(1 - giou)


def test_two_boxes_without_area_do_not_overlap():
    point = np.array([[1.0, 1, 1, 1]])
    assert box_iou(point, point)[0] == 0
    assert generalized_box_iou(point, point)[0] == -1
    for function in (box_iou, generalized_box_iou):
        _, backward = function(point, point)
        assert all(np.isfinite(gradient).all() for gradient in backward(np.ones((1, 1))))


def test_an_empty_set_of_boxes_is_allowed():
    none = np.zeros((0, 4), np.float32)
    y, backward = generalized_box_iou(none, ONE.astype(np.float32))
    assert y.shape == (0, 1)
    assert [gradient.shape for gradient in backward(y)] == [(0, 4), (1, 4)]
    assert not backward(y)[1].any()
    assert nms(none, np.zeros(0, np.float32), 0.5)[0].tolist() == []


@pytest.mark.parametrize("formats", [*itertools.product(("xyxy", "xywh", "cxcywh"), repeat=2)], ids="-".join)
def test_converting_boxes_there_and_back_changes_nothing(formats):
    rng = np.random.default_rng(0)
    corner = rng.normal(size=(5, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.5, 2, (5, 2))], axis=1)
    there, _ = box_convert(boxes, "xyxy", formats[0])
    other, _ = box_convert(there, *formats)
    back, _ = box_convert(other, formats[1], "xyxy")
    assert_equal_up_to_rounding(back, boxes, 1e-13)
    assert_equal_up_to_rounding(box_area(back)[0], box_convert(boxes, "xyxy", "xywh")[0][:, 2:].prod(axis=1), 1e-13)


def suppressed_by_hand(boxes, scores, threshold):
    """Suppress boxes greedily, with one comparison at a time."""
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):  # sorted is stable
        if all(box_iou(boxes[[i]], boxes[[k]])[0][0, 0] <= threshold for k in kept):
            kept.append(i)
    return kept


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 25), st.sampled_from([0, 0.25, 0.5, 1]), st.integers(0, 9), st.integers(0, 10**6))
def test_suppression_agrees_with_its_definition_and_torch(n, threshold, largest, seed):
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 5, (n, 2))
    boxes = np.concatenate([corner, corner + rng.integers(0, 4, (n, 2))], axis=1).astype(float)
    scores = rng.integers(0, largest + 1, n).astype(float)
    kept, backward = nms(boxes, scores, threshold)
    assert kept.tolist() == suppressed_by_hand(boxes, scores, threshold)
    theirs = reference.ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold)
    assert kept.tolist() == theirs.tolist()
    assert kept.dtype == np.int64
    assert backward(kept) == (None, None)


def test_a_suppressed_box_suppresses_no_other():
    boxes = np.array([[0.0, 0, 4, 1], [2, 0, 6, 1], [4, 0, 8, 1]])
    assert nms(boxes, np.array([3.0, 2, 1]), 0.3)[0].tolist() == [0, 2]
    assert nms(boxes, np.array([1.0, 1, 1]), 1 / 3)[0].tolist() == [0, 1, 2]  # overlaps equal the threshold


def test_the_focal_loss_with_gamma_0_is_cross_entropy():
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(5, 7)), rng.uniform(size=(5, 7))
    ours, backward = sigmoid_focal_loss(x, target, alpha=None, gamma=0.0)
    plain, plain_backward = binary_cross_entropy_with_logits(x, target)
    assert_equal_up_to_rounding(ours, plain, 1e-13)
    for one, other in zip(backward(np.ones(())), plain_backward(np.ones(())), strict=False):
        assert_equal_up_to_rounding(one, other, 1e-12)


def test_the_focal_loss_agrees_with_its_paper():
    logit = np.log(9.0)  # the logit of 0.9, for which the paper states a hundredth of the loss (section 3.2)
    for label, p_t, alpha_t in ((1.0, 0.9, 0.25), (0.0, 0.1, 0.75)):
        loss, _ = sigmoid_focal_loss(np.array([logit]), np.array([label]))
        assert loss == pytest.approx(-alpha_t * (1 - p_t) ** 2 * np.log(p_t))


def f64(*shape):
    return np.zeros(shape)


NEGATIVE = np.array([[0.0, 0, 1, 1], [3, 0, 2, 1]])
BAD = {
    "five numbers": (lambda: box_area(f64(3, 5)), "box_area: expected boxes (..., 4), got (3, 5)"),
    "a number": (lambda: box_area(np.float64(1)), "box_area: expected boxes (..., 4), got ()"),
    "whole numbers": (lambda: box_area(np.zeros((2, 4), int)), "box_area: expected one floating-point dtype, got boxes int64"),
    "negative width": (
        lambda: box_area(NEGATIVE),
        "box_area: boxes hold [3.0, 0.0, 2.0, 1.0], a box of negative size in xyxy; box_convert changes formats",
    ),
    "negative height": (
        lambda: box_iou(ONE, np.array([[0, 1.0, 1, 0]])),
        "box_iou: boxes2 hold [0.0, 1.0, 1.0, 0.0], a box of negative size in xyxy; box_convert changes formats",
    ),
    "negative size among sizes": (
        lambda: box_convert(np.array([[0.5, 0.5, 0.1, -0.2]]), "cxcywh", "xyxy"),
        "box_convert: boxes hold [0.5, 0.5, 0.1, -0.2], a box of negative size in cxcywh; box_convert changes formats",
    ),
    "an unknown format": (
        lambda: box_convert(ONE, "xyxy", "yxyx"),
        "box_convert: out_fmt is 'yxyx', expected one of xyxy, xywh, cxcywh",
    ),
    "another unknown format": (lambda: box_convert(ONE, "", "xyxy"), "box_convert: in_fmt is '', expected one of xyxy"),
    "one box": (lambda: box_iou(ONE[0], ONE), "box_iou: expected boxes1 (N, 4) and boxes2 (M, 4), got (4,) and (1, 4)"),
    "a batch of boxes": (lambda: generalized_box_iou(ONE, ONE[None]), "got (1, 4) and (1, 1, 4)"),
    "two dtypes": (
        lambda: box_iou(ONE, ONE.astype(np.float32)),
        "box_iou: expected one floating-point dtype, got boxes1 float64, boxes2 float32",
    ),
    "more boxes than partners": (
        lambda: generalized_box_iou_loss(np.concatenate([ONE, ONE]), ONE),
        "generalized_box_iou_loss: expected boxes2 of shape (2, 4), got (1, 4)",
    ),
    "reduction": (
        lambda: generalized_box_iou_loss(ONE, ONE, "average"),
        "generalized_box_iou_loss: reduction is 'average', expected one of mean, sum, none",
    ),
    "boxes in a batch": (lambda: nms(f64(2, 3, 4), f64(2, 3), 0.5), "nms: expected boxes (N, 4), got (2, 3, 4)"),
    "scores": (lambda: nms(f64(3, 4), f64(2), 0.5), "nms: expected scores of shape (3,), got (2,)"),
    "a box of negative size": (lambda: nms(NEGATIVE, f64(2), 0.5), "nms: boxes hold [3.0, 0.0, 2.0, 1.0], a box of negative size"),
    "scores of another dtype": (
        lambda: nms(f64(3, 4), np.zeros(3, np.float32), 0.5),
        "nms: expected one floating-point dtype, got boxes float64, scores float32",
    ),
    "threshold": (lambda: nms(f64(3, 4), f64(3), 50), "nms: iou_threshold is 50, expected 0 to 1"),
    "alpha": (
        lambda: sigmoid_focal_loss(f64(3), f64(3), alpha=-1),
        "sigmoid_focal_loss: expected alpha from 0 to 1, or None, and gamma of at least 0, got alpha -1 and gamma 2.0",
    ),
    "gamma": (lambda: sigmoid_focal_loss(f64(3), f64(3), gamma=-2.0), "got alpha 0.25 and gamma -2.0"),
    "labels": (lambda: sigmoid_focal_loss(f64(3), np.zeros(3, int)), "sigmoid_focal_loss: expected one floating-point dtype"),
    "focal target": (lambda: sigmoid_focal_loss(f64(3), f64(4)), "sigmoid_focal_loss: expected target of shape (3,), got (4,)"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])
