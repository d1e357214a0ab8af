"""YOLO or DETR learns to find handwritten digits in scenes: in NumPy, in PyTorch, or in both side by side.

    python examples/detection.py                                                YOLO, scenes of scikit-learn's digits
    python examples/detection.py --model detr --backend torch --save runs/detr  DETR, and the run is kept
    python examples/detection.py --resume runs/detr --plots runs/detr           boxes with their scores, and what queries look at
    python examples/detection.py --data mnist

Scenes of 1 to 5 digits, bits of strokes and noise are made as they are needed; those that are scored are made of other digits.
The score is the mean average precision at an intersection over union of 0.5, by COCO's own evaluation.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from average_precision import Seen, mean_average_precision
from console import Parser, at_least, exit_status, refusing
from datasets import Dataset, digits, mnist
from detectors import DETECTORS, Detector, corners
from loop import Run, add_options, parsed
from objectives import Objective
from scene_tasks import Scenes, pieces
from training import Backend

from scratch.module import Array

DATA = {"digits": digits, "mnist": mnist}
DEFAULTS: dict[str, Any] = dict(
    data="digits", model="yolo", steps=2000, batch=16, lr=2e-3, dropout=0.0, every=250, size=64, width=16
)
BY_MODEL: dict[str | None, dict[str, Any]] = {"detr": dict(steps=12000, lr=1e-3, every=1000, width=8)}
SURE = 0.5  # of what is told and drawn


def main(argv: Sequence[str] | None = None) -> None:
    """Train or go on, save and draw, as the arguments say."""
    options = parse(argv)
    with refusing():
        if options.plots:
            import scene_plots  # needs matplotlib
        detector = DETECTORS[options.model](options)
        task = Detection(DATA[options.data](), detector, options)
    run = Run(task, type(detector).__name__, detector.config, options)
    result = run.train()
    run.finish({"model": options.model} | result, *(scene_plots.of_detection(run) if options.plots else []))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, found to fit together."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "digits (default), which come with scikit-learn, or mnist", DEFAULTS, tuple(DATA))
    parser.add_argument("--model", choices=tuple(DETECTORS), help="default: yolo")
    parser.add_argument("--size", type=at_least(32), metavar="N", help="pixels on each side of a scene (default: 64)")
    parser.add_argument("--width", type=at_least(1), metavar="N", help="channels of the first layer (default: 16; detr 8)")
    options = parsed(parser, argv, lambda options: DEFAULTS | BY_MODEL.get(options.model, {}))
    if options.label_smoothing:
        parser.error(f"--label-smoothing {options.label_smoothing:g}: detectors are trained without; leave it out")
    if options.model == "yolo" and options.dropout:
        parser.error(f"--dropout {options.dropout:g}: a YOLO has none; leave it out")
    return options


class Detection(Scenes):
    """The boxes of the digits in a scene, and what they are."""

    def __init__(self, data: Dataset, detector: Detector, options: argparse.Namespace):
        super().__init__(data, options)
        self.detector = detector
        there = self.held_out.labels >= 0
        self.truth = [
            Seen(corners(boxes[real]), labels[real], np.ones(real.sum()))
            for boxes, labels, real in zip(self.held_out.boxes, self.held_out.labels, there, strict=True)
        ]

    @property
    def objective(self) -> Objective:
        return self.detector.objective

    def vocabulary(self) -> dict[str, Any]:
        return {"classes": [*map(str, range(10))]}

    def batch(self, step: int) -> tuple[Array, tuple[Array, Array]]:
        batch = self.made(step)
        return batch.images, (batch.labels, batch.boxes)

    def validate(self, backend: Backend) -> dict[str, float]:
        """The loss, and the mean average precision at an intersection over union of 0.5."""
        images, _, labels, boxes = self.held_out
        targets = [(images[p], (labels[p], boxes[p])) for p in pieces(len(images))]
        losses = [backend.score(*target, objective=self.objective)[0] for target in targets]
        return {"loss": float(np.mean(losses)), "map": mean_average_precision(self.truth, self.seen(backend, images))}

    def show(self, backend: Backend, step: int) -> list[str]:
        """What is seen in the first scenes."""
        lines = []
        for truth, found in zip(self.truth[:3], self.seen(backend, self.held_out.images[:3]), strict=True):
            sure = found.scores > SURE
            told = " ".join(f"{label} ({score:.0%})" for label, score in zip(found.labels[sure], found.scores[sure], strict=True))
            lines.append(f"| {' '.join(map(str, np.sort(truth.labels)))} in the scene, seen: {told or 'nothing'}")
        return lines

    def seen(self, backend: Backend, images: Array) -> list[Seen]:
        """What is found in each image."""
        return [seen for piece in pieces(len(images)) for seen in self.detector.seen(backend.logits(images[piece]))]

    def samples(self) -> dict[str, Array]:
        return self.detector.reads(self.held_out.images[:4])


if __name__ == "__main__":
    sys.exit(exit_status(main))
