"""The class of an image."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from examples.data.augmentation import OF_IMAGES, mixup
from examples.data.batches import drawn
from examples.data.images import Dataset, untied
from examples.training.backend import Backend, mean_score
from examples.training.options import TrainingOptions
from examples.training.task import BATCHES, CHANGES, Task
from scratch.module import Array
from scratch.ops import interpolate


class Images(Task):
    """The class of an image; training images are changed by the augmentations.

    smallest   smaller images are enlarged to these sides, for models that halve them often
    input      the name of the model's input
    """

    unit = "image"

    def __init__(self, data: Dataset, options: TrainingOptions, augment: Sequence[str] = (), smallest: int = 1, input: str = "x"):
        count = len(data.train_x)
        if options.batch > count:
            raise ValueError(f"--batch {options.batch}: there are only {count} images to train on; take a smaller one")
        self.data, self.options, self.augment, self.input = data, options.in_steps(count), augment, input
        self.sides = tuple(max(side, smallest) for side in data.train_x.shape[2:])
        self.held_out = self.enlarged(data.test_x)

    def describe(self) -> str:
        data = self.data
        return (
            f"{data.name}: {len(data.train_x):,} images to train on, {len(data.test_x):,} held out; "
            f"a pass takes {len(data.train_x) // self.options.batch} steps"
        )

    def vocabulary(self) -> dict[str, Any]:
        return {"classes": [str(label) for label in range(self.data.classes)]}

    def batch(self, step: int) -> tuple[Array, Array]:
        options, data = self.options, self.data
        chosen = drawn(step, options.batch, len(data.train_x), options.seed, BATCHES)
        rng = np.random.default_rng([options.seed, CHANGES, step])
        images, labels = data.train_x[chosen], data.train_y[chosen]
        for name in self.augment:
            if name != "mixup":
                images = OF_IMAGES[name](rng, images)
        if "mixup" in self.augment:
            images, labels = mixup(rng, images, labels, data.classes)
        return self.enlarged(images), labels

    def size(self, batch: tuple[Any, ...]) -> int:
        return len(batch[0])

    def validate(self, backend: Backend) -> dict[str, float]:
        loss, accuracy = mean_score(backend, self.held_out, self.data.test_y)
        return {"loss": loss, "accuracy": accuracy}

    def samples(self) -> dict[str, Array]:
        return {self.input: self.enlarged(untied(self.data.test_x[:16]))}

    def enlarged(self, images: Array) -> Array:
        """Return images of the size that the model reads."""
        return images if images.shape[2:] == self.sides else interpolate(images, self.sides, mode="bilinear")[0]


def augmentations(text: str) -> tuple[str, ...]:
    """Parse names of augmentations, separated by commas, in the order in which they are applied."""
    names = tuple(name for name in text.split(",") if name and name != "none")
    known = (*OF_IMAGES, "mixup")
    if set(names) - set(known) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"expected none or some of {','.join(known)}, each once, got {text!r}")
    return names
