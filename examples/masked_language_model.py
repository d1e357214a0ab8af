"""BERT learns to fill in masked words: in NumPy, in PyTorch, or in both side by side.

    python examples/masked_language_model.py                                      words of Python's manual
    python examples/masked_language_model.py --data shakespeare --save runs/bert
    python examples/masked_language_model.py --resume runs/bert --fill "to be or not to [mask]"
    python examples/masked_language_model.py --backend torch --data my.txt

As in Devlin et al. 2019, section 3.1, 15% of the tokens are chosen: 80% of them are masked, 10% are replaced by another word and
10% stay. The model predicts them, and whether the second half of its window follows the first half in the text.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from examples.data.texts import TEXTS, text
from examples.tasks.masked_words import MaskedWords
from examples.training.console import at_least, exit_status, refusing
from examples.training.options import TrainingOptions, asked_option, data_option, option
from examples.training.run import Run


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    data: str = data_option(
        "python", TEXTS, "python (default: the manual that comes with it), shakespeare, or a text file", own_file=True
    )
    steps: int = 1000
    batch: int = 32
    lr: float = 1e-3
    dropout: float = 0.1
    every: int = 200
    hidden: int = option(128, at_least(1), "width of the model (default: 128)", metavar="N")
    layers: int = option(2, at_least(1), "default: 2", metavar="N")
    heads: int = option(4, at_least(1), "default: 4", metavar="N")
    window: int = option(40, at_least(8), "words that the model reads at once (default: 40)", metavar="N")
    fill: tuple[str, ...] = asked_option(str, "TEXT", "fill in each [mask]")

    def dependent_defaults(self) -> dict[str, Any]:
        return dict(steps=3000, every=500) if self.data == "shakespeare" else {}


def main(argv: Sequence[str] | None = None) -> None:
    """Train or resume, fill in, save and draw, as the arguments say."""
    options = Options.parse(argv, __doc__)
    with refusing():
        if options.plots:
            from examples.plots.attention import draw_masked_words
        task = MaskedWords(text(options.data), options, options.window)
    config = dict(
        vocab_size=len(task.words),
        context=options.window,
        width=options.hidden,
        layers=options.layers,
        heads=options.heads,
        feed_forward=4 * options.hidden,
        dropout=options.dropout,
    )
    run = Run(task, "BERT", config)
    result = run.train()
    with refusing():
        for sentence in options.fill:
            print(task.filled(run.backends[0], sentence))
    run.finish(result, *(draw_masked_words(run) if options.plots else []))


if __name__ == "__main__":
    sys.exit(exit_status(main))
