"""Ops: the forward alone, and the forward with the gradient of every input."""

from benchmarks.cases import OPS
from benchmarks.work import FORWARD, FORWARD_BACKWARD

CASES, PHASES = OPS, (FORWARD, FORWARD_BACKWARD)


def test_op(block, time_and_record_block):
    time_and_record_block(block)
