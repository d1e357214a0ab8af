"""Scenes of digits as what a network is trained and scored on: what segmentation and detection share."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from datasets import Dataset
from loop import BATCHES, HELD_OUT, Task
from scenes import Batch, Digits, scenes

TESTED = 256  # scenes, always the same
PIECE = 32


class Scenes(Task):
    """Scenes that are made for each step; those held out are of other digits."""

    unit = "scene"
    nats = False

    def __init__(self, data: Dataset, options: argparse.Namespace):
        self.data, self.options = data, options
        self.digits, others = Digits.of(data)
        self.held_out = scenes(np.random.default_rng(HELD_OUT), others, TESTED, options.size)

    def describe(self) -> str:
        size, digits = self.options.size, len(self.digits.labels)
        return f"{self.data.name}: scenes of {size}x{size} with 1 to 5 of {digits:,} digits; {TESTED} of others are held out"

    def made(self, step: int) -> Batch:
        """The scenes of a step."""
        options = self.options
        return scenes(np.random.default_rng([options.seed, BATCHES, step]), self.digits, options.batch, options.size)

    def size(self, batch: tuple[Any, ...]) -> int:
        return len(batch[0])


def pieces(count: int) -> Iterator[slice]:
    """What a network is shown at a time of so many scenes."""
    return (slice(start, start + PIECE) for start in range(0, count, PIECE))
