"""Right code is never rejected: each variant, in place of a function of scratch, agrees in all of its cases."""

import numpy as np
import pytest

from parity.cases import CASES
from parity.check import DTYPES, check
from parity.report import explain
from parity_tests.shared import assert_refused_in_one_line
from parity_tests.variants import CALLS, VARIANTS, replaced
from parity_tests.variants.variant import variant

# the variants of a case one after the other, for they share its reference run
PAIRS = sorted(((case.name, other.name, case, other) for other in VARIANTS for case in other.cases), key=lambda pair: pair[:2])


@pytest.mark.parametrize(("case", "other"), [pair[2:] for pair in PAIRS], ids=[f"{name} in {case}" for case, name, *_ in PAIRS])
def test_a_right_variant_agrees(case, other):
    before = CALLS[other.name]
    for dtype in DTYPES:
        with replaced(other.path, other.function):
            verdict = check(case, dtype)
        assert verdict.ok, explain(verdict)
    assert CALLS[other.name] > before, "the case does not use the function that was replaced"


def test_there_are_many_variants_and_each_has_a_case():
    assert len(VARIANTS) >= 94
    assert all(other.cases for other in VARIANTS)


def test_a_wrong_variant_is_rejected_and_leaves_no_trace():
    case = next(case for case in CASES if case.name == "ReLU")
    with replaced("ops.relu", lambda x: (np.abs(x), lambda dy: dy * np.sign(x))):
        assert not check(case).ok
    assert check(case).ok


def test_a_wrong_method_is_rejected_and_leaves_no_trace():
    case = next(case for case in CASES if case.name == "sgd")
    with replaced("optim.SGD.update", lambda self, data, grad, state, group: None):
        assert not check(case).ok
    assert check(case).ok


def test_a_pattern_without_a_case_is_refused():
    assert_refused_in_one_line(lambda: variant("ops.relu", also="Relu")(np.abs), "no case is called 'Relu', expected the name of")
