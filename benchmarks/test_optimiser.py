"""The update of a model's weights by AdamW, with given gradients."""

from benchmarks.cases import MODELS
from benchmarks.work import UPDATE

CASES, PHASES = [case for case in MODELS if case.name == "gpt-4x384"], (UPDATE,)


def test_optimiser(block, time_and_record_block):
    time_and_record_block(block)
