"""Specificity: no false alarm over the seeds, and no comparison that a wrong tensor would pass."""

import numpy as np
import pytest

from parity.calibrate import calibrate_cases, describe_records, vacuous
from parity.cases import FAMILIES, matching
from parity.judging.tolerance import Calibration


def test_a_tolerance_that_anything_passes_is_vacuous():
    truth = {"y": np.arange(12.0).reshape(3, 4) + 1, "square": np.arange(9.0).reshape(3, 3)}
    assert vacuous(Calibration(truth, {"y": 1e-7, "square": 1e-7})) == []
    found = vacuous(Calibration(truth, {"y": 1e9, "square": 1e-7}))
    assert found == [f"y: {text} would pass" for text in ("a tensor of zeros", "1.01 times the tensor", "the tensor shuffled")]
    symmetric = {"square": np.eye(3) + 1e-9 * np.arange(9.0).reshape(3, 3)}
    assert vacuous(Calibration(symmetric, {"square": 1e-1})) == ["square: the tensor with axes 0 and 1 exchanged would pass"]


def test_a_gradient_that_is_zero_by_nature_is_not_vacuous():
    truth = {"y": np.arange(12.0), "grad key.bias": np.full(5, 1e-17)}
    assert vacuous(Calibration(truth, {"y": 1e-7, "grad key.bias": 1e-7})) == []


def test_records_tell_of_alarms():
    (record,) = calibrate_cases(matching("linear-no-bias")[:1], 2)
    assert record.tensors == 2 * 2 * 3
    assert all(len(record.worst_ratios[dtype]) == 2 for dtype in ("float64", "float32"))
    text = describe_records([record])
    assert "1 cases, 12 tensor verdicts" in text
    assert "0 false alarms" in text
    record.vacuous.append("y: a tensor of zeros would pass")
    assert "1 vacuous comparisons\n  linear-no-bias: y: a tensor of zeros would pass" in describe_records([record])


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_no_false_alarm_and_nothing_vacuous_over_two_seeds(family):
    """CI calibrates eight seeds by `make calibrate`."""
    records = list(calibrate_cases([case for case in FAMILIES[family].CASES if case.training], 2))
    assert [(alarm.name, alarm.dtype, alarm.seed) for record in records for alarm in record.alarms] == []
    assert [(record.name, text) for record in records for text in record.vacuous] == []
    assert all(record.tensors for record in records)
