"""A network learns to write, letter by letter: in NumPy, in PyTorch, or in both side by side.

    python examples/char_language_model.py                                       an LSTM on Python's own manual
    python examples/char_language_model.py --data shakespeare --save runs/plays  ... on Shakespeare, and kept
    python examples/char_language_model.py --resume runs/plays                   it goes on where it stopped
    python examples/char_language_model.py --resume runs/plays --sample 500 --prompt "ROMEO:"
    python examples/char_language_model.py --model gpt --backend torch --data my.txt
    python examples/char_language_model.py --compare --dtype float64             both, from the same weights

For a recurrent model the text is cut into as many strands as the batch has rows. Each step reads the next window of every
strand with the state that the last one left, and its gradient ends at the window (truncated backpropagation through time,
Williams & Peng 1990). A GPT reads windows from anywhere, and nothing before them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from console import Parser, at_least, exit_status, number, refusing
from corpora import TEXTS, Vocabulary, text
from loop import BATCHES, SAMPLES, Run, Task, add_options, parsed
from training import Backend, score

from scratch.module import Array

DEFAULTS: dict[str, Any] = dict(data="python", model="lstm", steps=600, batch=64, lr=4e-3, dropout=0.0, every=100)
RECURRENT: dict[str, Any] = dict(window=100, hidden=256, embedding=256, layers=1)
GPT: dict[str, Any] = dict(batch=24, window=64, hidden=128, layers=4, heads=4, lr=2e-3, steps=1500, every=250)
SHOWN = 100  # characters
CONTEXT = 250  # characters that a recurrent model reads at a time when it is scored


def main(argv: Sequence[str] | None = None) -> None:
    """Train or go on, write, save and draw, as the arguments say."""
    options = parse(argv)
    gpt = options.model == "gpt"
    with refusing():
        if options.plots:
            import recurrent_plots  # needs matplotlib
            import transformer_plots
        task = (Windows if gpt else Strands)(text(options.data), options)
    run = Run(task, "GPT" if gpt else "CharLanguageModel", config(options, len(task.symbols)), options)
    result = run.train()
    if options.sample:
        print(task.written(run.backends[0], run.step, options.sample))
    drawn: list[str] = []
    if options.plots:
        draw = transformer_plots.draw if gpt else recurrent_plots.draw
        drawn = draw(run, task.held_out[:200], task.symbols)
    run.finish(result, *drawn)


def config(options: argparse.Namespace, symbols: int) -> dict[str, Any]:
    """The arguments of the model."""
    if options.model == "gpt":
        sizes = dict(context=options.window, width=options.hidden, layers=options.layers, heads=options.heads)
        return dict(vocab_size=symbols, dropout=options.dropout) | sizes
    sizes = dict(embedding_size=options.embedding, hidden_size=options.hidden, num_layers=options.layers)
    return dict(vocab_size=symbols, cell=options.model, dropout=options.dropout) | sizes


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, found to fit together."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = "python (default: the manual that comes with it), shakespeare, or a text file"
    add_options(parser, data, DEFAULTS, TEXTS, own_file=True)
    parser.add_argument("--model", choices=("rnn", "lstm", "gru", "gpt"), help="default: lstm")
    parser.add_argument("--hidden", type=at_least(1), metavar="N", help="width of a layer (default: 256; gpt 128)")
    parser.add_argument(
        "--embedding", type=at_least(1), metavar="N", help="width of a letter's vector (default: 256; gpt has --hidden)"
    )
    parser.add_argument("--layers", type=at_least(1), metavar="N", help="default: 1; gpt 4")
    parser.add_argument("--heads", type=at_least(1), metavar="N", help="of gpt's attention (default: 4)")
    parser.add_argument(
        "--window", type=at_least(1), metavar="N", help="letters a step, and what gradients go back (default: 100; gpt 64)"
    )
    parser.add_argument("--sample", type=at_least(1), metavar="N", help="write so many letters at the end")
    parser.add_argument("--prompt", metavar="TEXT", help="what the sample goes on from (default: a new line)")
    parser.add_argument("--temperature", type=number(0), default=0.8, help="0 always takes the likeliest (default: 0.8)")
    parser.add_argument("--top-k", type=at_least(1), metavar="K", help="choose among the K likeliest")
    parser.add_argument("--top-p", type=number(0), default=1.0, metavar="P", help="choose among the likeliest that come to P")
    return parsed(parser, argv, defaults)


def defaults(options: argparse.Namespace) -> dict[str, Any]:
    """What is not given, by the model and the data."""
    gpt, plays = options.model == "gpt", options.data == "shakespeare"
    if gpt:
        return DEFAULTS | GPT | (dict(steps=6000, every=500) if plays else {})
    return DEFAULTS | RECURRENT | (dict(steps=3600, every=300) if plays else {})


class Characters(Task):
    """The next character of a text, of which the last tenth is held out."""

    unit = "character"

    def __init__(self, text: str, options: argparse.Namespace):
        self.symbols = Vocabulary("".join(sorted(set(text))))
        self.options = options
        numbers = self.symbols.encode(text)
        cut = len(numbers) - len(numbers) // 10
        self.read, self.held_out = numbers[:cut], numbers[cut:]
        if len(self.held_out) < 2:
            raise ValueError(f"--data {options.data}: a tenth of {len(numbers)} characters is too little to be held out")
        start = "\n" if "\n" in self.symbols else self.symbols.symbols[0]
        self.prompt = start if options.prompt is None else options.prompt
        self.symbols.encode(self.prompt)
        if not self.prompt:
            raise ValueError("--prompt is empty, expected at least one character to go on from")

    def describe(self) -> str:
        return (
            f"{self.options.data}: {len(self.read):,} characters to train on, {len(self.held_out):,} held out, "
            f"{len(self.symbols)} distinct"
        )

    def vocabulary(self) -> dict[str, Any]:
        return {"characters": self.symbols.symbols}

    def show(self, backend: Backend, step: int) -> list[str]:
        return [f"| {line}" for line in self.written(backend, step, SHOWN).splitlines()]

    def written(self, backend: Backend, step: int, length: int) -> str:
        """The prompt and so many characters with which the model goes on, without the new line that it begins at by default."""
        options = self.options
        uniforms = np.random.default_rng([options.seed, SAMPLES, step]).random((length, 1))
        with refusing():
            tokens = backend.generate(
                self.symbols.encode(self.prompt)[None],
                uniforms,
                temperature=options.temperature,
                top_k=options.top_k,
                top_p=options.top_p,
            )
        return (self.prompt + self.symbols.decode(tokens[0])).removeprefix("\n" if options.prompt is None else "")

    def samples(self) -> dict[str, Array]:
        T = min(50, self.options.window, len(self.held_out))
        return {"tokens": self.held_out[: len(self.held_out) // T * T][: 3 * T].reshape(-1, T)}


class Strands(Characters):
    """For recurrent models: strands that are read side by side from beginning to end, their state carried on."""

    carries = True

    def __init__(self, text: str, options: argparse.Namespace):
        super().__init__(text, options)
        self.windows = (len(self.read) // options.batch - options.window) // options.window  # of a pass, wherever it begins
        if self.windows < 1:
            raise ValueError(
                f"--data {options.data}: {len(self.read):,} characters to train on are too few for {options.batch} strands with a "
                f"window of {options.window}; expected at least {2 * options.batch * options.window:,}: take a longer text, a "
                "smaller --batch or a smaller --window"
            )

    def describe(self) -> str:
        return f"{super().describe()}; a pass takes {self.windows} steps"

    def begins_anew(self, step: int) -> bool:
        return step % self.windows == 0

    def batch(self, step: int) -> tuple[Array, Array]:
        B, T = self.options.batch, self.options.window
        epoch, window = divmod(step, self.windows)
        first = int(np.random.default_rng([self.options.seed, BATCHES, epoch]).integers(T))  # every pass cuts elsewhere
        length = len(self.read) // B
        strands = self.read[: B * length].reshape(B, length)[:, first + window * T :]
        return strands[:, :T], strands[:, 1 : T + 1]

    def validate(self, backend: Backend) -> dict[str, float]:
        """The loss on every held-out character but the first, read in strands of at least 1,000."""
        kept = backend.carried()
        backend.carry([])
        B = max(1, min(64, len(self.held_out) // 1000))
        length = (len(self.held_out) - 1) // B
        tokens, labels = (self.held_out[i : i + B * length].reshape(B, length) for i in (0, 1))
        starts = range(0, length, CONTEXT)
        scores = [backend.score(tokens[:, t : t + CONTEXT], labels[:, t : t + CONTEXT], carry=True) for t in starts]
        loss, accuracy = np.average(scores, axis=0, weights=[min(CONTEXT, length - t) for t in starts])
        backend.carry(kept)
        return {"loss": float(loss), "accuracy": float(accuracy)}


class Windows(Characters):
    """For models that read a window and nothing before it: windows from anywhere in the text."""

    def __init__(self, text: str, options: argparse.Namespace):
        super().__init__(text, options)
        shortest = min(len(self.read), len(self.held_out))
        if shortest <= options.window:
            raise ValueError(
                f"--data {options.data}: expected more than {options.window} characters to train on and to hold out, a window, "
                f"found {shortest}; take a longer text or a smaller --window"
            )

    def batch(self, step: int) -> tuple[Array, Array]:
        B, T = self.options.batch, self.options.window
        starts = np.random.default_rng([self.options.seed, BATCHES, step]).integers(len(self.read) - T, size=(B, 1))
        places = starts + np.arange(T)
        return self.read[places], self.read[places + 1]

    def validate(self, backend: Backend) -> dict[str, float]:
        """The loss on every held-out character of whole windows but the first, each seen from within its window."""
        T = self.options.window
        length = (len(self.held_out) - 1) // T * T
        loss, accuracy = score(backend, *(self.held_out[i : i + length].reshape(-1, T) for i in (0, 1)), batch=100)
        return {"loss": loss, "accuracy": accuracy}


if __name__ == "__main__":
    sys.exit(exit_status(main))
