"""Pairs of sequences, one to be read and one to be written: what the examples of sequence to sequence share."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from corpora import Pair, Vocabulary
from loop import BATCHES, Task
from objectives import IGNORED
from training import Backend, drawn, padded, score

from scratch.module import Array

PADDING, UNKNOWN, BEGIN, END = SPECIAL = ("<padding>", "<unknown>", "<begin>", "<end>")


class Pairs(Task):
    """The right sequence for each, symbol by symbol; written freely, the likeliest symbol at every step.

    joined    what comes between the symbols when they are shown: of the source and of the target
    rarest    symbols that come less often in the pairs to train on count as unknown
    """

    unit = "symbol"

    def __init__(
        self,
        read: Sequence[Pair],
        held_out: Sequence[Pair],
        options: argparse.Namespace,
        joined: tuple[str, str] = (" ", " "),
        rarest: int = 1,
    ):
        if options.batch > len(read):
            raise ValueError(f"--batch {options.batch}: there are only {len(read)} pairs to train on; take a smaller one")
        self.read, self.held_out, self.options, self.joined = read, held_out, options, joined
        self.source_symbols = _symbols((pair.source for pair in read), rarest)
        self.target_symbols = _symbols((pair.target for pair in read), rarest)
        self.begin, self.end = (int(self.target_symbols.encode([symbol])[0]) for symbol in (BEGIN, END))
        self.longest_source = max(len(pair.source) for pair in (*read, *held_out))
        self.longest = max(len(symbols) for pair in (*read, *held_out) for symbols in pair) + 1  # the end is written too

    def describe(self) -> str:
        sizes = f"{len(self.source_symbols):,} symbols to read, {len(self.target_symbols):,} to write"
        return f"{self.options.data}: {len(self.read):,} pairs to train on, {len(self.held_out):,} held out, {sizes}"

    def vocabulary(self) -> dict[str, Any]:
        return {"source": list(self.source_symbols.symbols), "target": list(self.target_symbols.symbols)}

    def batch(self, step: int) -> tuple[Array, ...]:
        chosen = drawn(step, self.options.batch, len(self.read), self.options.seed, BATCHES)
        return self._batch([self.read[i] for i in chosen])

    def validate(self, backend: Backend) -> dict[str, float]:
        loss, accuracy = score(backend, *self._batch(self.held_out), batch=100)
        written = self.written(backend, self.held_out)
        exact = np.mean([symbols == pair.target for symbols, pair in zip(written, self.held_out, strict=True)])
        return {"loss": loss, "accuracy": accuracy, "exact_match": float(exact)}

    def show(self, backend: Backend, step: int) -> list[str]:
        shown = self.held_out[:3]
        return [
            f"| {self.joined[0].join(pair.source)}: {self.joined[1].join(symbols)} ({self._mark(symbols, pair.target)})"
            for pair, symbols in zip(shown, self.written(backend, shown), strict=True)
        ]

    def written(self, backend: Backend, pairs: Sequence[Pair], batch: int = 100) -> list[list[str]]:
        """What the model writes for the source of each pair, without the end."""
        found = []
        for first in range(0, len(pairs), batch):
            piece = pairs[first : first + batch]
            state = backend.start(*self._source(piece))
            begin = np.full((len(piece), 1), self.begin)
            tokens = backend.generate(begin, np.zeros((self.longest, len(piece))), state, temperature=0)
            found += [self._until_end(row) for row in tokens]
        return found

    def attended(self, backend: Backend, count: int = 4) -> list[tuple[Array, list[str], list[str]]]:
        """For a few held-out pairs the weights with which each symbol attends the source, both sequences with them."""
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

    def _mark(self, written: list[str], right: list[str]) -> str:
        return "right" if written == right else f"wrong, it is {self.joined[1].join(right)}"

    def _until_end(self, tokens: Array) -> list[str]:
        ends = np.flatnonzero(tokens == self.end)
        return [self.target_symbols.symbols[n] for n in tokens[: ends[0] if len(ends) else None]]

    def _source(self, pairs: Sequence[Pair]) -> tuple[Array, Array]:
        return padded([_encoded(self.source_symbols, pair.source) for pair in pairs])

    def _batch(self, pairs: Sequence[Pair]) -> tuple[Array, ...]:
        """What is read, how long it is, what has been written before each symbol, and the symbol."""
        rows = [_encoded(self.target_symbols, [BEGIN, *pair.target, END]) for pair in pairs]
        target, _ = padded([row[:-1] for row in rows])
        labels, _ = padded([row[1:] for row in rows], IGNORED)
        return *self._source(pairs), target, labels


def _symbols(sequences: Iterable[list[str]], rarest: int) -> Vocabulary:
    often = Counter(symbol for symbols in sequences for symbol in symbols)
    return Vocabulary((*SPECIAL, *sorted(symbol for symbol, times in often.items() if times >= rarest)))


def _encoded(vocabulary: Vocabulary, symbols: list[str]) -> Array:
    return vocabulary.encode([symbol if symbol in vocabulary else UNKNOWN for symbol in symbols])
