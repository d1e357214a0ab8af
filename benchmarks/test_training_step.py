"""Models: inference, and a training step (forward, cross-entropy, backward, AdamW)."""

from benchmarks.cases import MODELS
from benchmarks.work import FORWARD, STEP

CASES, PHASES = MODELS, (FORWARD, STEP)


def test_model(block, timed):
    timed(block)
