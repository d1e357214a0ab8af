"""What stands in for torch's recurrent kernels and attention is right without a mistake, and each mistake shows in some case."""

from functools import cache, partial
from operator import attrgetter

import pytest

from parity.cases import attention as attention_cases
from parity.cases import basics, recurrent
from parity.check import posed
from parity.counterfactuals import TABLE, attention, cells
from parity.counterfactuals.recurrent import kernel
from parity.hints import MARGIN
from parity.mistaken import Calls, Instead, mistaken
from parity.tolerance import deviation
from parity.twins import reference_builder, run_reference

RIGHT = {kind: partial(kernel, kind) for kind in cells.CELLS}
RIGHT |= {f"{kind}_cell": partial(cells.cell, kind) for kind in cells.CELLS}
RIGHT["scaled_dot_product_attention"] = attention.attention
CASES = [*recurrent.CASES, *(case for case in basics.CASES if "ropout" in case.name)]
CASES += attention_cases.CASES
MISTAKES = [(name, text) for name in (*RIGHT, "embedding", "dropout", *attention.TABLE) for text, _ in TABLE[name]]
calibrated = cache(posed.__wrapped__)


@cache
def calls_of(case):
    """The names of the torch functions that a case's reference calls."""
    subject, calls = reference_builder(case)(), Calls()
    with calls:
        run_reference(lambda: subject, calibrated(case, 0)[0], "float64", backward=False)
    return calls.seen.keys()


def differences(case, name, function):
    """The tensors that differ from torch's where a function stands in for the one of this name."""
    problem, calibration = calibrated(case, 0)
    tensors = mistaken(reference_builder(case), problem, mode=Instead(name, function))
    missing = calibration.truth.keys() - tensors.keys()
    shared = tensors.keys() & calibration.truth.keys()
    return missing, [
        key
        for key in shared
        if tensors[key].shape != calibration.truth[key].shape
        or deviation(tensors[key], calibration.truth[key])
        > (MARGIN * calibration.tolerance(key, "float64") if key in calibration.unit else 0)
    ]


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
