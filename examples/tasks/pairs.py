"""Pairs of sequences: the model reads the source and writes the target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from examples.data.batches import IGNORED, drawn, padded, pieces
from examples.data.generated import Pair
from examples.data.vocabulary import Vocabulary
from examples.training.backend import Backend, mean_score
from examples.training.options import TrainingOptions
from examples.training.task import BATCHES, Task
from scratch.module import Array

PADDING, UNKNOWN, BEGIN, END = SPECIAL = ("<padding>", "<unknown>", "<begin>", "<end>")


class Pairs(Task):
    """The target of each source, symbol by symbol; to write freely, the model takes the likeliest symbol at every step.

    separators   the text between the symbols that are shown, for the source and for the target
    least        a rarer symbol counts as unknown
    """

    unit = "symbol"

    def __init__(
        self,
        train: Sequence[Pair],
        held_out: Sequence[Pair],
        options: TrainingOptions,
        separators: tuple[str, str] = (" ", " "),
        least: int = 1,
    ):
        if options.batch > len(train):
            raise ValueError(f"--batch {options.batch}: there are only {len(train)} pairs to train on; take a smaller one")
        self.train, self.held_out, self.options, self.separators = train, held_out, options, separators
        self.source_symbols = Vocabulary.from_words((pair.source for pair in train), SPECIAL, UNKNOWN, least)
        self.target_symbols = Vocabulary.from_words((pair.target for pair in train), SPECIAL, UNKNOWN, least)
        self.longest_source = max(len(pair.source) for pair in (*train, *held_out))
        self.longest = max(len(symbols) for pair in (*train, *held_out) for symbols in pair) + 1  # and the end symbol

    def describe(self) -> str:
        sizes = f"{len(self.source_symbols):,} symbols to read, {len(self.target_symbols):,} to write"
        return f"{self.options.data}: {len(self.train):,} pairs to train on, {len(self.held_out):,} held out, {sizes}"

    def vocabulary(self) -> dict[str, Any]:
        return {"source": list(self.source_symbols.symbols), "target": list(self.target_symbols.symbols)}

    def batch(self, step: int) -> tuple[Array, ...]:
        chosen = drawn(step, self.options.batch, len(self.train), self.options.seed, BATCHES)
        return self._batch([self.train[i] for i in chosen])

    def validate(self, backend: Backend) -> dict[str, float]:
        loss, accuracy = mean_score(backend, *self._batch(self.held_out), batch=100)
        written = self.written(backend, self.held_out)
        exact = np.mean([symbols == pair.target for symbols, pair in zip(written, self.held_out, strict=True)])
        return {"loss": loss, "accuracy": accuracy, "exact_match": float(exact)}

    def show(self, backend: Backend, step: int) -> list[str]:
        source, target = self.separators
        shown = self.held_out[:3]
        return [
            f"| {source.join(pair.source)}: {target.join(symbols)} ({self._comment(symbols, pair.target)})"
            for pair, symbols in zip(shown, self.written(backend, shown), strict=True)
        ]

    def written(self, backend: Backend, pairs: Sequence[Pair], batch: int = 100) -> list[list[str]]:
        """Return the symbols that the model writes for the source of each pair, without the end symbol."""
        found = []
        for piece in pieces(len(pairs), batch):
            some = pairs[piece]
            state = backend.start(*self._source(some))
            begin = np.full((len(some), 1), self.target_symbols.number(BEGIN))
            tokens = backend.generate(begin, np.zeros((self.longest, len(some))), state, temperature=0)
            found += [self._until_end(row) for row in tokens]
        return found

    def answer(self, backend: Backend, source: list[str]) -> str:
        """Return the target that the model writes for a source."""
        return self.separators[1].join(self.written(backend, [Pair(source, [])])[0])

    def attended(self, backend: Backend, count: int = 4) -> list[tuple[Array, list[str], list[str]]]:
        """Return attention weights (target, source) for a few held-out pairs, each with the target and the source."""
        pairs = self.held_out[:count]
        source, lengths, target, _ = self._batch(pairs)
        maps = backend.attention(source, lengths, target)
        return [
            (weights[: len(pair.target) + 1, : len(pair.source)], [*pair.target, END], pair.source)
            for weights, pair in zip(maps, pairs, strict=True)
        ]

    def samples(self) -> dict[str, Array]:
        source, lengths, target, _ = self._batch(self.held_out[:5])
        return {"source": source, "lengths": lengths, "target": target}

    def _comment(self, written: list[str], target: list[str]) -> str:
        return "right" if written == target else f"wrong, it is {self.separators[1].join(target)}"

    def _until_end(self, tokens: Array) -> list[str]:
        ends = np.flatnonzero(tokens == self.target_symbols.number(END))
        return [self.target_symbols.symbols[n] for n in tokens[: ends[0] if len(ends) else None]]

    def _source(self, pairs: Sequence[Pair]) -> tuple[Array, Array]:
        return padded([self.source_symbols.encode(pair.source) for pair in pairs])

    def _batch(self, pairs: Sequence[Pair]) -> tuple[Array, ...]:
        """Return the source, its lengths, the target before each symbol, and the symbols to predict."""
        rows = [self.target_symbols.encode([BEGIN, *pair.target, END]) for pair in pairs]
        target, _ = padded([row[:-1] for row in rows])
        labels, _ = padded([row[1:] for row in rows], IGNORED)
        return *self._source(pairs), target, labels


class Captions(Pairs):
    """Pairs of sentences. There are many right translations, so the score is BLEU (sacrebleu)."""

    unit = "word"

    def validate(self, backend: Backend) -> dict[str, float]:
        from sacrebleu import corpus_bleu

        scores = super().validate(backend)
        del scores["exact_match"]
        written = [" ".join(symbols) for symbols in self.written(backend, self.held_out)]
        right = [" ".join(pair.target) for pair in self.held_out]
        return scores | {"bleu": corpus_bleu(written, [right], tokenize="none").score / 100}

    def _comment(self, written: list[str], target: list[str]) -> str:
        return f"in the data: {' '.join(target)}"
