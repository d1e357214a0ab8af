"""A convolutional network learns handwritten digits: in NumPy, in PyTorch, or in both side by side.

python examples/mnist_cnn.py                                    in NumPy, on scikit-learn's digits
python examples/mnist_cnn.py --data mnist --epochs 5            ... on MNIST
python examples/mnist_cnn.py --backend torch --save cnn         in PyTorch, and the weights are saved
python examples/mnist_cnn.py --load cnn --epochs 0              ... and NumPy scores them
python examples/mnist_cnn.py --compare --dtype float64          both, from the same weights on the same batches
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from examples.data.images import IMAGES
from examples.tasks.images import Images, augmentations
from examples.training.console import exit_status, refusing
from examples.training.models import saved_model
from examples.training.options import TrainingOptions, data_option, option
from examples.training.run import Run
from parity.weights import get_state, set_state
from scratch.module import Module


@dataclass(frozen=True, kw_only=True)
class Options(TrainingOptions):
    data: str = data_option("digits", tuple(IMAGES), "digits (default), which come with scikit-learn, or mnist")
    epochs: int | None = 15
    batch: int = 16
    lr: float = 2e-3
    augment: tuple[str, ...] = option(
        (),
        augmentations,
        "change the training images: shift (if no LIST is given), or those of image_classification.py",
        nargs="?",
        const=("shift",),
        metavar="LIST",
    )
    load: str | None = option(None, str, "start with weights that either backend saved", may_differ=True, metavar="DIR")

    def dependent_defaults(self) -> dict[str, Any]:
        return dict(epochs=5, batch=64) if self.data == "mnist" else {}

    def problem(self) -> str:
        if self.load and self.resume:
            return "--load starts a new run and --resume continues one: leave out either"
        if self.epochs == 0 and (self.compare or not self.load):
            return "--epochs 0 trains nothing: expected --load DIR with it, and no --compare"
        return super().problem()


def main(argv: Sequence[str] | None = None) -> None:
    """Train or resume, score, save and draw, as the arguments say."""
    options = Options.parse(argv, __doc__)
    with refusing():
        if options.plots:
            from examples.plots.images import draw_mistakes
        task = Images(IMAGES[options.data](), options, options.augment)
        config = dict(in_channels=task.data.train_x.shape[1], image_size=task.sides, classes=task.data.classes)
        model, config = loaded(options, config) if options.load else (None, config | {"batch_norm": True})
    run = Run(task, "CNN", config, prepare=lambda new: set_state(new, get_state(model)) if model else None)
    # Images of 8x8 pixels are too little work to share, and with --compare the threads of the backends would compete.
    with threadpool_limits(1 if options.compare or options.data == "digits" else None):
        result = run.train()
        if options.compare:
            result |= {f"test_accuracy_{backend.name}": task.validate(backend)["accuracy"] for backend in run.backends}
    if options.save:
        other, where = "torch" if options.backend == "numpy" else "numpy", shlex.quote(options.save)
        again = f"python {sys.argv[0]} --backend {other} --data {options.data} --load {where} --epochs 0"
        print(f"score it by {other}:  {again}")
    named = {name.replace("held_out", "test"): value for name, value in result.items()}
    run.finish(named, *(draw_mistakes(run) if options.plots else []))


def loaded(options: Options, expected: dict[str, Any]) -> tuple[Module, dict[str, Any]]:
    """Return the model of --load and its config; ValueError unless it reads these images."""
    model, config = saved_model(str(options.load), "CNN", options.dtype)
    found = config | {"image_size": tuple(config["image_size"])}
    unfit = ", ".join(f"{name} {found[name]}, expected {value}" for name, value in expected.items() if found[name] != value)
    if unfit:
        raise ValueError(f"{options.load}: its CNN does not fit --data {options.data}: {unfit}; choose the data it was trained on")
    return model, config


if __name__ == "__main__":
    sys.exit(exit_status(main))
