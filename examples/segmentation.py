"""U-Net learns to say of each pixel which digit it belongs to: in NumPy, in PyTorch, or in both side by side.

    python examples/segmentation.py                                        scenes of scikit-learn's digits
    python examples/segmentation.py --data mnist --save runs/scenes        ... of MNIST's, and the run is kept
    python examples/segmentation.py --resume runs/scenes --plots runs/scenes
    python examples/segmentation.py --backend torch --dice 0

Scenes of 1 to 5 digits, bits of strokes and noise are made as they are needed; those that are scored are made of other digits.
The loss is the cross-entropy of each pixel and --dice times the Dice loss, the score how far pixels of each class, true and
predicted, overlap (mean intersection over union).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from console import Parser, at_least, exit_status, number, refusing
from datasets import Dataset, digits, mnist
from loop import Run, add_options, parsed
from objectives import Objective, cross_entropy_of_pixels
from scene_tasks import Scenes, pieces
from training import Backend

from scratch.module import Array

DATA = {"digits": digits, "mnist": mnist}
DEFAULTS: dict[str, Any] = dict(
    data="digits", steps=2000, batch=16, lr=4e-3, dropout=0.0, every=200, size=48, depth=3, width=16, dice=1.0
)
CLASSES = 11  # the background and ten digits


def main(argv: Sequence[str] | None = None) -> None:
    """Train or go on, save and draw, as the arguments say."""
    options = parse(argv)
    with refusing():
        if options.plots:
            import scene_plots  # needs matplotlib
        task = Segmentation(DATA[options.data](), options)
    run = Run(task, "UNet", dict(in_channels=1, classes=CLASSES, depth=options.depth, width=options.width), options)
    result = run.train()
    run.finish(result, *(scene_plots.of_segmentation(run) if options.plots else []))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, found to fit together."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "digits (default), which come with scikit-learn, or mnist", DEFAULTS, tuple(DATA))
    parser.add_argument("--size", type=at_least(24), metavar="N", help="pixels on each side of a scene (default: 48)")
    parser.add_argument("--depth", type=at_least(1), metavar="N", help="how often the network halves a scene (default: 3)")
    parser.add_argument("--width", type=at_least(1), metavar="N", help="channels before the first time (default: 16)")
    parser.add_argument("--dice", type=number(0), metavar="P", help="weight of the Dice loss (default: 1)")
    options = parsed(parser, argv, lambda options: DEFAULTS)
    if options.dropout:
        parser.error(f"--dropout {options.dropout:g}: a UNet has none; leave it out")
    return options


class Segmentation(Scenes):
    """The class of each pixel of a scene."""

    def __init__(self, data: Dataset, options: argparse.Namespace):
        if options.size < 2**options.depth:
            raise ValueError(
                f"--size {options.size}: a network of --depth {options.depth} halves it to nothing; expected at least "
                f"{2**options.depth}, or less depth"
            )
        super().__init__(data, options)

    @property
    def objective(self) -> Objective:
        return cross_entropy_of_pixels(self.options.label_smoothing, self.options.dice)

    def vocabulary(self) -> dict[str, Any]:
        return {"classes": ["background", *map(str, range(10))]}

    def batch(self, step: int) -> tuple[Array, Array]:
        batch = self.made(step)
        return batch.images, batch.pixels

    def validate(self, backend: Backend) -> dict[str, float]:
        """The loss, the share of pixels told rightly, and the mean over the classes of intersection over union."""
        images, pixels, *_ = self.held_out
        scores = [backend.score(images[p], pixels[p], objective=self.objective) for p in pieces(len(images))]
        loss, right = np.mean(scores, axis=0)
        return {"loss": float(loss), "accuracy": float(right), "mean_iou": mean_iou(self.predicted(backend, images), pixels)}

    def show(self, backend: Backend, step: int) -> list[str]:
        return []

    def predicted(self, backend: Backend, images: Array) -> Array:
        """The likeliest class of each pixel."""
        return np.concatenate([backend.logits(images[piece]).argmax(1) for piece in pieces(len(images))])

    def samples(self) -> dict[str, Array]:
        return {"x": self.held_out.images[:4]}


def mean_iou(predicted: Array, pixels: Array) -> float:
    """The pixels that are of a class and predicted as such over those that are either, the mean over the classes that there are."""
    table = np.bincount(CLASSES * pixels.ravel() + predicted.ravel(), minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    both, either = table.diagonal(), table.sum(0) + table.sum(1) - table.diagonal()
    return float((both[either > 0] / either[either > 0]).mean())


if __name__ == "__main__":
    sys.exit(exit_status(main))
