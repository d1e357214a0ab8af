"""A recurrent network learns to invent names: in NumPy, in PyTorch, or in both side by side.

    python examples/name_generation.py                                   words like those of Python's manual
    python examples/name_generation.py --data names --save runs/names    first names, and the run is saved
    python examples/name_generation.py --resume runs/names --sample 20   twenty more names
    python examples/name_generation.py --backend torch --data my.txt     one name a line

A GRU reads a name letter by letter, and also learns its initial state. A new line begins and ends each name.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from examples.data.texts import LISTS, lines
from examples.tasks.names import Names
from examples.training.console import at_least, exit_status, number, refusing
from examples.training.options import TrainingOptions, data_option, option
from examples.training.run import Run


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    data: str = data_option(
        "python", LISTS, "python (default: words of its manual), names, or a file with one name a line", own_file=True
    )
    steps: int = 400
    batch: int = 128
    lr: float = 8e-3
    dropout: float = 0.1
    every: int = 100
    hidden: int = option(128, at_least(1), "width of a layer (default: 128)", metavar="N")
    embedding: int = option(32, at_least(1), "width of a letter's vector (default: 32)", metavar="N")
    layers: int = option(1, at_least(1), "default: 1", metavar="N")
    sample: int = option(0, at_least(1), "invent so many names at the end", may_differ=True, metavar="N")
    temperature: float = option(1.0, number(0), "0 always takes the likeliest letter (default: 1)", may_differ=True)

    def dependent_defaults(self) -> dict[str, Any]:
        return dict(steps=2500, every=500) if self.data == "names" else {}


def main(argv: Sequence[str] | None = None) -> None:
    """Train or resume, invent names, save and draw, as the arguments say."""
    options = Options.parse(argv, __doc__)
    with refusing():
        if options.plots:
            from examples.plots.curves import draw_losses
        task = Names(lines(options.data), options, options.temperature)
    config = dict(
        vocab_size=len(task.letters),
        embedding_size=options.embedding,
        hidden_size=options.hidden,
        num_layers=options.layers,
        dropout=options.dropout,
    )
    run = Run(task, "NameGenerator", config)
    result = run.train()
    if options.sample:
        print("\n".join(task.invented(run.backends[0], run.step, options.sample)))
    run.finish(result, *(draw_losses(run) if options.plots else []))


if __name__ == "__main__":
    sys.exit(exit_status(main))
