"""Every fault of the catalogue is caught, its culprit and cause are named, and nothing false is said."""

import pytest

from parity_tests.faults import FAULTS, judge
from parity_tests.faults.page import PAGE, page
from parity_tests.shared import assert_found

PLANTINGS = sorted(((case, fault.name, turn, fault) for fault in FAULTS for turn, case in enumerate(fault.cases)))
SEEDS = {case: 1 + i % 7 for i, case in enumerate(dict.fromkeys(case for case, *_ in PLANTINGS))}


def plantings(first):
    """Every fault in its first case, or in every other one; those of a case one after the other, for they share its standard."""
    chosen = [(fault, case) for case, _, turn, fault in PLANTINGS if (turn == 0) == first]
    return pytest.mark.parametrize(("fault", "case"), chosen, ids=[f"{fault.name} in {case}" for fault, case in chosen])


@plantings(first=True)
def test_a_fault_is_found_and_named(fault, case):
    assert_found(judge(fault, case, 0))


@pytest.mark.slow
@plantings(first=False)
def test_a_fault_is_found_and_named_in_its_other_cases_and_on_another_seed(fault, case):
    """`python -m parity_tests.faults` tries all of them on eight seeds."""
    assert_found(judge(fault, case, SEEDS[case]))


def test_the_catalogue_is_large_and_most_causes_are_certain():
    assert len(FAULTS) >= 120
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert sum(fault.cause is not None for fault in FAULTS) >= 0.8 * len(FAULTS)


def test_the_page_is_current():
    """All of it but the figures, which only `python -m parity_tests.faults` measures."""
    text = PAGE.read_text()
    measured = [line for line in text.splitlines() if line.startswith("- ")]
    assert text == page("\n".join(measured)), "run python -m parity_tests.faults"
