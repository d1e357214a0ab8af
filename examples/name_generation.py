"""A recurrent network learns to invent names: in NumPy, in PyTorch, or in both side by side.

    python examples/name_generation.py                                   words that Python's manual might have
    python examples/name_generation.py --data names --save runs/names    first names, and the run is kept
    python examples/name_generation.py --resume runs/names --sample 20   twenty more of them
    python examples/name_generation.py --backend torch --data my.txt     one name a line

A GRU reads a name letter by letter from a first state that it learns as well; a new line begins and ends each name.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from console import Parser, at_least, exit_status, number, refusing
from corpora import LISTS, Vocabulary, lines
from loop import BATCHES, HELD_OUT, SAMPLES, Run, Task, add_options, parsed
from objectives import IGNORED
from training import Backend, drawn, padded, score

from scratch.module import Array

DEFAULTS: dict[str, Any] = dict(
    data="python", steps=400, batch=128, lr=8e-3, dropout=0.1, every=100, hidden=128, embedding=32, layers=1
)
BY_DATA = {"names": dict(steps=2500, every=500)}
END = 0  # the number of the new line
LONGEST = 30  # letters of an invented name


def main(argv: Sequence[str] | None = None) -> None:
    """Train or go on, invent, save and draw, as the arguments say."""
    options = parse(argv)
    with refusing():
        if options.plots:
            import plots  # needs matplotlib
        task = Names(lines(options.data), options)
    config = dict(
        vocab_size=len(task.letters),
        embedding_size=options.embedding,
        hidden_size=options.hidden,
        num_layers=options.layers,
        dropout=options.dropout,
    )
    run = Run(task, "NameGenerator", config, options)
    result = run.train()
    if options.sample:
        print("\n".join(task.invented(run.backends[0], run.step, options.sample)))
    run.finish(result, *(plots.of_run(run) if options.plots else []))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, found to fit together."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = "python (default: words of its manual), names, or a file with one name a line"
    add_options(parser, data, DEFAULTS, LISTS, own_file=True)
    parser.add_argument("--hidden", type=at_least(1), metavar="N", help="width of a layer (default: 128)")
    parser.add_argument("--embedding", type=at_least(1), metavar="N", help="width of a letter's vector (default: 32)")
    parser.add_argument("--layers", type=at_least(1), metavar="N", help="default: 1")
    parser.add_argument("--sample", type=at_least(1), metavar="N", help="invent so many names at the end")
    parser.add_argument("--temperature", type=number(0), default=1.0, help="0 always takes the likeliest letter (default: 1)")
    return parsed(parser, argv, lambda options: DEFAULTS | BY_DATA.get(options.data, {}))


class Names(Task):
    """The next letter of a name; a thousand names, or a tenth where there are less than ten thousand, are held out."""

    unit = "character"

    def __init__(self, names: list[str], options: argparse.Namespace):
        if len(names) < 20:
            raise ValueError(f"--data {options.data}: expected at least 20 different names, one a line, found {len(names)}")
        self.options, self.known = options, set(names)
        self.letters = Vocabulary("\n" + "".join(sorted(set("".join(names)))))
        order = np.random.default_rng(HELD_OUT).permutation(len(names))  # the same names whatever the seed
        numbers = [self.letters.encode(f"\n{names[i]}\n") for i in order]
        count = min(1000, len(names) // 10)
        self.read, self.held_out = numbers[count:], numbers[:count]
        if options.batch > len(self.read):
            raise ValueError(f"--batch {options.batch}: there are only {len(self.read)} names to train on; take a smaller one")

    def describe(self) -> str:
        return f"{self.options.data}: {len(self.read):,} names to train on, {len(self.held_out):,} held out"

    def vocabulary(self) -> dict[str, Any]:
        return {"letters": self.letters.symbols}

    def batch(self, step: int) -> tuple[Any, ...]:
        chosen = drawn(step, self.options.batch, len(self.read), self.options.seed, BATCHES)
        return _batch([self.read[i] for i in chosen])

    def validate(self, backend: Backend) -> dict[str, float]:
        loss, accuracy = score(backend, *_batch(self.held_out))
        return {"loss": loss, "accuracy": accuracy}

    def show(self, backend: Backend, step: int) -> list[str]:
        return ["| " + ", ".join(self.invented(backend, step, 10))]

    def invented(self, backend: Backend, step: int, count: int) -> list[str]:
        """So many names; a star marks those that are among the data."""
        uniforms = np.random.default_rng([self.options.seed, SAMPLES, step]).random((LONGEST, count))
        with refusing():
            tokens = backend.generate(np.full((count, 1), END), uniforms, temperature=self.options.temperature)
        names = [self.letters.decode(row).split("\n")[0] for row in tokens]
        return [f"{name}*" if name in self.known else name for name in names]

    def samples(self) -> dict[str, Array]:
        tokens, _, _, _ = _batch(self.held_out[:5])
        return {"tokens": tokens}


def _batch(names: Sequence[Array]) -> tuple[Array, None, Array, Array]:
    """Letters to read, no state, lengths, and the letters that follow."""
    tokens, lengths = padded([name[:-1] for name in names])
    labels, _ = padded([name[1:] for name in names], IGNORED)
    return tokens, None, lengths, labels


if __name__ == "__main__":
    sys.exit(exit_status(main))
