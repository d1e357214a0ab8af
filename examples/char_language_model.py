"""A network learns to write, letter by letter: in NumPy, in PyTorch, or in both side by side.

    python examples/char_language_model.py                                       an LSTM on Python's own manual
    python examples/char_language_model.py --data shakespeare --save runs/plays  ... on Shakespeare, and the run is saved
    python examples/char_language_model.py --resume runs/plays                   ... and resumed
    python examples/char_language_model.py --resume runs/plays --sample 500 --prompt "ROMEO:"
    python examples/char_language_model.py --model gpt --backend torch --data my.txt
    python examples/char_language_model.py --compare --dtype float64             both, from the same weights

A recurrent model reads the text in as many strands as the batch has rows. Each step reads the next window of every strand, with the
state that the last step left. The gradient ends at the window (truncated backpropagation through time, Williams & Peng 1990). A GPT
reads random windows, and nothing before them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from examples.data.texts import TEXTS, text
from examples.tasks.characters import Sampling, Strands, Windows
from examples.training.console import at_least, exit_status, number, refusing
from examples.training.options import TrainingOptions, data_option, option
from examples.training.run import Run

GPT: dict[str, Any] = dict(batch=24, window=64, hidden=128, layers=4, heads=4, lr=2e-3, steps=1500, every=250)


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    data: str = data_option(
        "python", TEXTS, "python (default: the manual that comes with it), shakespeare, or a text file", own_file=True
    )
    steps: int = 600
    batch: int = 64
    lr: float = 4e-3
    every: int = 100
    model: str = option("lstm", str, "default: lstm", choices=("rnn", "lstm", "gru", "gpt"))
    hidden: int = option(256, at_least(1), "width of a layer (default: 256; gpt 128)", metavar="N")
    embedding: int | None = option(None, at_least(1), "width of a letter's vector (default: 256; gpt has --hidden)", metavar="N")
    layers: int = option(1, at_least(1), "default: 1; gpt 4", metavar="N")
    heads: int | None = option(None, at_least(1), "attention heads of a gpt (default: 4)", metavar="N")
    window: int = option(100, at_least(1), "letters a step; gradients end there (default: 100; gpt 64)", metavar="N")
    sample: int = option(0, at_least(1), "write so many letters at the end", may_differ=True, metavar="N")
    prompt: str | None = option(None, str, "the start of the sample (default: a new line)", may_differ=True, metavar="TEXT")
    temperature: float = option(0.8, number(0), "0 always takes the likeliest (default: 0.8)", may_differ=True)
    top_k: int | None = option(None, at_least(1), "sample from the K likeliest", may_differ=True, metavar="K")
    top_p: float = option(1.0, number(0), "sample from the likeliest whose probabilities add up to P", may_differ=True, metavar="P")

    def dependent_defaults(self) -> dict[str, Any]:
        plays = self.data == "shakespeare"
        if self.model == "gpt":
            return GPT | (dict(steps=6000, every=500) if plays else {})
        return dict(embedding=256) | (dict(steps=3600, every=300) if plays else {})


def main(argv: Sequence[str] | None = None) -> None:
    """Train or resume, write, save and draw, as the arguments say."""
    options = Options.parse(argv, __doc__)
    gpt = options.model == "gpt"
    sampling = Sampling(options.prompt, options.temperature, options.top_k, options.top_p)
    with refusing():
        if options.plots:
            from examples.plots import attention, recurrent
        task = (Windows if gpt else Strands)(text(options.data), options, options.window, sampling)
    run = Run(task, "GPT" if gpt else "CharLanguageModel", config(options, len(task.symbols)))
    result = run.train()
    if options.sample:
        print(task.written(run.backends[0], run.step, options.sample))
    plots: list[str] = []
    if options.plots:
        plots = attention.draw_characters(run) if gpt else recurrent.draw_characters(run)
    run.finish(result, *plots)


def config(options: Options, symbols: int) -> dict[str, Any]:
    """Return the arguments of the model."""
    if options.model == "gpt":
        sizes = dict(context=options.window, width=options.hidden, layers=options.layers, heads=options.heads)
        return dict(vocab_size=symbols, dropout=options.dropout) | sizes
    sizes = dict(embedding_size=options.embedding, hidden_size=options.hidden, num_layers=options.layers)
    return dict(vocab_size=symbols, cell=options.model, dropout=options.dropout) | sizes


if __name__ == "__main__":
    sys.exit(exit_status(main))
