"""The sizes in the cases of each op and layer: a batch of one, odd and even, small and large, square, every number of axes.

A mistake may show only in some sizes, such as a batch of one, or more numbers than a buffer holds.
"""

import inspect
import re
from collections import defaultdict

import numpy as np
import pytest

from parity.cases import CASES
from parity.inputs import Draw
from parity.running.importing import find

SIZES = {
    "a first axis of 1": lambda shape: shape[0] == 1,
    "a first axis of more than 1": lambda shape: shape[0] > 1,
    "an odd size": lambda shape: np.prod(shape) % 2 == 1,
    "an even size": lambda shape: np.prod(shape) % 2 == 0,
    "at most 256 numbers": lambda shape: np.prod(shape) <= 256,
    "more than 4096 numbers": lambda shape: np.prod(shape) > 4096,
    "a last axis of at most 16": lambda shape: shape[-1] <= 16,
    "a last axis of more than 16": lambda shape: shape[-1] > 16,
    "a first axis as long as the last": lambda shape: len(shape) > 1 and shape[0] == shape[-1],
}
MOST_AXES = 4

# By nature, the axis has this size in all cases.
BOXES = {-1: 4}  # a box has 4 numbers
FIXED_AXES = {
    "box_convert": BOXES,
    "box_area": BOXES,
    "box_iou": BOXES,
    "generalized_box_iou": BOXES,
    "generalized_box_iou_loss": BOXES,
    "nms": BOXES,
    "anchor_matching": BOXES,
    "interpolate_positions": {0: 1},  # there is one table of positions
}
PAIRS = {"rotary", "sinusoidal_positions_2d", "SinusoidalPositions2d"}  # an axis holds pairs of numbers, so that the size is even
ONE_AXIS = {"padding_mask", "RelativePositionBias"}  # lengths of sequences, positions in a sequence
INDICES = {"embedding", "Embedding"}  # their first input is no floating-point array

ELEMENTWISE_FAMILIES = {"activations", "losses"}
ELEMENTWISE = {"dropout", "Dropout", "sigmoid_focal_loss"}
ANY_LEADING_AXES = re.compile(r"\((N, C, )?\.\.\.((?:, [\w*]+)*)\)")  # in a docstring, such as (..., T, D)


def cases_by_path():
    """Return the cases of each op and layer; the cases in eval mode have the same sizes."""
    found = defaultdict(list)
    for case in CASES:
        if case.folder in ("ops", "layers") and case.training:
            found[case.scratch].append(case)
    return found


BY_PATH = cases_by_path()


def first_array(case):
    """Return the array of a case whose size matters: the first with a floating-point dtype, or else the first."""
    given = [value[0] if isinstance(value, list | tuple) else value for value in case.inputs(Draw(0, 0)).values()]
    arrays = [value for value in given if isinstance(value, np.ndarray)]
    floats = [array for array in arrays if array.dtype.kind == "f"]
    return next(iter(arrays if name_of(case.scratch) in INDICES else floats + arrays), None)


def name_of(path):
    """Return the name of an op or layer without its folder."""
    return path.split(".")[1]


def numbers_of_axes(path):
    """Return the numbers of axes that an op or layer takes, where there are several: from the family or from the docstring."""
    name = name_of(path)
    if name in ELEMENTWISE or BY_PATH[path][0].family in ELEMENTWISE_FAMILIES:
        return range(1, MOST_AXES + 1)
    shapes = ANY_LEADING_AXES.findall((inspect.getdoc(find(path, "scratch")) or "").split("\n\n")[0])
    fewest = max((sum(part.count(",") for part in shape) for shape in shapes), default=MOST_AXES + 1)
    a_batch = -1 in FIXED_AXES.get(name, {})  # the harness makes other numbers by reversing the first axis, which no box survives
    return range(max(fewest, 1 + a_batch), MOST_AXES + 1)


def is_possible(size, name):
    """Return whether an input of this size exists, with the axes that the op or layer fixes."""
    if (name in ONE_AXIS and "as long as" in size) or (name in PAIRS and "odd" in size):
        return False
    shape = np.array([67, 67, 67])
    for axis, length in FIXED_AXES.get(name, {}).items():
        shape[axis] = length
    free = [axis for axis in range(3) if shape[axis] == 67]
    for lengths in np.ndindex(*[3] * len(free)):
        shape[free] = np.take((1, 4, 67), lengths)
        if SIZES[size](shape):
            return True
    return False


@pytest.mark.parametrize("path", BY_PATH)
def test_sizes_differ(path):
    arrays = [first_array(case) for case in BY_PATH[path]]
    shapes = {array.shape for array in arrays if array is not None and array.ndim}
    if not shapes:
        assert {type(value) for case in BY_PATH[path] for value in case.inputs(Draw(0, 0)).values()} <= {int, type(None)}
        return
    missing = [size for size, holds in SIZES.items() if is_possible(size, name_of(path)) and not any(map(holds, shapes))]
    missing += [f"{n} axes" for n in numbers_of_axes(path) if n not in map(len, shapes)]
    assert not missing, f"no case of {path} has {', '.join(missing)}; its sizes are {sorted(shapes)}"


@pytest.mark.parametrize("path", ["ops.softmax", "ops.log_softmax"])
def test_softmax_has_a_case_for_each_axis(path):
    axes = {case.config["dim"] % first_array(case).ndim for case in BY_PATH[path]}
    assert axes == set(range(MOST_AXES))
