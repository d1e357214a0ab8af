"""An encoder and a decoder with attention learn to spell numbers: in NumPy, in PyTorch, or in both side by side.

    python examples/seq2seq.py                                       4027 is "four thousand twenty seven"
    python examples/seq2seq.py --attention additive --save runs/numbers
    python examples/seq2seq.py --resume runs/numbers --spell 31 --spell 700012
    python examples/seq2seq.py --backend torch --plots runs/numbers

In training the decoder reads the right words (teacher forcing); in writing it reads its own. What is scored is how many of the
held-out numbers are spelt without a mistake.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from console import Parser, at_least, exit_status, refusing
from corpora import Vocabulary, number_words
from loop import BATCHES, HELD_OUT, Run, Task, add_options, parsed
from training import IGNORED, Backend, drawn, padded, score

from scratch.module import Array

DEFAULTS: dict[str, Any] = dict(
    data="numbers",
    steps=1200,
    batch=64,
    lr=4e-3,
    dropout=0.0,
    every=200,
    hidden=128,
    embedding=64,
    layers=1,
    attention="dot",
)
BELOW, READ, TESTED = 1_000_000, 20_000, 1000
LONGEST = 16  # words, the end among them
BEGIN, END = "<begin>", "<end>"


def main(argv: Sequence[str] | None = None) -> None:
    """Train or go on, spell, save and draw, as the arguments say."""
    options = parse(argv)
    with refusing():
        if options.plots:
            import plots  # needs matplotlib
        task = Numbers(options)
    config = dict(
        source_vocab_size=len(task.digits),
        target_vocab_size=len(task.words),
        embedding_size=options.embedding,
        hidden_size=options.hidden,
        num_layers=options.layers,
        attention=options.attention,
        dropout=options.dropout,
    )
    run = Run(task, "Seq2Seq", config, options)
    result = run.train()
    for number in options.spell:
        print(f"{number}: {task.spelt(run.backends[0], [number])[0]}")
    drawn_files = []
    if options.plots:
        drawn_files = [*plots.of_run(run), *plots.attention_maps(run.options.plots, task.attended(run.backends[0]))]
    run.finish(result, *drawn_files)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, found to fit together."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "numbers (default, made up)", DEFAULTS, choices=("numbers",))
    parser.add_argument("--attention", choices=("dot", "additive"), help="how the decoder looks back (default: dot)")
    parser.add_argument("--hidden", type=at_least(2), metavar="N", help="width of a layer, an even number (default: 128)")
    parser.add_argument("--embedding", type=at_least(1), metavar="N", help="width of a symbol's vector (default: 64)")
    parser.add_argument("--layers", type=at_least(1), metavar="N", help="default: 1")
    parser.add_argument(
        "--spell",
        action="append",
        default=[],
        type=_below_a_million,
        metavar="N",
        help="spell a number; may be given several times",
    )
    return parsed(parser, argv, DEFAULTS, {})


class Numbers(Task):
    """A number's digits to its words; a thousand numbers that are not trained on are held out."""

    unit = "word"

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.digits = Vocabulary("0123456789")
        chosen = np.random.default_rng(HELD_OUT).choice(BELOW, READ + TESTED, replace=False)  # whatever the seed
        self.held_out, self.read = chosen[:TESTED], np.concatenate([chosen[TESTED:], np.arange(100)])
        self.held_out = self.held_out[self.held_out >= 100]  # those below, which are few, are all trained on
        words = {word for number in (*range(100), 100, 1000) for word in number_words(number).split()}
        self.words = Vocabulary((BEGIN, END, *sorted(words)))

    def describe(self) -> str:
        return f"{self.options.data}: {len(self.read):,} numbers below a million to train on, {len(self.held_out):,} held out"

    def vocabulary(self) -> dict[str, Any]:
        return {"digits": self.digits.symbols, "words": list(self.words.symbols)}

    def batch(self, step: int) -> tuple[Array, ...]:
        return self._batch(self.read[drawn(step, self.options.batch, len(self.read), self.options.seed, BATCHES)])

    def validate(self, backend: Backend) -> dict[str, float]:
        loss, accuracy = score(backend, *self._batch(self.held_out))
        exact = [spelt == number_words(n) for spelt, n in zip(self.spelt(backend, self.held_out), self.held_out, strict=True)]
        return {"loss": loss, "accuracy": accuracy, "exact_match": float(np.mean(exact))}

    def show(self, backend: Backend, step: int) -> list[str]:
        numbers = self.held_out[:3]
        marks = {True: "right", False: "wrong"}
        spelt = self.spelt(backend, numbers)
        return [f"| {n}: {text} ({marks[text == number_words(n)]})" for n, text in zip(numbers, spelt, strict=True)]

    def spelt(self, backend: Backend, numbers: Sequence[int] | Array) -> list[str]:
        """The words that the model writes for each number, the likeliest at every step."""
        state = backend.start(*self._source(numbers))
        begin = np.full((len(numbers), 1), self.words.encode([BEGIN])[0])
        tokens = backend.generate(begin, np.zeros((LONGEST, len(numbers))), state, temperature=0)
        return [self.words.decode(row).split(f" {END}")[0] for row in tokens]

    def attended(self, backend: Backend) -> list[tuple[Array, list[str], list[str]]]:
        """For a few held-out numbers the weights with which each word attends the digits, the words and the digits."""
        numbers = self.held_out[:4]
        source, lengths, target, _ = self._batch(numbers)
        maps = backend.attention(source, lengths, target)
        found = []
        for n, weights in zip(numbers, maps, strict=True):
            words, digits = [*number_words(n).split(), END], list(str(n))
            found.append((weights[: len(words), : len(digits)], words, digits))
        return found

    def samples(self) -> dict[str, Array]:
        source, lengths, target, _ = self._batch(self.held_out[:5])
        return {"source": source, "lengths": lengths, "target": target}

    def _source(self, numbers: Sequence[int] | Array) -> tuple[Array, Array]:
        return padded([self.digits.encode(str(n)) for n in numbers])

    def _batch(self, numbers: Array) -> tuple[Array, ...]:
        """Digits, how many, the words to read and the words that follow."""
        rows = [self.words.encode([BEGIN, *number_words(n).split(), END]) for n in numbers]
        target, _ = padded([row[:-1] for row in rows])
        labels, _ = padded([row[1:] for row in rows], IGNORED)
        return *self._source(numbers), target, labels


def _below_a_million(text: str) -> int:
    number = at_least(0)(text)
    if number >= BELOW:
        raise argparse.ArgumentTypeError(f"expected a number below {BELOW:,}, got {text!r}")
    return number


if __name__ == "__main__":
    sys.exit(exit_status(main))
