"""The next letter of a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from examples.data.batches import IGNORED, drawn, padded
from examples.data.vocabulary import Vocabulary
from examples.training.backend import Backend, mean_score
from examples.training.console import refusing
from examples.training.options import TrainingOptions
from examples.training.task import BATCHES, HELD_OUT, SAMPLES, Task
from scratch.module import Array

END = 0  # the number of the new line, which begins and ends a name
LONGEST = 30  # letters of an invented name


class Names(Task):
    """The next letter of a name; 1,000 names are held out, or a tenth if there are fewer than 10,000."""

    unit = "character"

    def __init__(self, names: list[str], options: TrainingOptions, temperature: float = 1.0):
        if len(names) < 20:
            raise ValueError(f"--data {options.data}: expected at least 20 different names, one a line, found {len(names)}")
        self.options, self.known, self.temperature = options, set(names), temperature
        self.letters = Vocabulary("\n" + "".join(sorted(set("".join(names)))))
        order = np.random.default_rng(HELD_OUT).permutation(len(names))  # the same names for every seed
        numbers = [self.letters.encode(f"\n{names[i]}\n") for i in order]
        count = min(1000, len(names) // 10)
        self.train, self.held_out = numbers[count:], numbers[:count]
        if options.batch > len(self.train):
            raise ValueError(f"--batch {options.batch}: there are only {len(self.train)} names to train on; take a smaller one")

    def describe(self) -> str:
        return f"{self.options.data}: {len(self.train):,} names to train on, {len(self.held_out):,} held out"

    def vocabulary(self) -> dict[str, Any]:
        return {"letters": self.letters.symbols}

    def batch(self, step: int) -> tuple[Any, ...]:
        chosen = drawn(step, self.options.batch, len(self.train), self.options.seed, BATCHES)
        return _batch([self.train[i] for i in chosen])

    def validate(self, backend: Backend) -> dict[str, float]:
        loss, accuracy = mean_score(backend, *_batch(self.held_out))
        return {"loss": loss, "accuracy": accuracy}

    def show(self, backend: Backend, step: int) -> list[str]:
        return ["| " + ", ".join(self.invented(backend, step, 10))]

    def invented(self, backend: Backend, step: int, count: int) -> list[str]:
        """Return names that the model writes; a star marks those that are in the data."""
        uniforms = np.random.default_rng([self.options.seed, SAMPLES, step]).random((LONGEST, count))
        with refusing():
            tokens = backend.generate(np.full((count, 1), END), uniforms, temperature=self.temperature)
        names = [self.letters.decode(row).split("\n")[0] for row in tokens]
        return [f"{name}*" if name in self.known else name for name in names]

    def samples(self) -> dict[str, Array]:
        tokens, _, _, _ = _batch(self.held_out[:5])
        return {"tokens": tokens}


def _batch(names: Sequence[Array]) -> tuple[Array, None, Array, Array]:
    """Return the letters to read, no state, the lengths, and the letters that follow."""
    tokens, lengths = padded([name[:-1] for name in names])
    labels, _ = padded([name[1:] for name in names], IGNORED)
    return tokens, None, lengths, labels
