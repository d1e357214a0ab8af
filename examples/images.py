"""Images and their classes: what the examples that classify share."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from augmentation import OF_IMAGES, mixup
from datasets import Dataset, untied
from loop import BATCHES, CHANGES, Task, in_passes
from training import Backend, drawn, score

from scratch.module import Array
from scratch.ops import interpolate


class Images(Task):
    """The class of an image, which is drawn anew in training as --augment says.

    Images with sides below `smallest` are enlarged to it, for models that halve them too often. `reads` is what the model
    calls them.
    """

    unit = "image"

    def __init__(self, data: Dataset, options: argparse.Namespace, smallest: int = 1, reads: str = "x"):
        if options.batch > len(data.train_x):
            raise ValueError(f"--batch {options.batch}: there are only {len(data.train_x)} images to train on; take a smaller one")
        in_passes(options, len(data.train_x))
        self.data, self.options, self.reads = data, options, reads
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
        for name in options.augment:
            if name != "mixup":
                images = OF_IMAGES[name](rng, images)
        if "mixup" in options.augment:
            images, labels = mixup(rng, images, labels, data.classes)
        return self.enlarged(images), labels

    def size(self, batch: tuple[Any, ...]) -> int:
        return len(batch[0])

    def validate(self, backend: Backend) -> dict[str, float]:
        loss, accuracy = score(backend, self.held_out, self.data.test_y)
        return {"loss": loss, "accuracy": accuracy}

    def show(self, backend: Backend, step: int) -> list[str]:
        return []

    def samples(self) -> dict[str, Array]:
        return {self.reads: self.enlarged(untied(self.data.test_x[:16]))}

    def enlarged(self, images: Array) -> Array:
        """Images of the size that the model reads."""
        return images if images.shape[2:] == self.sides else interpolate(images, self.sides, mode="bilinear")[0]


def augmentations(text: str) -> list[str]:
    """An argparse type: the names of augmentations, separated by commas, in the order in which they are applied."""
    names = [name for name in text.split(",") if name and name != "none"]
    known = (*OF_IMAGES, "mixup")
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"expected none or some of {','.join(known)}, each once, got {text!r}")
    return names
