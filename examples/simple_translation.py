"""A Transformer learns to translate: in NumPy, in PyTorch, or in both side by side.

    python examples/simple_translation.py                                         4027 is "four thousand twenty seven"
    python examples/simple_translation.py --data sorting --save runs/sorting      digits in order
    python examples/simple_translation.py --data multi30k --backend torch --device cuda
    python examples/simple_translation.py --resume runs/sorting --translate "3 1 2" --plots runs/sorting

Trained with label smoothing and a warm-up, after which the learning rate falls with a cosine, or with 1/√step as in Vaswani et
al. 2017 (--schedule inverse-sqrt). Captions are scored by BLEU (sacrebleu).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from console import Parser, at_least, exit_status, refusing
from corpora import Pair, multi30k_pairs, number_pairs, sorting_pairs, words
from loop import Run, add_options, parsed
from pairs import Pairs
from training import Backend

DATA = {"numbers": number_pairs, "sorting": sorting_pairs, "multi30k": multi30k_pairs}
DEFAULTS: dict[str, Any] = dict(
    data="numbers",
    steps=2000,
    batch=64,
    lr=2e-3,
    dropout=0.0,
    schedule="cosine",
    label_smoothing=0.1,
    every=250,
    hidden=64,
    layers=2,
    heads=4,
    feed_forward=256,
)
BY_DATA: dict[str | None, dict[str, Any]] = {"multi30k": dict(steps=1600, every=200, dropout=0.1, hidden=128)}
RAREST = {"multi30k": 2}  # of words that count as known


def main(argv: Sequence[str] | None = None) -> None:
    """Train or go on, translate, save and draw, as the arguments say."""
    options = parse(argv)
    with refusing():
        if options.plots:
            import plots  # needs matplotlib
        joined = ("" if options.data == "numbers" else " ", " ")
        kind = Captions if options.data == "multi30k" else Pairs
        task = kind(*DATA[options.data](), options, joined, RAREST.get(options.data, 1))
    config = dict(
        source_vocab_size=len(task.source_symbols),
        target_vocab_size=len(task.target_symbols),
        context=task.longest,
        width=options.hidden,
        layers=options.layers,
        heads=options.heads,
        feed_forward=options.feed_forward,
        dropout=options.dropout,
    )
    run = Run(task, "Transformer", config, options)
    result = run.train()
    with refusing():
        for text in options.translate:
            print(f"{text}: {translated(task, run.backends[0], text)}")
    drawn: list[str] = []
    if options.plots:
        drawn = [*plots.of_run(run), *plots.attention_maps(options.plots, task.attended(run.backends[0]))]
    run.finish(result, *drawn)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, found to fit together."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "numbers (default) and sorting are made up, multi30k is German to English", DEFAULTS, tuple(DATA))
    parser.add_argument("--hidden", type=at_least(1), metavar="N", help="width of the model (default: 64; multi30k 128)")
    parser.add_argument("--layers", type=at_least(1), metavar="N", help="of encoder and decoder (default: 2)")
    parser.add_argument("--heads", type=at_least(1), metavar="N", help="default: 4")
    parser.add_argument("--feed-forward", type=at_least(1), metavar="N", help="width between its two maps (default: 256)")
    parser.add_argument(
        "--translate", action="append", default=[], metavar="TEXT", help="translate a text; may be given several times"
    )
    return parsed(parser, argv, lambda options: DEFAULTS | BY_DATA.get(options.data, {}))


def translated(task: Pairs, backend: Backend, text: str) -> str:
    """What the model writes for a text; ValueError where there is nothing to read, or too much."""
    symbols = list(text.strip()) if task.options.data == "numbers" else words(text)
    if not 1 <= len(symbols) <= task.longest_source:
        limit = f"1 to {task.longest_source} symbols, the longest in the data"
        raise ValueError(f"--translate {text!r}: expected {limit}, got {len(symbols)}")
    return task.joined[1].join(task.written(backend, [Pair(symbols, [])])[0])


class Captions(Pairs):
    """Pairs of sentences, of which no translation is the only right one: scored by BLEU."""

    unit = "word"

    def validate(self, backend: Backend) -> dict[str, float]:
        from sacrebleu import corpus_bleu

        scores = super().validate(backend)
        del scores["exact_match"]
        written = [" ".join(symbols) for symbols in self.written(backend, self.held_out)]
        right = [" ".join(pair.target) for pair in self.held_out]
        return scores | {"bleu": corpus_bleu(written, [right], tokenize="none").score / 100}

    def _mark(self, written: list[str], right: list[str]) -> str:
        return f"in the data: {' '.join(right)}"


if __name__ == "__main__":
    sys.exit(exit_status(main))
