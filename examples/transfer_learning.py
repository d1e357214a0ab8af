"""A network that has learnt the digits 0 to 4 learns 5 to 9: in NumPy, in PyTorch, or in both side by side.

    python examples/transfer_learning.py                                   scikit-learn's digits
    python examples/transfer_learning.py --data mnist --save runs/five     ... MNIST's, and all four runs are kept
    python examples/transfer_learning.py --resume runs/five --plots runs/five
    python examples/transfer_learning.py --compare --dtype float64

First 0 to 4 are learnt. Then a new head learns 5 to 9 in three ways, of which it is told after how many steps --goal is reached:

    frozen    on the backbone as it is: no gradients, no backward, and batch normalisation by the statistics of 0 to 4
    tuned     on the backbone, which is trained at a tenth of the head's learning rate
    scratch   on a backbone with initial weights, both at --lr, the rate at which 0 to 4 were learnt; other heads learn faster
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from checkpoint import FILE
from console import InputError, Parser, at_least, exit_status, number, refusing
from datasets import Dataset, digits, mnist
from images import Images, augmentations
from loop import Run, add_options, parsed
from threadpoolctl import threadpool_limits

from parity.weights import get_state, set_state
from scratch.module import Array

DATA = {"digits": digits, "mnist": mnist}
DEFAULTS: dict[str, Any] = dict(
    data="digits", epochs=15, batch=16, lr=3e-3, dropout=0.0, augment=["shift", "mixup"], transfer_steps=100, goal=0.97
)
BY_DATA: dict[str | None, dict[str, Any]] = {"mnist": dict(epochs=2, transfer_steps=300)}
HEAD = "classifier"
BOLDER = 3  # a new head on features that are learnt bears so many times the rate of a whole network
STOCK = 5  # steps of 5 to 9, after which they are scored
BACKBONE = {"frozen": 0.0, "tuned": 0.1, "scratch": 1.0}  # its share of the head's rate


def main(argv: Sequence[str] | None = None) -> None:
    """Learn 0 to 4, or go on, then 5 to 9 in three ways, save and draw, as the arguments say."""
    options = parse(argv)
    with refusing():
        if options.plots:
            import image_plots  # needs matplotlib
        data = DATA[options.data]()
    # 8x8 images are too little work to share, and side by side the backends' threads would get in each other's way
    with threadpool_limits(1 if options.compare or options.data == "digits" else None):
        first = stage(options, data, range(5))
        begun = [way for way in BACKBONE if (Path(options.resume) / way / FILE).exists()] if options.resume else []
        if begun and first.saved_steps != first.options.steps:
            raise InputError(
                f"{options.resume}: 0 to 4 cannot be learnt longer, 5 to 9 have begun from what was learnt ({', '.join(begun)}); "
                "begin another run"
            )
        result = first.train()
        learnt = get_state(first.backends[0].model)
        runs, news = {}, {}
        for way in BACKBONE:
            print(f"\n5 to 9, {way}")
            runs[way] = stage(options, data, range(5, 10), way, learnt)
            last = runs[way].train()
            if options.compare:
                news[way] = last["largest_relative_difference"]
            else:
                news |= {f"{way}_accuracy": last["held_out_accuracy"], f"{way}_steps": steps_to(runs[way], options.goal)}
        print()
    for run in runs.values():
        run.keep()
    drawn = []
    if options.plots:
        image_plots.courses(f"{options.plots}/transfer.png", {way: np.array(run.scores) for way, run in runs.items()}, options.goal)
        drawn = ["transfer.png"]
    first.finish(result | news, *drawn)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, found to fit together."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "digits (default), which come with scikit-learn, or mnist", DEFAULTS, tuple(DATA))
    changes = "how images of 0 to 4 are changed in training (default: shift,mixup)"
    parser.add_argument("--augment", type=augmentations, metavar="LIST", help=changes)
    parser.add_argument("--transfer-steps", type=at_least(1), metavar="N", help="batches of 5 to 9 (default: 100; mnist 300)")
    goal = "the share of held-out images whose steps are counted (default: 0.97)"
    parser.add_argument("--goal", type=number(0, below=1), metavar="P", help=goal)
    options = parsed(parser, argv, lambda options: DEFAULTS | BY_DATA.get(options.data, {}))
    if options.compare and options.plots:
        parser.error("--plots draws scores and --compare has none: leave out either")
    return options


def stage(options: argparse.Namespace, data: Dataset, labels: range, way: str = "", learnt: dict[str, Array] | None = None) -> Run:
    """A run on the images of some labels: the first, or one that goes on, in some way, from what the first has learnt."""
    own = argparse.Namespace(**vars(options))
    if way:
        own.steps, own.every, own.augment = options.transfer_steps, STOCK, []
        own.lr = options.lr * (BOLDER if BACKBONE[way] < 1 else 1)
        own.save = options.save and f"{options.save}/{way}"
        own.resume = own.save if options.resume and (Path(own.save) / FILE).exists() else None
    with refusing():
        task = Images(chosen(data, labels), own)
    config = dict(in_channels=1, image_size=task.sides, classes=len(labels), batch_norm=True, dropout=options.dropout)

    def new_head(model: Any) -> None:
        """What was learnt, but for the head."""
        ours = get_state(model)
        set_state(model, {name: ours[name] if name.startswith(HEAD) else array for name, array in learnt.items()})

    if not way or BACKBONE[way] == 1:
        run = Run(task, "CNN", config, own)
    else:
        run = Run(task, "CNN", config, own, rates={"features": BACKBONE[way]}, prepare=new_head)
    run.directory = options.save
    return run


def chosen(data: Dataset, labels: range) -> Dataset:
    """The images of some labels, which are counted from 0."""

    def these(images: Array, all_labels: Array) -> tuple[Array, Array]:
        some = np.isin(all_labels, labels)
        return images[some], all_labels[some] - labels[0]

    train, test = these(data.train_x, data.train_y), these(data.test_x, data.test_y)
    return Dataset(f"{data.name} {labels[0]} to {labels[-1]}", *train, *test, len(labels))


def steps_to(run: Run, goal: float) -> float:
    """After how many steps the held-out accuracy was first at the goal; inf where it never was."""
    return next((int(step) for step, _, accuracy in run.scores if accuracy >= goal), float("inf"))


if __name__ == "__main__":
    sys.exit(exit_status(main))
