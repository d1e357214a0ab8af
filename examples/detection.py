"""YOLO or DETR learns to find handwritten digits in scenes: in NumPy, in PyTorch, or in both side by side.

    python examples/detection.py                                                YOLO, scenes of scikit-learn's digits
    python examples/detection.py --model detr --backend torch --save runs/detr  DETR, and the run is saved
    python examples/detection.py --resume runs/detr --plots runs/detr           boxes, scores and the attention of queries
    python examples/detection.py --data mnist

Scenes of 1 to 5 digits, pieces of strokes and noise are generated for each step. The held-out scenes have other digits. The score
is the mean average precision at an intersection over union of 0.5, by COCO's own evaluation.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from examples.data.images import IMAGES
from examples.tasks.detectors import DETR, YOLO, Detector
from examples.tasks.scenes import Detection
from examples.training.console import at_least, exit_status, refusing
from examples.training.options import TrainingOptions, data_option, option
from examples.training.run import Run


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    data: str = data_option("digits", tuple(IMAGES), "digits (default), which come with scikit-learn, or mnist")
    steps: int = 2000
    batch: int = 16
    lr: float = 2e-3
    every: int = 250
    model: str = option("yolo", str, "default: yolo", choices=("yolo", "detr"))
    size: int = option(64, at_least(32), "pixels on each side of a scene (default: 64)", metavar="N")
    width: int = option(16, at_least(1), "channels of the first layer (default: 16; detr 8)", metavar="N")

    def dependent_defaults(self) -> dict[str, Any]:
        return dict(steps=12000, lr=1e-3, every=1000, width=8) if self.model == "detr" else {}

    def problem(self) -> str:
        if self.label_smoothing:
            return f"--label-smoothing {self.label_smoothing:g}: detectors are trained without it; leave it out"
        if self.model == "yolo" and self.dropout:
            return f"--dropout {self.dropout:g}: a YOLO has none; leave it out"
        return super().problem()


def main(argv: Sequence[str] | None = None) -> None:
    """Train or resume, save and draw, as the arguments say."""
    options = Options.parse(argv, __doc__)
    with refusing():
        if options.plots:
            from examples.plots.scenes import draw_detection
        yolo = options.model == "yolo"
        detector: Detector = YOLO(options.size, options.width) if yolo else DETR(options.width, options.dropout)
        task = Detection(IMAGES[options.data](), options, options.size, detector)
    run = Run(task, type(detector).__name__, detector.config)
    result = run.train()
    run.finish({"model": options.model} | result, *(draw_detection(run) if options.plots else []))


if __name__ == "__main__":
    sys.exit(exit_status(main))
