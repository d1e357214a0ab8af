"""Masked words of a text, and whether one piece of the text follows another: the two tasks of BERT."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from examples.data.batches import IGNORED, pieces
from examples.data.vocabulary import Vocabulary
from examples.training.backend import Backend
from examples.training.options import TrainingOptions
from examples.training.task import BATCHES, HELD_OUT, Task
from scratch.module import Array

SPECIAL = PADDING, UNKNOWN, MASK, FIRST, BETWEEN = "[padding]", "[unknown]", "[mask]", "[first]", "[between]"
LEAST = 3  # a rarer word counts as unknown
SHARE = 0.15  # of the tokens that the model has to predict
TESTED = 400  # held-out windows, always the same with the same masks
PIECE = 50  # windows at once when the model is scored


class MaskedWords(Task):
    """Masked words, and whether the second half of a window follows the first; the last tenth of the text is held out."""

    unit = "word"

    def __init__(self, text: str, options: TrainingOptions, window: int):
        self.options, self.window, self.half = options, window, (window - 2) // 2
        split = split_words(text)
        cut = len(split) - len(split) // 10
        self.words = Vocabulary.from_words([split[:cut]], SPECIAL, UNKNOWN, LEAST)
        numbers = self.words.encode(split)
        self.train = numbers[:cut]
        if len(numbers) - cut <= 2 * self.half:
            raise ValueError(
                f"--data {options.data}: expected more than {20 * self.half} words, so that a tenth is more than a window, "
                f"found {len(numbers)}; take a longer text or a smaller --window"
            )
        self.held_out = self._masked(numbers[cut:], TESTED, np.random.default_rng(HELD_OUT))

    def describe(self) -> str:
        known = f"{len(self.words):,} known, which occur at least {LEAST} times"
        return f"{self.options.data}: {len(self.train):,} words to train on, {known}"

    def vocabulary(self) -> dict[str, Any]:
        return {"words": list(self.words.symbols)}

    def size(self, batch: tuple[Any, ...]) -> int:
        return int((batch[-1][0] != IGNORED).sum())

    def batch(self, step: int) -> tuple[Any, ...]:
        return self._masked(self.train, self.options.batch, np.random.default_rng([self.options.seed, BATCHES, step]))

    def validate(self, backend: Backend) -> dict[str, float]:
        """Return the loss of both tasks, the share of right words, and the share of right answers about the order."""
        tokens, segments, lengths, (words, follows) = self.held_out
        parts = [(tokens[p], segments[p], lengths[p], (words[p], follows[p])) for p in pieces(len(tokens), PIECE)]
        scores = [backend.score(*part) for part in parts]
        loss, _ = np.average(scores, axis=0, weights=[len(part[0]) for part in parts])
        counts = [self.size(part) for part in parts]
        right_words = np.average([accuracy for _, accuracy in scores], weights=counts)
        right_order = [backend.predict(*inputs)[1].argmax(axis=1) == follows for *inputs, (_, follows) in parts]
        return {"loss": float(loss), "words": float(right_words), "order": float(np.concatenate(right_order).mean())}

    def show(self, backend: Backend, step: int) -> list[str]:
        tokens, segments, lengths, (words, _) = self.held_out
        guesses = backend.predict(tokens[:2], segments[:2], lengths[:2])[0].argmax(axis=2)
        return [self._filled_in(*row) for row in zip(tokens[:2], lengths[:2], words[:2], guesses, strict=True)]

    def filled(self, backend: Backend, sentence: str) -> str:
        """Return the sentence with the likeliest word in place of each mask."""
        words = [FIRST, *split_words(sentence)]
        if MASK not in words:
            raise ValueError(f"--fill {sentence!r}: expected {MASK} in place of each word to fill in")
        if len(words) > self.window:
            raise ValueError(f"--fill: expected at most {self.window - 1} words, the window, got {len(words) - 1}")
        tokens = self.words.encode(words)[None]
        logits = backend.predict(tokens, np.zeros_like(tokens), np.array([len(words)]))[0][0]
        logits[:, : len(SPECIAL)] = -np.inf
        found = [f"[{self._name(n)}]" if word == MASK else word for word, n in zip(words, logits.argmax(axis=1), strict=True)]
        return " ".join(found[1:])

    def samples(self) -> dict[str, Array]:
        tokens, segments, lengths = (array[:3] for array in self.held_out[:3])
        return {"tokens": tokens, "segments": segments, "lengths": lengths}

    def attended(self, backend: Backend) -> tuple[Array, list[str]]:
        """Return the attention weights (layers, heads, T, T) over the first held-out window, with its words."""
        tokens, segments, lengths = (array[:1] for array in self.held_out[:3])
        T = int(lengths[0])
        weights = backend.attention(tokens, segments, lengths)[:, 0, :, :T, :T]
        return weights, [self._name(number) for number in tokens[0, :T]]

    def _masked(self, text: Array, count: int, rng: np.random.Generator) -> tuple[Any, ...]:
        """Draw windows of two halves with masked words: tokens, segments, lengths, (the words, whether the halves follow)."""
        half, T = self.half, 2 * self.half + 2
        tokens, words = np.zeros((count, T), np.int64), np.full((count, T), IGNORED)
        segments = np.repeat([[0] * (half + 1) + [1] * (half + 1)], count, axis=0)
        lengths, follows = rng.integers(T - half // 2, T + 1, count), rng.integers(0, 2, count)
        first, between = self.words.number(FIRST), self.words.number(BETWEEN)
        starts = rng.integers(0, len(text) - 2 * half, (2, count))
        for row, begin, other, does_follow in zip(tokens, *starts, follows, strict=True):
            second = begin + half if does_follow else other
            row[:] = [first, *text[begin : begin + half], between, *text[second : second + half]]
        present = np.arange(T) < lengths[:, None]
        tokens[~present] = 0
        chosen = (rng.random((count, T)) < SHARE) & present & (tokens >= len(SPECIAL))
        words[chosen] = tokens[chosen]
        kind = rng.random((count, T))
        tokens[chosen & (kind < 0.8)] = self.words.number(MASK)
        replaced = chosen & (kind >= 0.9)
        tokens[replaced] = rng.integers(len(SPECIAL), len(self.words), int(replaced.sum()))
        return tokens, segments, lengths, (words, follows)

    def _filled_in(self, tokens: Array, length: int, words: Array, guesses: Array) -> str:
        """Return a window as text, with the guesses in brackets."""
        shown = []
        for token, word, guess in zip(tokens[:length], words, guesses, strict=False):
            correction = "" if guess == word else f", not {self._name(word)}"
            shown.append(self._name(token) if word == IGNORED else f"[{self._name(guess)}{correction}]")
        return f"| {' '.join(word for word in shown if word not in (FIRST, BETWEEN))}"

    def _name(self, number: int) -> str:
        return self.words.symbols[number]


def split_words(text: str) -> list[str]:
    """Split a text into words and punctuation; a repeated mark counts once, since a line of a table repeats it often."""
    return [found[0] for found in re.finditer(r"\[mask\]|\w+(?:['’]\w+)*|([^\w\s])\1*", text.lower())]
