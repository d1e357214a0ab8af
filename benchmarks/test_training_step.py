"""Models: inference, and a training step of forward, cross-entropy, backward and AdamW."""

from benchmarks.cases import MODELS
from benchmarks.work import FORWARD, STEP

CASES, PHASES = MODELS, (FORWARD, STEP)


def test_model(block, time_and_record_block):
    time_and_record_block(block)
