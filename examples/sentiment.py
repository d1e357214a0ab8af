"""A bidirectional LSTM learns whether a sentence praises: in NumPy, in PyTorch, or in both side by side.

    python examples/sentiment.py                                            made-up verdicts: "the plot is not dull"
    python examples/sentiment.py --data rt-polarity --save runs/reviews     film reviews, and the run is kept
    python examples/sentiment.py --resume runs/reviews --judge "a clever, moving film"
    python examples/sentiment.py --backend torch --pooling max

Sentences of unequal length are read both ways within their own length, and the values over their words are pooled.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from console import Parser, at_least, exit_status, refusing
from corpora import Vocabulary, reviews, verdicts, words
from loop import BATCHES, HELD_OUT, Run, Task, add_options, parsed
from training import Backend, drawn, padded, score

from scratch.module import Array

DATA = {"verdicts": verdicts, "rt-polarity": reviews}
DEFAULTS: dict[str, Any] = dict(
    data="verdicts",
    steps=300,
    batch=64,
    lr=2e-3,
    dropout=0.5,
    every=100,
    hidden=64,
    embedding=64,
    layers=1,
    pooling="mean",
)
BY_DATA = {"rt-polarity": dict(steps=600, every=150, embedding=128)}
PADDING, UNKNOWN = "<padding>", "<unknown>"


def main(argv: Sequence[str] | None = None) -> None:
    """Train or go on, judge, save and draw, as the arguments say."""
    options = parse(argv)
    with refusing():
        if options.plots:
            import plots  # needs matplotlib
        task = Sentiment(*DATA[options.data](), options)
    config = dict(
        vocab_size=len(task.words),
        embedding_size=options.embedding,
        hidden_size=options.hidden,
        num_layers=options.layers,
        dropout=options.dropout,
        pooling=options.pooling,
    )
    run = Run(task, "SentimentClassifier", config, options)
    result = run.train()
    with refusing():
        for sentence in options.judge:
            print(task.judged(run.backends[0], sentence))
    run.finish(result, *(plots.of_run(run) if options.plots else []))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, found to fit together."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "verdicts (default, made up) or rt-polarity", DEFAULTS, tuple(DATA))
    parser.add_argument("--hidden", type=at_least(1), metavar="N", help="width of each direction (default: 64)")
    parser.add_argument("--embedding", type=at_least(1), metavar="N", help="width of a word's vector (default: 64; reviews 128)")
    parser.add_argument("--layers", type=at_least(1), metavar="N", help="default: 1")
    parser.add_argument("--pooling", choices=("mean", "max"), help="of the values over a sentence's words (default: mean)")
    parser.add_argument("--judge", action="append", default=[], metavar="TEXT", help="judge a sentence; may be given several times")
    return parsed(parser, argv, lambda options: DEFAULTS | BY_DATA.get(options.data, {}))


class Sentiment(Task):
    """Whether a sentence praises; a tenth of the sentences is held out."""

    unit = "sentence"

    def __init__(self, sentences: list[str], labels: Array, options: argparse.Namespace):
        self.options = options
        order = np.random.default_rng(HELD_OUT).permutation(len(sentences))  # the same sentences whatever the seed
        split = [words(sentences[i]) for i in order]
        count = len(split) // 10
        often = Counter(word for sentence in split[count:] for word in sentence)
        self.words = Vocabulary((PADDING, UNKNOWN, *sorted(word for word, times in often.items() if times > 1)))
        numbers, labels = [self._encoded(sentence) for sentence in split], labels[order]
        self.held_out, self.held_out_labels = numbers[:count], labels[:count]
        self.read, self.labels = numbers[count:], labels[count:]
        if options.batch > len(self.read):
            raise ValueError(f"--batch {options.batch}: there are only {len(self.read)} sentences to train on; take a smaller one")

    def describe(self) -> str:
        return (
            f"{self.options.data}: {len(self.read):,} sentences to train on, {len(self.held_out):,} held out, "
            f"{len(self.words):,} words that come more than once"
        )

    def vocabulary(self) -> dict[str, Any]:
        return {"words": list(self.words.symbols)}

    def batch(self, step: int) -> tuple[Array, Array, Array]:
        chosen = drawn(step, self.options.batch, len(self.read), self.options.seed, BATCHES)
        return *padded([self.read[i] for i in chosen]), self.labels[chosen]

    def validate(self, backend: Backend) -> dict[str, float]:
        loss, accuracy = score(backend, *padded(self.held_out), self.held_out_labels)
        return {"loss": loss, "accuracy": accuracy}

    def show(self, backend: Backend, step: int) -> list[str]:
        return []

    def judged(self, backend: Backend, sentence: str) -> str:
        """How likely a sentence praises; words that are not known are named."""
        found = words(sentence)
        if not found:
            raise ValueError(f"--judge {sentence!r} has no word in it")
        margin = np.diff(backend.logits(*padded([self._encoded(found)]))[0].astype(np.float64))[0]
        unknown = [word for word in found if word not in self.words]
        return f"praise {1 / (1 + np.exp(-margin)):.0%}: {sentence}" + (f" (not known: {', '.join(unknown)})" if unknown else "")

    def samples(self) -> dict[str, Array]:
        tokens, lengths = padded(self.held_out[:5])
        return {"tokens": tokens, "lengths": lengths}

    def _encoded(self, sentence: list[str]) -> Array:
        return self.words.encode([word if word in self.words else UNKNOWN for word in sentence])


if __name__ == "__main__":
    sys.exit(exit_status(main))
