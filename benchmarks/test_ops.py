"""Ops: the value alone, and the value with the gradient of every input."""

from benchmarks.cases import OPS
from benchmarks.work import FORWARD, FORWARD_BACKWARD

CASES, PHASES = OPS, (FORWARD, FORWARD_BACKWARD)


def test_op(block, timed):
    timed(block)
