"""An encoder and a decoder with attention learn to spell numbers: in NumPy, in PyTorch, or in both side by side.

    python examples/seq2seq.py                                       4027 is "four thousand twenty seven"
    python examples/seq2seq.py --attention additive --save runs/numbers
    python examples/seq2seq.py --resume runs/numbers --spell 31 --spell 700012
    python examples/seq2seq.py --backend torch --plots runs/numbers

In training the decoder reads the right words (teacher forcing). To write, it reads its own words. The score is the share of
held-out numbers that it spells without a mistake.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from examples.data.generated import number_pairs
from examples.tasks.pairs import Pairs
from examples.training.console import at_least, exit_status, refusing
from examples.training.options import TrainingOptions, asked_option, data_option, option
from examples.training.run import Run

BELOW = 1_000_000


def below_a_million(text: str) -> int:
    """Parse a whole number below a million."""
    number = at_least(0)(text)
    if number >= BELOW:
        raise argparse.ArgumentTypeError(f"expected a number below {BELOW:,}, got {text!r}")
    return number


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    data: str = data_option("numbers", ("numbers",), "numbers (default, generated)")
    steps: int = 1200
    batch: int = 64
    lr: float = 4e-3
    every: int = 200
    attention: str = option("dot", str, "the attention of the decoder (default: dot)", choices=("dot", "additive"))
    hidden: int = option(128, at_least(2), "width of a layer, an even number (default: 128)", metavar="N")
    embedding: int = option(64, at_least(1), "width of a symbol's vector (default: 64)", metavar="N")
    layers: int = option(1, at_least(1), "default: 1", metavar="N")
    spell: tuple[int, ...] = asked_option(below_a_million, "N", "spell a number")


def main(argv: Sequence[str] | None = None) -> None:
    """Train or resume, spell, save and draw, as the arguments say."""
    options = Options.parse(argv, __doc__)
    with refusing():
        if options.plots:
            from examples.plots.attention import draw_pairs
        task = Pairs(*number_pairs(), options, separators=("", " "))
    config = dict(
        source_vocab_size=len(task.source_symbols),
        target_vocab_size=len(task.target_symbols),
        embedding_size=options.embedding,
        hidden_size=options.hidden,
        num_layers=options.layers,
        attention=options.attention,
        dropout=options.dropout,
    )
    run = Run(task, "Seq2Seq", config)
    result = run.train()
    for number in options.spell:
        print(f"{number}: {task.answer(run.backends[0], list(str(number)))}")
    run.finish(result, *(draw_pairs(run) if options.plots else []))


if __name__ == "__main__":
    sys.exit(exit_status(main))
