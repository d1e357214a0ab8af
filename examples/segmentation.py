"""U-Net learns to which digit each pixel belongs: in NumPy, in PyTorch, or in both side by side.

    python examples/segmentation.py                                        scenes of scikit-learn's digits
    python examples/segmentation.py --data mnist --save runs/scenes        scenes of MNIST's, and the run is saved
    python examples/segmentation.py --resume runs/scenes --plots runs/scenes
    python examples/segmentation.py --backend torch --dice 0

Scenes of 1 to 5 digits, pieces of strokes and noise are generated for each step. The held-out scenes have other digits. The loss is
the cross-entropy of each pixel, plus --dice times the Dice loss. The score is the mean intersection over union of the true and the
predicted pixels of each class.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from examples.data.images import IMAGES
from examples.tasks.scenes import CLASSES, Segmentation
from examples.training.console import at_least, exit_status, number, refusing
from examples.training.options import TrainingOptions, data_option, option
from examples.training.run import Run


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    data: str = data_option("digits", tuple(IMAGES), "digits (default), which come with scikit-learn, or mnist")
    steps: int = 2000
    batch: int = 16
    lr: float = 4e-3
    every: int = 200
    size: int = option(48, at_least(24), "pixels on each side of a scene (default: 48)", metavar="N")
    depth: int = option(3, at_least(1), "how often the network halves a scene (default: 3)", metavar="N")
    width: int = option(16, at_least(1), "channels before the first halving (default: 16)", metavar="N")
    dice: float = option(1.0, number(0), "weight of the Dice loss (default: 1)", metavar="P")

    def problem(self) -> str:
        if self.dropout:
            return f"--dropout {self.dropout:g}: a UNet has none; leave it out"
        return super().problem()


def main(argv: Sequence[str] | None = None) -> None:
    """Train or resume, save and draw, as the arguments say."""
    options = Options.parse(argv, __doc__)
    with refusing():
        if options.plots:
            from examples.plots.scenes import draw_segmentation
        task = Segmentation(IMAGES[options.data](), options, options.size, options.depth, options.dice)
    run = Run(task, "UNet", dict(in_channels=1, classes=CLASSES, depth=options.depth, width=options.width))
    result = run.train()
    run.finish(result, *(draw_segmentation(run) if options.plots else []))


if __name__ == "__main__":
    sys.exit(exit_status(main))
