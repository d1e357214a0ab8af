"""An image classifier learns handwritten digits: in NumPy, in PyTorch, or in both side by side.

    python examples/image_classification.py                                          a ResNet, scikit-learn's digits
    python examples/image_classification.py --model vit --plots runs/vit             a Vision Transformer and its attention
    python examples/image_classification.py --data mnist --save runs/resnet          MNIST, and the run is saved
    python examples/image_classification.py --resume runs/resnet --backend torch     ... and resumed in PyTorch
    python examples/image_classification.py --augment shift,rotation,mixup --label-smoothing 0.1

All models are small configurations of the published networks. AlexNet and VGG halve their images too often for images of this
size, so these are enlarged to 63x63 and 32x32 pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from examples.data.images import IMAGES
from examples.tasks.classifiers import CLASSIFIERS
from examples.tasks.images import Images, augmentations
from examples.training.console import exit_status, refusing
from examples.training.options import TrainingOptions, data_option, option
from examples.training.run import Run


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    data: str = data_option("digits", tuple(IMAGES), "digits (default), which come with scikit-learn, or mnist")
    epochs: int | None = 15
    batch: int = 32
    lr: float = 3e-3
    model: str = option("resnet", str, "default: resnet", choices=tuple(CLASSIFIERS))
    augment: tuple[str, ...] = option(
        ("shift",),
        augmentations,
        "changes of training images, such as shift,rotation,mixup (default: shift; mnist shift,rotation)",
        metavar="LIST",
    )

    def dependent_defaults(self) -> dict[str, Any]:
        mnist = dict(batch=64, augment=("shift", "rotation")) if self.data == "mnist" else {}
        epochs = 3 if self.data == "mnist" else 15
        # A ViT has to learn which pixels are neighbours, and takes longer.
        return mnist | dict(epochs=2 * epochs if self.model == "vit" else epochs, lr=CLASSIFIERS[self.model].lr)

    def problem(self) -> str:
        classifier = CLASSIFIERS[self.model]
        if self.dropout and not classifier.has_dropout:
            return f"--dropout {self.dropout:g}: a {classifier.model} has none; leave it out or choose another --model"
        return super().problem()


def main(argv: Sequence[str] | None = None) -> None:
    """Train or resume, save and draw, as the arguments say."""
    options = Options.parse(argv, __doc__)
    classifier = CLASSIFIERS[options.model]
    with refusing():
        if options.plots:
            from examples.plots.images import draw_classifier
        task = Images(IMAGES[options.data](), options, options.augment, classifier.smallest, classifier.input)
    run = Run(task, classifier.model, classifier.config_for(task, options.dropout), prepare=classifier.prepare)
    # Images of 8x8 pixels are too little work to share, and with --compare the threads of the backends would compete.
    with threadpool_limits(1 if options.compare or options.data == "digits" else None):
        result = run.train()
        plots = draw_classifier(run) if options.plots else []
    run.finish({"model": options.model} | result, *plots)


if __name__ == "__main__":
    sys.exit(exit_status(main))
