"""Scenes of digits: the class of each pixel (segmentation), or the boxes of the digits (detection)."""

from __future__ import annotations

from typing import Any

import numpy as np

from examples.data.batches import pieces
from examples.data.images import Dataset
from examples.data.scenes import Batch, Digits, scenes
from examples.tasks.average_precision import Found, mean_average_precision
from examples.tasks.detectors import Detector, corners
from examples.training.backend import Backend
from examples.training.objectives import Objective, cross_entropy_of_pixels
from examples.training.options import TrainingOptions
from examples.training.task import BATCHES, HELD_OUT, Task
from scratch.module import Array

TESTED = 256  # held-out scenes, always the same
PIECE = 32  # scenes at once when the model is scored
CLASSES = 11  # of pixels: the background and ten digits
CONFIDENT = 0.5  # a box with a higher score is shown


class Scenes(Task):
    """Scenes that are generated for each step; the held-out scenes have other digits."""

    unit = "scene"
    nats = False

    def __init__(self, data: Dataset, options: TrainingOptions, side: int):
        self.data, self.options, self.side = data, options, side
        self.digits, others = Digits.from_dataset(data)
        self.held_out = scenes(np.random.default_rng(HELD_OUT), others, TESTED, side)

    def describe(self) -> str:
        side, digits = self.side, len(self.digits.labels)
        return f"{self.data.name}: scenes of {side}x{side} with 1 to 5 of {digits:,} digits; {TESTED} of others are held out"

    def generated(self, step: int) -> Batch:
        """Return the scenes of a step."""
        rng = np.random.default_rng([self.options.seed, BATCHES, step])
        return scenes(rng, self.digits, self.options.batch, self.side)

    def size(self, batch: tuple[Any, ...]) -> int:
        return len(batch[0])


class Segmentation(Scenes):
    """The class of each pixel of a scene."""

    def __init__(self, data: Dataset, options: TrainingOptions, side: int, depth: int, dice: float):
        if side < 2**depth:
            raise ValueError(
                f"--size {side}: a network of --depth {depth} halves it to nothing; expected at least {2**depth}, or less depth"
            )
        super().__init__(data, options, side)
        self.dice = dice

    @property
    def objective(self) -> Objective:
        return cross_entropy_of_pixels(self.options.label_smoothing, self.dice)

    def vocabulary(self) -> dict[str, Any]:
        return {"classes": ["background", *map(str, range(10))]}

    def batch(self, step: int) -> tuple[Array, Array]:
        batch = self.generated(step)
        return batch.images, batch.pixels

    def validate(self, backend: Backend) -> dict[str, float]:
        """Return the loss, the share of right pixels, and the mean intersection over union of the classes."""
        images, pixels, *_ = self.held_out
        scores = [backend.score(images[p], pixels[p], objective=self.objective) for p in pieces(len(images), PIECE)]
        loss, accuracy = np.mean(scores, axis=0)
        mean = mean_iou(self.predicted(backend, images), pixels)
        return {"loss": float(loss), "accuracy": float(accuracy), "mean_iou": mean}

    def predicted(self, backend: Backend, images: Array) -> Array:
        """Return the likeliest class of each pixel."""
        return np.concatenate([backend.predict(images[piece]).argmax(1) for piece in pieces(len(images), PIECE)])

    def samples(self) -> dict[str, Array]:
        return {"x": self.held_out.images[:4]}


class Detection(Scenes):
    """The boxes and labels of the digits in a scene."""

    def __init__(self, data: Dataset, options: TrainingOptions, side: int, detector: Detector):
        super().__init__(data, options, side)
        self.detector = detector
        self.truth = [
            Found(corners(boxes[labels >= 0]), labels[labels >= 0], np.ones(np.count_nonzero(labels >= 0)))
            for boxes, labels in zip(self.held_out.boxes, self.held_out.labels, strict=True)
        ]

    @property
    def objective(self) -> Objective:
        return self.detector.objective

    def vocabulary(self) -> dict[str, Any]:
        return {"classes": [*map(str, range(10))]}

    def batch(self, step: int) -> tuple[Array, tuple[Array, Array]]:
        batch = self.generated(step)
        return batch.images, (batch.labels, batch.boxes)

    def validate(self, backend: Backend) -> dict[str, float]:
        """Return the loss, and the mean average precision at an intersection over union of 0.5."""
        images, _, labels, boxes = self.held_out
        batches = [(images[p], (labels[p], boxes[p])) for p in pieces(len(images), PIECE)]
        losses = [backend.score(*batch, objective=self.objective)[0] for batch in batches]
        return {"loss": float(np.mean(losses)), "map": mean_average_precision(self.truth, self.found(backend, images))}

    def show(self, backend: Backend, step: int) -> list[str]:
        lines = []
        for truth, found in zip(self.truth[:3], self.found(backend, self.held_out.images[:3]), strict=True):
            sure = found.scores > CONFIDENT
            seen = " ".join(f"{label} ({score:.0%})" for label, score in zip(found.labels[sure], found.scores[sure], strict=True))
            lines.append(f"| {' '.join(map(str, np.sort(truth.labels)))} in the scene, seen: {seen or 'nothing'}")
        return lines

    def found(self, backend: Backend, images: Array) -> list[Found]:
        """Return the objects that the detector finds in each image."""
        return [found for piece in pieces(len(images), PIECE) for found in self.detector.found(backend.predict(images[piece]))]

    def samples(self) -> dict[str, Array]:
        return self.detector.inputs(self.held_out.images[:4])


def mean_iou(predicted: Array, pixels: Array) -> float:
    """Return the intersection over union of true and predicted pixels, the mean over the classes that occur in either."""
    table = np.bincount(CLASSES * pixels.ravel() + predicted.ravel(), minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    both, either = table.diagonal(), table.sum(0) + table.sum(1) - table.diagonal()
    return float((both[either > 0] / either[either > 0]).mean())
