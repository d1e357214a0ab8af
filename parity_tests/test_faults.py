"""Every fault of the catalogue is caught in its first case. Its culprit and cause are named, and nothing false is said."""

import pytest

from parity_tests.faults import FAULTS, judge
from parity_tests.faults.page import PAGE, measured, page
from parity_tests.shared import assert_found

# the faults of a case one after the other, for they share its standard
PLANTINGS = sorted((fault.cases[0], fault.name, fault) for fault in FAULTS)


@pytest.mark.parametrize(
    ("fault", "case"),
    [(fault, case) for case, _, fault in PLANTINGS],
    ids=[f"{fault.name} in {case}" for case, _, fault in PLANTINGS],
)
def test_a_fault_is_found_and_named(fault, case):
    """`make faults` tries all cases on eight seeds."""
    assert_found(judge(fault, case, 0))


def test_the_catalogue_is_large_and_most_causes_are_certain():
    assert len(FAULTS) >= 120
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert sum(fault.cause is not None for fault in FAULTS) >= 0.8 * len(FAULTS)


def test_the_page_is_current():
    """Compare all of it but the figures, which only `make faults` measures."""
    assert PAGE.read_text() == page(measured()), "run python -m parity_tests.faults --page"
