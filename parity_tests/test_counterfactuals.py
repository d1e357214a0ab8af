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
    schedule,
    set_prediction,
    transposed,
    yolo,
)
from parity.mistakes.recurrent import kernel
from parity.running.builders import reference_builder
from parity.running.run_reference import run_reference
from parity_tests.faults import schedules_replay

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


RIGHT_SCHEDULES = {
    "LinearLR": schedule.linear,
    "PolynomialLR": schedule.polynomial,
    "CosineAnnealingLR": schedule.cosine,
    "CosineAnnealingWarmRestarts": schedule.restarts,
    "CyclicLR": schedule.cyclic,
    "OneCycleLR": schedule.one_cycle,
    "SequentialLR": schedule.sequential,
    "warm_up_cosine": schedule.warm_up_cosine,
    "noam": schedule.noam,
}


def from_truth(setting, rate):
    """The largest ratio of error to tolerance of a schedule that is given as a function."""
    return schedules_replay.ratio(schedules_replay.mistaken(rate, setting, 0), schedules_replay.truth_of(setting, 0))


@pytest.mark.parametrize("setting", [s for s, (name, _) in schedules_replay.SETTINGS.items() if name in RIGHT_SCHEDULES])
def test_a_schedule_without_a_mistake_is_torchs(setting):
    assert from_truth(setting, RIGHT_SCHEDULES[schedules_replay.SETTINGS[setting][0]]) <= 1


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, rows in schedule.TABLE.items() for text, _ in rows])
def test_every_mistake_in_a_schedule_shows(name, text):
    wrong = dict(schedule.TABLE[name])[text]
    assert any(from_truth(s, wrong) > 1 for s, (of, _) in schedules_replay.SETTINGS.items() if of == name)
