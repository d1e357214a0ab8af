"""AdamW's update of a model's weights, whose gradients are given."""

from benchmarks.cases import MODELS
from benchmarks.work import UPDATE

CASES, PHASES = [case for case in MODELS if case.name == "gpt-4x384"], (UPDATE,)


def test_optimiser(block, timed):
    timed(block)
