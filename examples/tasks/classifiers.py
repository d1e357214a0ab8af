"""The image classifiers, a table: small configurations of the published networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from examples.tasks.images import Images


def enlarge_positions(model: Any) -> None:
    """Make the initial position embeddings of a ViT as large as its patch embeddings.

    Those of the paper are small, and have an effect only after long training.
    """
    model.encoder.pos_embedding.data *= 25


@dataclass(frozen=True)
class Classifier:
    """A classifier of images.

    model      its class in scratch.models and reference.models
    config     its arguments, beside the sizes of the data
    lr         its default learning rate
    smallest   smaller images are enlarged to these sides
    input      the name of its input
    has_size   whether it takes the size of the images
    patches    a ViT cuts each side of an image into so many patches
    prepare    changes a new NumPy model
    """

    model: str
    config: dict[str, Any]
    lr: float = 3e-3
    smallest: int = 1
    input: str = "x"
    has_size: bool = False
    has_dropout: bool = True
    patches: int | None = None
    prepare: Callable[[Any], None] = lambda model: None

    def config_for(self, task: Images, dropout: float) -> dict[str, Any]:
        """Return all arguments of the model for a task."""
        config = dict(in_channels=task.data.train_x.shape[1], classes=task.data.classes) | self.config
        if self.has_size:
            config["image_size"] = task.sides
        if self.patches:
            config["patch_size"] = task.sides[0] // self.patches
        return config | (dict(dropout=dropout) if self.has_dropout else {})


CLASSIFIERS = {
    "cnn": Classifier("CNN", dict(batch_norm=True), has_size=True),
    "alexnet": Classifier("AlexNet", dict(width=16, hidden=256), lr=1e-3, smallest=63),
    "vgg": Classifier("VGG", dict(depth=11, batch_norm=True, width=16, hidden=128), lr=2e-3, smallest=32),
    "resnet": Classifier("ResNet", dict(depth=10, width=16, small_images=True), has_dropout=False),
    "cifar-resnet": Classifier("CifarResNet", dict(depth=14), has_dropout=False),
    "vit": Classifier(
        "ViT",
        dict(width=64, layers=4, heads=4, feed_forward=128),
        lr=2e-3,
        input="images",
        has_size=True,
        patches=4,
        prepare=enlarge_positions,
    ),
}
