"""The sentiment of a sentence: praise or not."""

from __future__ import annotations

from typing import Any

import numpy as np

from examples.data.batches import drawn, padded
from examples.data.texts import words
from examples.data.vocabulary import Vocabulary
from examples.training.backend import Backend, mean_score
from examples.training.options import TrainingOptions
from examples.training.task import BATCHES, HELD_OUT, Task
from scratch.module import Array

PADDING, UNKNOWN = "<padding>", "<unknown>"


class Sentiment(Task):
    """The sentiment of a sentence: label 1 is praise; a tenth of the sentences is held out."""

    unit = "sentence"

    def __init__(self, sentences: list[str], labels: Array, options: TrainingOptions):
        self.options = options
        order = np.random.default_rng(HELD_OUT).permutation(len(sentences))  # the same sentences for every seed
        split, labels = [words(sentences[i]) for i in order], labels[order]
        count = len(split) // 10
        self.words = Vocabulary.from_words(split[count:], (PADDING, UNKNOWN), UNKNOWN, least=2)
        numbers = [self.words.encode(sentence) for sentence in split]
        self.held_out, self.held_out_labels = numbers[:count], labels[:count]
        self.train, self.labels = numbers[count:], labels[count:]
        if options.batch > len(self.train):
            raise ValueError(
                f"--batch {options.batch}: there are only {len(self.train)} sentences to train on; take a smaller batch"
            )

    def describe(self) -> str:
        return (
            f"{self.options.data}: {len(self.train):,} sentences to train on, {len(self.held_out):,} held out, "
            f"{len(self.words):,} words that occur more than once"
        )

    def vocabulary(self) -> dict[str, Any]:
        return {"words": list(self.words.symbols)}

    def batch(self, step: int) -> tuple[Array, Array, Array]:
        chosen = drawn(step, self.options.batch, len(self.train), self.options.seed, BATCHES)
        return *padded([self.train[i] for i in chosen]), self.labels[chosen]

    def validate(self, backend: Backend) -> dict[str, float]:
        loss, accuracy = mean_score(backend, *padded(self.held_out), self.held_out_labels)
        return {"loss": loss, "accuracy": accuracy}

    def judged(self, backend: Backend, sentence: str) -> str:
        """Return the probability that a sentence praises, with its unknown words."""
        found = words(sentence)
        if not found:
            raise ValueError(f"--judge {sentence!r} has no word in it")
        margin = np.diff(backend.predict(*padded([self.words.encode(found)]))[0].astype(np.float64))[0]
        unknown = [word for word in found if word not in self.words]
        return f"praise {1 / (1 + np.exp(-margin)):.0%}: {sentence}" + (f" (not known: {', '.join(unknown)})" if unknown else "")

    def samples(self) -> dict[str, Array]:
        tokens, lengths = padded(self.held_out[:5])
        return {"tokens": tokens, "lengths": lengths}
