"""Every fault of the catalogue is caught, its culprit and cause are named, and nothing false is said."""

from operator import attrgetter

import pytest

from parity_tests.faults import FAULTS, judge
from parity_tests.faults.page import PAGE, page

every_fault = pytest.mark.parametrize("fault", FAULTS, ids=attrgetter("name"))


def assert_found(fault, case, seed):
    judgement = judge(fault, case, seed)
    assert judgement.caught, f"{fault.name} is not caught by {case} on seed {seed}"
    assert judgement.exact, f"culprit of {fault.name}:\n{judgement.explanation}"
    assert judgement.strange == (), f"{fault.name}, expected the cause {fault.cause}:\n{judgement.explanation}"
    assert judgement.named or fault.cause is None, f"{fault.name}, expected the cause {fault.cause}:\n{judgement.explanation}"


@every_fault
def test_a_fault_is_found_and_named(fault):
    assert_found(fault, fault.cases[0], 0)


@pytest.mark.slow
@every_fault
def test_a_fault_is_found_and_named_in_another_case_and_on_another_seed(fault):
    """One of its cases on one of the seeds; `python -m parity_tests.faults` tries all of them."""
    turn = FAULTS.index(fault)
    assert_found(fault, fault.cases[-1 - turn % len(fault.cases)], 1 + turn % 7)


def test_the_catalogue_is_large_and_most_causes_are_certain():
    assert len(FAULTS) >= 120
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert sum(fault.cause is not None for fault in FAULTS) >= 0.8 * len(FAULTS)


def test_the_page_is_current():
    """All of it but the figures, which only `python -m parity_tests.faults` measures."""
    text = PAGE.read_text()
    measured = [line for line in text.splitlines() if line.startswith("- ")]
    assert text == page("\n".join(measured)), "run python -m parity_tests.faults"
