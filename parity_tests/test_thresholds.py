"""The cases see both sides of each size by which scratch chooses an algorithm or cuts work into blocks."""

import pytest

import scratch
from parity.cases import CASES
from parity.running.builders import reference_builder, scratch_builder
from parity.running.device import reproducible
from parity.running.pose import pose_case
from parity.running.run_scratch import run_scratch
from parity_tests.watched import size_constants, watching
from scratch.fast.threads import num_threads

DECIDE_NOTHING = {  # these are given to NumPy, BLAS or the allocator, or are the size of an array
    "scratch.fast.blas.IDLE_CYCLES",
    "scratch.fast.memory.LARGEST",
    "scratch.fast.winograd.SEEN",
    "scratch.fast.workers.BUFFER",
}
ONE_SIDED = {  # the other outcome cannot occur
    "for start in range(0, len(like), length)": "where one item is larger than a block, the step is 1, not BLOCK",
    "for start in range(0, L, BLOCK)": "attention with fewer queries is not cut into blocks",
    "for row in range(0, OH, step)": "where all rows fit, the step is their number, not BLOCK",
}


@pytest.fixture(scope="module")
def record():
    """Run all cases on the NumPy side, and record how scratch compares its size constants."""
    with reproducible(), num_threads(2), watching(scratch) as record:
        for case in CASES:
            run_scratch(scratch_builder(case, "scratch"), pose_case(case, reference_builder(case), 0), "float32")
    return record


def test_cases_see_both_outcomes_of_each_comparison(record):
    by_place = record.by_place()
    missing = {place for place, outcomes in by_place.items() if len(outcomes) < 2}
    explained = {place for place in missing if any(text in place for text in ONE_SIDED)}
    assert not missing - explained, "\n".join(sorted(missing - explained))
    assert len(explained) == len(ONE_SIDED)


def test_each_op_that_shares_work_has_a_small_and_a_large_case(record):
    by_op = record.by_op()
    assert len(by_op) > 20
    assert not {op for op, outcomes in by_op.items() if len(outcomes) < 2}


def test_each_size_constant_is_compared_or_decides_nothing(record):
    constants = {origin for _, _, origin in size_constants(scratch)}
    assert constants - {place.constant for place in record.outcomes} == DECIDE_NOTHING


def test_a_case_that_is_missing_is_noticed():
    with reproducible(), num_threads(2), watching(scratch) as record:
        for case in CASES:
            if case.scratch == "ops.relu" and "large" not in case.name:
                run_scratch(scratch_builder(case, "scratch"), pose_case(case, reference_builder(case), 0), "float32")
    assert record.by_op() == {"scratch.fast.threads.BLOCK for activation.relu": {True}}
