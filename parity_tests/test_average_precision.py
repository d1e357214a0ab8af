"""The mean average precision of detections, on scenes whose value is known."""

import sys

import numpy as np
import pytest

from examples.tasks.average_precision import Found, mean_average_precision

BOXES = np.array([[0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 0.9, 0.7], [0.2, 0.6, 0.4, 0.9]])
AWAY = BOXES + 1


def found_objects(boxes, labels, scores=None):
    return Found(np.reshape(boxes, (-1, 4)), np.array(labels, int), np.ones(len(labels)) if scores is None else np.array(scores))


TRUTH = [found_objects(BOXES, [3, 3, 7]), found_objects(BOXES[:1], [0])]


def test_everything_found_is_1_and_nothing_found_is_0():
    assert mean_average_precision(TRUTH, TRUTH) == 1
    assert mean_average_precision(TRUTH, [found_objects([], []), found_objects([], [])]) == 0


def test_it_is_the_mean_over_the_classes_that_there_are():
    """7 and 0 are found and 3 is not; a class that occurs nowhere does not count."""
    found = [found_objects([BOXES[2], BOXES[0]], [7, 5]), found_objects(BOXES[:1], [0])]
    assert mean_average_precision(TRUTH, found) == pytest.approx(2 / 3)


def test_a_box_of_another_class_is_wrong():
    assert mean_average_precision([found_objects(BOXES, [1, 1, 1])], [found_objects(BOXES, [2, 2, 2])]) == 0


@pytest.mark.parametrize(("width", "right"), [(0.11, 1), (0.09, 0)])
def test_boxes_have_to_overlap_by_half(width, right):
    """The box that is found lies in the true box, which is 0.2 wide."""
    found = BOXES[:1] - [0, 0, 0.2 - width, 0]
    assert mean_average_precision([found_objects(BOXES[:1], [4])], [found_objects(found, [4], [0.9])]) == pytest.approx(right)


@pytest.mark.parametrize(("score", "precision"), [(0.3, 1), (0.8, 1 / 2)])
def test_a_wrong_box_counts_if_its_score_is_higher(score, precision):
    """One object is found with 0.6. A wrong box with a higher score comes first, and one of two boxes is right."""
    found = [found_objects([BOXES[0], AWAY[0]], [4, 4], [0.6, score])]
    assert mean_average_precision([found_objects(BOXES[:1], [4])], found) == pytest.approx(precision)


def test_the_second_box_of_one_object_is_wrong():
    """Right, wrong, right: the precision is 1 at 51 of 101 levels of recall, then 2/3 at 50."""
    found = [found_objects([BOXES[0], BOXES[0], BOXES[1]], [4, 4, 4], [0.9, 0.8, 0.7])]
    assert mean_average_precision([found_objects(BOXES[:2], [4, 4])], found) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_boxes_of_other_images_do_not_count():
    truth = [found_objects(BOXES[:1], [4]), found_objects([], [])]
    assert mean_average_precision(truth, truth[::-1]) == 0


def test_nothing_is_printed(capsys):
    mean_average_precision(TRUTH, TRUTH)
    assert capsys.readouterr() == ("", "")


def test_without_the_library_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(ValueError, match="pip install"):
        mean_average_precision(TRUTH, TRUTH)
