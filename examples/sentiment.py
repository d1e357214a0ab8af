"""A bidirectional LSTM learns whether a sentence praises: in NumPy, in PyTorch, or in both side by side.

    python examples/sentiment.py                                            generated verdicts: "the plot is not dull"
    python examples/sentiment.py --data rt-polarity --save runs/reviews     film reviews, and the run is saved
    python examples/sentiment.py --resume runs/reviews --judge "a clever, moving film"
    python examples/sentiment.py --backend torch --pooling max

The model reads sentences of unequal length in both directions, and pools the hidden states over the words of each sentence.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from examples.data.generated import verdicts
from examples.data.texts import reviews
from examples.tasks.sentiment import Sentiment
from examples.training.console import at_least, exit_status, refusing
from examples.training.options import TrainingOptions, asked_option, data_option, option
from examples.training.run import Run

DATA = {"verdicts": verdicts, "rt-polarity": reviews}


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    data: str = data_option("verdicts", tuple(DATA), "verdicts (default, generated) or rt-polarity")
    steps: int = 300
    batch: int = 64
    lr: float = 2e-3
    dropout: float = 0.5
    every: int = 100
    hidden: int = option(64, at_least(1), "width of each direction (default: 64)", metavar="N")
    embedding: int = option(64, at_least(1), "width of a word's vector (default: 64; reviews 128)", metavar="N")
    layers: int = option(1, at_least(1), "default: 1", metavar="N")
    pooling: str = option("mean", str, "pooling of the hidden states over a sentence (default: mean)", choices=("mean", "max"))
    judge: tuple[str, ...] = asked_option(str, "TEXT", "judge a sentence")

    def dependent_defaults(self) -> dict[str, Any]:
        return dict(steps=600, every=150, embedding=128) if self.data == "rt-polarity" else {}


def main(argv: Sequence[str] | None = None) -> None:
    """Train or resume, judge, save and draw, as the arguments say."""
    options = Options.parse(argv, __doc__)
    with refusing():
        if options.plots:
            from examples.plots.curves import draw_losses
        task = Sentiment(*DATA[options.data](), options)
    config = dict(
        vocab_size=len(task.words),
        embedding_size=options.embedding,
        hidden_size=options.hidden,
        num_layers=options.layers,
        dropout=options.dropout,
        pooling=options.pooling,
    )
    run = Run(task, "SentimentClassifier", config)
    result = run.train()
    with refusing():
        for sentence in options.judge:
            print(task.judged(run.backends[0], sentence))
    run.finish(result, *(draw_losses(run) if options.plots else []))


if __name__ == "__main__":
    sys.exit(exit_status(main))
