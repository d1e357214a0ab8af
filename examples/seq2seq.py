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

from console import Parser, at_least, exit_status, refusing
from corpora import Pair, number_pairs
from loop import Run, add_options, parsed
from pairs import Pairs

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
BELOW = 1_000_000


def main(argv: Sequence[str] | None = None) -> None:
    """Train or go on, spell, save and draw, as the arguments say."""
    options = parse(argv)
    with refusing():
        if options.plots:
            import plots  # needs matplotlib
        task = Pairs(*number_pairs(), options, joined=("", " "))
    config = dict(
        source_vocab_size=len(task.source_symbols),
        target_vocab_size=len(task.target_symbols),
        embedding_size=options.embedding,
        hidden_size=options.hidden,
        num_layers=options.layers,
        attention=options.attention,
        dropout=options.dropout,
    )
    run = Run(task, "Seq2Seq", config, options)
    result = run.train()
    for number in options.spell:
        print(f"{number}: {' '.join(task.written(run.backends[0], [Pair(list(str(number)), [])])[0])}")
    drawn_files = []
    if options.plots:
        drawn_files = [*plots.of_run(run), *plots.attention_maps(run.options.plots, task.attended(run.backends[0]))]
    run.finish(result, *drawn_files)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, found to fit together."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "numbers (default, made up)", DEFAULTS, ("numbers",))
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
    return parsed(parser, argv, lambda options: DEFAULTS)


def _below_a_million(text: str) -> int:
    number = at_least(0)(text)
    if number >= BELOW:
        raise argparse.ArgumentTypeError(f"expected a number below {BELOW:,}, got {text!r}")
    return number


if __name__ == "__main__":
    sys.exit(exit_status(main))
