"""What stands in for torch's functions, spelt out, is right without a mistake, and each of its mistakes shows in some case."""

from functools import cache, partial
from operator import attrgetter

import numpy as np
import pytest

from parity.cases import attention as attention_cases
from parity.cases import (
    basics,
    feed_forward,
    recurrent,
    recurrent_layers,
    recurrent_models,
    row_norms,
    segmentation,
    vit,
)
from parity.cases import boxes as box_cases
from parity.cases import detr as detr_cases
from parity.cases import positions as position_cases
from parity.cases import set_prediction as set_cases
from parity.cases import yolo as yolo_cases
from parity.check import reference_run_of
from parity.explaining.counterfactual_runs import Calls, Instead, mistaken
from parity.explaining.hints import MARGIN
from parity.judging.tolerance import deviation
from parity.mistakes import (
    TABLE,
    attention,
    boxes,
    cells,
    group_normalisation,
    positions,
    resizing,
    row_normalisation,
    set_prediction,
    transposed,
    yolo,
)
from parity.mistakes.recurrent import kernel
from parity.running.builders import reference_builder
from parity.running.run_reference import run_reference

RIGHT = {kind: partial(kernel, kind) for kind in cells.CELLS}
RIGHT |= {f"{kind}_cell": partial(cells.cell, kind) for kind in cells.CELLS}
RIGHT["scaled_dot_product_attention"] = attention.attention
RIGHT |= {name: getattr(row_normalisation, name) for name in row_normalisation.TABLE}
RIGHT |= {name: getattr(module, name) for module in (positions, boxes, set_prediction, yolo) for name in module.TABLE}
RIGHT |= {
    "conv_transpose2d": transposed.conv_transpose2d,
    "group_norm": group_normalisation.group_norm,
    "interpolate": resizing.interpolate,
}
CASES = [
    *recurrent.CASES,
    *recurrent_layers.CASES,
    *recurrent_models.POOLING,
    *recurrent_models.ALIGNMENT,
    *(case for case in basics.CASES if "ropout" in case.name),
]
CASES += [
    *attention_cases.CASES,
    *row_norms.CASES,
    *position_cases.CASES,
    *feed_forward.CASES,
    *segmentation.CASES,
    *box_cases.CASES,
    *set_cases.CASES,
    *vit.OPS,
    *(case for case in detr_cases.CASES if case.scratch.startswith("ops.")),
    *yolo_cases.OPS,
]
MISTAKES = [(name, text) for name in (*RIGHT, "embedding", "dropout", *attention.TABLE) for text, _ in TABLE[name]]
calibrated = cache(reference_run_of.__wrapped__)


@cache
def calls_of(case):
    """The names of the torch functions that a case's reference calls."""
    subject, calls = reference_builder(case)(), Calls()
    with calls:
        run_reference(lambda: subject, calibrated(case, 0).problem, "float64", backward=False)
    return calls.seen.keys()


def differences(case, name, function):
    """The tensors that differ from torch's where a function stands in for the one of this name."""
    reference_run = calibrated(case, 0)
    calibration = reference_run.calibration
    tensors = mistaken(reference_run.build, reference_run.problem, mode=Instead(name, function))
    missing = calibration.truth.keys() - tensors.keys()
    shared = tensors.keys() & calibration.truth.keys()
    return missing, [key for key in shared if _differ(key, tensors[key], calibration)]


def _differ(key, array, calibration):
    truth = calibration.truth[key]
    if array.shape != truth.shape or key not in calibration.unit:
        return not np.array_equal(array, truth)
    return deviation(array, truth) > MARGIN * calibration.tolerance(key, "float64")


@pytest.mark.parametrize("case", CASES, ids=attrgetter("name"))
def test_without_a_mistake_they_are_torchs(case):
    for name in RIGHT.keys() & calls_of(case):
        missing, wrong = differences(case, name, RIGHT[name])
        assert not missing
        assert not wrong


@pytest.mark.parametrize(("name", "text"), MISTAKES)
def test_every_mistake_shows(name, text):
    wrong = dict(TABLE[name])[text]
    assert any(differences(case, name, wrong)[1] for case in CASES if name in calls_of(case))


@pytest.mark.parametrize("name", TABLE)
def test_no_two_mistakes_are_called_the_same(name):
    assert len(dict(TABLE[name])) == len(TABLE[name])
