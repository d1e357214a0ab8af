"""BERT learns to fill in words that are hidden: in NumPy, in PyTorch, or in both side by side.

    python examples/masked_language_model.py                                      words of Python's manual
    python examples/masked_language_model.py --data shakespeare --save runs/bert
    python examples/masked_language_model.py --resume runs/bert --fill "to be or not to [mask]"
    python examples/masked_language_model.py --backend torch --data my.txt

As in Devlin et al. 2019, section 3.1: of 15 in a hundred tokens, 8 in 10 are masked, 1 in 10 is another word and 1 in 10 stays;
the model says what they were, and whether the second half of what it reads follows the first in the text.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from console import Parser, at_least, exit_status, refusing
from corpora import TEXTS, Vocabulary, text
from loop import BATCHES, HELD_OUT, Run, Task, add_options, parsed
from objectives import IGNORED
from training import Backend

from scratch.module import Array

DEFAULTS: dict[str, Any] = dict(
    data="python", steps=1000, batch=32, lr=1e-3, dropout=0.1, every=200, hidden=128, layers=2, heads=4, window=40
)
BY_DATA: dict[str | None, dict[str, Any]] = {"shakespeare": dict(steps=3000, every=500)}
SPECIAL = PADDING, UNKNOWN, MASK, FIRST, BETWEEN = "[padding]", "[unknown]", "[mask]", "[first]", "[between]"
RAREST = 3  # times that a known word comes in the text
SHARE = 0.15  # of the tokens that are to be told
TESTED = 400  # windows, always the same with the same words hidden


def main(argv: Sequence[str] | None = None) -> None:
    """Train or go on, fill in, save and draw, as the arguments say."""
    options = parse(argv)
    with refusing():
        if options.plots:
            import plots  # needs matplotlib
            import transformer_plots
        task = Masked(text(options.data), options)
    config = dict(
        vocab_size=len(task.words),
        context=options.window,
        width=options.hidden,
        layers=options.layers,
        heads=options.heads,
        feed_forward=4 * options.hidden,
        dropout=options.dropout,
    )
    run = Run(task, "BERT", config, options)
    result = run.train()
    with refusing():
        for sentence in options.fill:
            print(task.filled(run.backends[0], sentence))
    drawn: list[str] = []
    if options.plots:
        tokens, segments, lengths = (array[:1] for array in task.held_out[:3])
        weights = run.backends[0].attention(tokens, segments, lengths)[:, 0, :, : lengths[0], : lengths[0]]
        transformer_plots.head_maps(
            f"{options.plots}/attention.png", weights, [task.words.symbols[n] for n in tokens[0, : lengths[0]]]
        )
        drawn = [*plots.of_run(run), "attention.png"]
    run.finish(result, *drawn)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, found to fit together."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = "python (default: the manual that comes with it), shakespeare, or a text file"
    add_options(parser, data, DEFAULTS, TEXTS, own_file=True)
    parser.add_argument("--hidden", type=at_least(1), metavar="N", help="width of the model (default: 128)")
    parser.add_argument("--layers", type=at_least(1), metavar="N", help="default: 2")
    parser.add_argument("--heads", type=at_least(1), metavar="N", help="default: 4")
    parser.add_argument("--window", type=at_least(8), metavar="N", help="words that are read at a time (default: 40)")
    parser.add_argument("--fill", action="append", default=[], metavar="TEXT", help="fill [mask] in; may be given several times")
    return parsed(parser, argv, lambda options: DEFAULTS | BY_DATA.get(options.data, {}))


class Masked(Task):
    """Words of a text that are hidden, and whether one half follows the other; the last tenth of the text is held out."""

    unit = "word"

    def __init__(self, text: str, options: argparse.Namespace):
        self.options = options
        split = _words(text)
        cut = len(split) - len(split) // 10
        often = Counter(split[:cut])
        self.words = Vocabulary((*SPECIAL, *sorted(word for word, times in often.items() if times >= RAREST)))
        numbers = self._encoded(split)
        self.read, self.half = numbers[:cut], (options.window - 2) // 2
        if len(numbers) - cut <= 2 * self.half:
            raise ValueError(
                f"--data {options.data}: expected more than {20 * self.half} words, so that a tenth is more than a window, "
                f"found {len(numbers)}; take a longer text or a smaller --window"
            )
        self.held_out = self._hidden(numbers[cut:], TESTED, np.random.default_rng(HELD_OUT))

    def describe(self) -> str:
        return f"{self.options.data}: {len(self.read):,} words to train on, {len(self.words):,} known that come {RAREST} times"

    def vocabulary(self) -> dict[str, Any]:
        return {"words": list(self.words.symbols)}

    def size(self, batch: tuple[Any, ...]) -> int:
        return int((batch[-1][0] != IGNORED).sum())

    def batch(self, step: int) -> tuple[Any, ...]:
        rng = np.random.default_rng([self.options.seed, BATCHES, step])
        return self._hidden(self.read, self.options.batch, rng)

    def validate(self, backend: Backend) -> dict[str, float]:
        """The loss of both tasks, the share of hidden words and the share of halves told rightly."""
        tokens, segments, lengths, (hidden, follows) = self.held_out
        pieces = [slice(i, i + 50) for i in range(0, len(tokens), 50)]
        scores = [backend.score(tokens[p], segments[p], lengths[p], (hidden[p], follows[p])) for p in pieces]
        told = [backend.logits(tokens[p], segments[p], lengths[p])[1].argmax(axis=1) == follows[p] for p in pieces]
        loss, _ = np.average(scores, axis=0, weights=[len(tokens[p]) for p in pieces])
        counts = [int((hidden[p] != IGNORED).sum()) for p in pieces]
        words = float(np.average([accuracy for _, accuracy in scores], weights=counts))
        return {"loss": float(loss), "words": words, "order": float(np.concatenate(told).mean())}

    def show(self, backend: Backend, step: int) -> list[str]:
        tokens, segments, lengths, (hidden, _) = (self.held_out[i][:2] if i < 3 else self.held_out[3] for i in range(4))
        guesses = backend.logits(tokens, segments, lengths)[0].argmax(axis=2)
        lines = []
        for row, guess, right, length in zip(tokens, guesses, hidden, lengths, strict=False):
            told = [
                word if label == IGNORED else f"[{self._named(g)}{'' if g == label else f', not {self._named(label)}'}]"
                for word, g, label in zip((self._named(n) for n in row[:length]), guess, right, strict=False)
            ]
            lines.append(f"| {' '.join(word for word in told if word not in (FIRST, BETWEEN))}")
        return lines

    def filled(self, backend: Backend, sentence: str) -> str:
        """The sentence with the likeliest word in place of each mask."""
        words = [FIRST, *_words(sentence)]
        if MASK not in words:
            raise ValueError(f"--fill {sentence!r}: expected {MASK} in it, where a word is to be filled in")
        if len(words) > self.options.window:
            raise ValueError(f"--fill: expected at most {self.options.window - 1} words, the window, got {len(words) - 1}")
        tokens = self._encoded(words)[None]
        logits = backend.logits(tokens, np.zeros_like(tokens), np.array([len(words)]))[0][0]
        logits[:, : len(SPECIAL)] = -np.inf
        found = [f"[{self._named(n)}]" if word == MASK else word for word, n in zip(words, logits.argmax(axis=1), strict=True)]
        return " ".join(found[1:])

    def samples(self) -> dict[str, Array]:
        tokens, segments, lengths = (array[:3] for array in self.held_out[:3])
        return {"tokens": tokens, "segments": segments, "lengths": lengths}

    def _hidden(self, text: Array, count: int, rng: np.random.Generator) -> tuple[Any, ...]:
        """Windows of two halves with words hidden: tokens, segments, lengths, and (what was hidden, whether the second follows)."""
        half, T = self.half, 2 * self.half + 2
        tokens, hidden = np.zeros((count, T), np.int64), np.full((count, T), IGNORED)
        segments = np.repeat([[0] * (half + 1) + [1] * (half + 1)], count, axis=0)
        lengths, follows = rng.integers(T - half // 2, T + 1, count), rng.integers(0, 2, count)
        first, between = self.words.encode([FIRST, BETWEEN])
        for row, begin, other, goes_on in zip(tokens, *rng.integers(0, len(text) - 2 * half, (2, count)), follows, strict=True):
            second = begin + half if goes_on else other
            row[:] = [first, *text[begin : begin + half], between, *text[second : second + half]]
        there = np.arange(T) < lengths[:, None]
        tokens[~there] = 0
        chosen = (rng.random((count, T)) < SHARE) & there & (tokens >= len(SPECIAL))
        hidden[chosen] = tokens[chosen]
        kind = rng.random((count, T))
        tokens[chosen & (kind < 0.8)] = self.words.encode([MASK])[0]
        changed = chosen & (kind >= 0.9)
        tokens[changed] = rng.integers(len(SPECIAL), len(self.words), int(changed.sum()))
        return tokens, segments, lengths, (hidden, follows)

    def _encoded(self, words: list[str]) -> Array:
        return self.words.encode([word if word in self.words else UNKNOWN for word in words])

    def _named(self, number: int) -> str:
        return self.words.symbols[number]


def _words(text: str) -> list[str]:
    """Words and marks, of which a row of the same is one: a line of a table would be hundreds."""
    return [found[0] for found in re.finditer(r"\[mask\]|\w+(?:['’]\w+)*|([^\w\s])\1*", text.lower())]


if __name__ == "__main__":
    sys.exit(exit_status(main))
