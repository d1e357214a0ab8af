"""The mean average precision of detections, on scenes whose figure is known."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

from average_precision import Seen, mean_average_precision

BOXES = np.array([[0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 0.9, 0.7], [0.2, 0.6, 0.4, 0.9]])
AWAY = BOXES + 1


def seen(boxes, labels, scores=None):
    return Seen(np.reshape(boxes, (-1, 4)), np.array(labels, int), np.ones(len(labels)) if scores is None else np.array(scores))


TRUTH = [seen(BOXES, [3, 3, 7]), seen(BOXES[:1], [0])]


def test_everything_found_is_1_and_nothing_found_is_0():
    assert mean_average_precision(TRUTH, TRUTH) == 1
    assert mean_average_precision(TRUTH, [seen([], []), seen([], [])]) == 0


def test_it_is_the_mean_over_the_classes_that_there_are():
    """7 and 0 are found, 3 is not, and a class that is nowhere does not count."""
    found = [seen([BOXES[2], BOXES[0]], [7, 5]), seen(BOXES[:1], [0])]
    assert mean_average_precision(TRUTH, found) == pytest.approx(2 / 3)


def test_a_box_of_another_class_is_wrong():
    assert mean_average_precision([seen(BOXES, [1, 1, 1])], [seen(BOXES, [2, 2, 2])]) == 0


@pytest.mark.parametrize(("width", "right"), [(0.11, 1), (0.09, 0)])
def test_boxes_have_to_overlap_by_half(width, right):
    """The box found lies in the true one, which is 0.2 wide."""
    found = BOXES[:1] - [0, 0, 0.2 - width, 0]
    assert mean_average_precision([seen(BOXES[:1], [4])], [seen(found, [4], [0.9])]) == pytest.approx(right)


@pytest.mark.parametrize(("score", "precision"), [(0.3, 1), (0.8, 1 / 2)])
def test_a_wrong_box_costs_as_much_as_is_surer_of_it(score, precision):
    """One object, found with 0.6: a wrong box that is surer comes first, and half of the two are right."""
    found = [seen([BOXES[0], AWAY[0]], [4, 4], [0.6, score])]
    assert mean_average_precision([seen(BOXES[:1], [4])], found) == pytest.approx(precision)


def test_of_two_boxes_for_one_object_the_less_sure_one_is_wrong():
    """Right, wrong, right: the precision is 1 for half of the objects, then 2/3, at 51 and 50 of 101 levels of recall."""
    found = [seen([BOXES[0], BOXES[0], BOXES[1]], [4, 4, 4], [0.9, 0.8, 0.7])]
    assert mean_average_precision([seen(BOXES[:2], [4, 4])], found) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_boxes_of_other_images_do_not_count():
    truth = [seen(BOXES[:1], [4]), seen([], [])]
    assert mean_average_precision(truth, truth[::-1]) == 0


def test_nothing_is_printed(capsys):
    mean_average_precision(TRUTH, TRUTH)
    assert capsys.readouterr() == ("", "")


def test_without_the_library_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(ValueError, match="pip install"):
        mean_average_precision(TRUTH, TRUTH)
