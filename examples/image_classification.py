"""Any of the classifiers learns handwritten digits: in NumPy, in PyTorch, or in both side by side.

    python examples/image_classification.py                                          a ResNet, scikit-learn's digits
    python examples/image_classification.py --model vit --plots runs/vit             a Vision Transformer, and what it attends
    python examples/image_classification.py --data mnist --save runs/resnet          ... on MNIST, and the run is kept
    python examples/image_classification.py --resume runs/resnet --backend torch     ... goes on where it stopped
    python examples/image_classification.py --augment shift,rotation,mixup --label-smoothing 0.1

All are small configurations of the published networks. AlexNet and VGG halve their images too often for such small ones, which
are enlarged for them to 63x63 and 32x32 pixels.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from console import Parser, exit_status, refusing
from datasets import Dataset, digits, mnist
from images import Images, augmentations
from loop import Run, add_options, parsed
from threadpoolctl import threadpool_limits

DATA = {"digits": digits, "mnist": mnist}
DEFAULTS: dict[str, Any] = dict(data="digits", model="resnet", epochs=15, batch=32, lr=3e-3, dropout=0.0, augment=["shift"])
BY_DATA: dict[str | None, dict[str, Any]] = {"mnist": dict(epochs=3, batch=64, augment=["shift", "rotation"])}
BY_MODEL: dict[str | None, dict[str, Any]] = {"alexnet": dict(lr=1e-3), "vgg": dict(lr=2e-3), "vit": dict(lr=2e-3)}
CLASSES = {"cnn": "CNN", "alexnet": "AlexNet", "vgg": "VGG", "resnet": "ResNet", "cifar-resnet": "CifarResNet", "vit": "ViT"}
SMALLEST = {"alexnet": 63, "vgg": 32}  # images that a model can read
WITHOUT_DROPOUT = ("resnet", "cifar-resnet")


def main(argv: Sequence[str] | None = None) -> None:
    """Train or go on, save and draw, as the arguments say."""
    options = parse(argv)
    with refusing():
        if options.plots:
            import image_plots  # needs matplotlib
        reads = "images" if options.model == "vit" else "x"
        task = Images(DATA[options.data](), options, SMALLEST.get(options.model, 1), reads)
    prepare = {"prepare": placed} if options.model == "vit" else {}
    run = Run(task, CLASSES[options.model], config(options, task.data, task.sides), options, **prepare)
    # 8x8 images are too little work to share, and side by side the backends' threads would get in each other's way
    with threadpool_limits(1 if options.compare or options.data == "digits" else None):
        result = run.train()
        drawn = image_plots.of_classifier(run) if options.plots else []
    run.finish({"model": options.model} | result, *drawn)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, found to fit together."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, "digits (default), which come with scikit-learn, or mnist", DEFAULTS, tuple(DATA))
    parser.add_argument("--model", choices=tuple(CLASSES), help="default: resnet")
    changes = "how images are changed in training, such as shift,rotation,mixup (default: shift; mnist shift,rotation)"
    parser.add_argument("--augment", type=augmentations, metavar="LIST", help=changes)
    options = parsed(parser, argv, defaults)
    if options.dropout and options.model in WITHOUT_DROPOUT:
        parser.error(f"--dropout {options.dropout:g}: a {CLASSES[options.model]} has none; leave it out or choose another --model")
    return options


def defaults(options: argparse.Namespace) -> dict[str, Any]:
    """What is not given, by the data and the model."""
    found = DEFAULTS | BY_DATA.get(options.data, {}) | BY_MODEL.get(options.model, {})
    return found | {"epochs": 2 * found["epochs"]} if options.model == "vit" else found  # which has to learn what is beside what


def config(options: argparse.Namespace, data: Dataset, sides: tuple[int, ...]) -> dict[str, Any]:
    """The arguments of the model."""
    channels = data.train_x.shape[1]
    every = dict(in_channels=channels, classes=data.classes)
    match options.model:
        case "cnn":
            return every | dict(image_size=sides, batch_norm=True, dropout=options.dropout)
        case "alexnet":
            return every | dict(width=16, hidden=256, dropout=options.dropout)
        case "vgg":
            return every | dict(depth=11, batch_norm=True, width=16, hidden=128, dropout=options.dropout)
        case "resnet":
            return every | dict(depth=10, width=16, small_images=True)
        case "cifar-resnet":
            return every | dict(depth=14)
        case _:
            patches = dict(image_size=sides, patch_size=sides[0] // 4, dropout=options.dropout)  # a grid of 4x4
            return every | patches | dict(width=64, layers=4, heads=4, feed_forward=128)


def placed(model: Any) -> None:
    """Make a ViT's positions as large as what it sees there: those of the paper are small, and show after long training."""
    model.encoder.pos_embedding.data *= 25


if __name__ == "__main__":
    sys.exit(exit_status(main))
