"""A Transformer learns to translate: in NumPy, in PyTorch, or in both side by side.

    python examples/simple_translation.py                                         4027 is "four thousand twenty seven"
    python examples/simple_translation.py --data sorting --save runs/sorting      digits in order
    python examples/simple_translation.py --data multi30k --backend torch --device cuda
    python examples/simple_translation.py --resume runs/sorting --translate "3 1 2" --plots runs/sorting

Training uses label smoothing and a warm-up. After it the learning rate falls along a cosine, or as 1/√step as in Vaswani et
al. 2017 (--schedule inverse-sqrt). The score of captions is BLEU (sacrebleu).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from examples.data.generated import number_pairs, sorting_pairs
from examples.data.texts import multi30k_pairs, words
from examples.tasks.pairs import Captions, Pairs
from examples.training.backend import Backend
from examples.training.console import at_least, exit_status, refusing
from examples.training.options import TrainingOptions, asked_option, data_option, option
from examples.training.run import Run

DATA = {"numbers": number_pairs, "sorting": sorting_pairs, "multi30k": multi30k_pairs}


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    data: str = data_option("numbers", tuple(DATA), "numbers (default) and sorting are generated, multi30k is German to English")
    steps: int = 2000
    batch: int = 64
    lr: float = 2e-3
    label_smoothing: float = 0.1
    every: int = 250
    hidden: int = option(64, at_least(1), "width of the model (default: 64; multi30k 128)", metavar="N")
    layers: int = option(2, at_least(1), "layers of the encoder and of the decoder (default: 2)", metavar="N")
    heads: int = option(4, at_least(1), "default: 4", metavar="N")
    feed_forward: int = option(256, at_least(1), "width of the feed-forward layers (default: 256)", metavar="N")
    translate: tuple[str, ...] = asked_option(str, "TEXT", "translate a text")

    def dependent_defaults(self) -> dict[str, Any]:
        return dict(steps=1600, every=200, dropout=0.1, hidden=128) if self.data == "multi30k" else {}


def main(argv: Sequence[str] | None = None) -> None:
    """Train or resume, translate, save and draw, as the arguments say."""
    options = Options.parse(argv, __doc__)
    captions = options.data == "multi30k"
    with refusing():
        if options.plots:
            from examples.plots.attention import draw_pairs
        separators = ("" if options.data == "numbers" else " ", " ")
        task = (Captions if captions else Pairs)(*DATA[options.data](), options, separators, least=2 if captions else 1)
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
    run = Run(task, "Transformer", config)
    result = run.train()
    with refusing():
        for text in options.translate:
            print(f"{text}: {translated(task, run.backends[0], text)}")
    run.finish(result, *(draw_pairs(run) if options.plots else []))


def translated(task: Pairs, backend: Backend, text: str) -> str:
    """Return the translation of a text; ValueError if it has too few or too many symbols."""
    symbols = list(text.strip()) if task.options.data == "numbers" else words(text)
    if not 1 <= len(symbols) <= task.longest_source:
        limit = f"1 to {task.longest_source} symbols, the longest in the data"
        raise ValueError(f"--translate {text!r}: expected {limit}, got {len(symbols)}")
    return task.answer(backend, symbols)


if __name__ == "__main__":
    sys.exit(exit_status(main))
