"""A convolutional network learns handwritten digits: in NumPy, in PyTorch, or in both side by side.

    python examples/mnist_cnn.py                                    the NumPy twin on scikit-learn's digits
    python examples/mnist_cnn.py --data mnist --epochs 5            ... on MNIST
    python examples/mnist_cnn.py --backend torch --save cnn         the PyTorch twin, and its weights saved
    python examples/mnist_cnn.py --load cnn --epochs 0              ... which the NumPy twin scores
    python examples/mnist_cnn.py --compare --dtype float64          both, from the same weights over the same batches

Weights, batches and augmentation are drawn by NumPy from --seed, whichever backend trains.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from augmentation import shift
from comparison import HEADING, compared, compared_step
from console import (
    InputError,
    Meter,
    Parser,
    at_least,
    device_problem,
    exit_status,
    positive,
    refusing,
    result_line,
    writable,
)
from datasets import Dataset, digits, mnist, untied
from threadpoolctl import threadpool_limits
from training import Backend, backend_for, learning_rate, new_model, saved_model, score, shuffled

from parity.checkpoints.arrays import save_arrays
from parity.checkpoints.disk import held
from parity.weights import SAMPLES, save_model
from scratch.module import Array, Module

DATA = {"digits": digits, "mnist": mnist}
DEFAULTS = {"digits": dict(epochs=15, batch=16), "mnist": dict(epochs=5, batch=64)}


def main(argv: Sequence[str] | None = None) -> None:
    """Hold the directory to save in, where there is one, and run."""
    options = parse(argv)
    with ExitStack() as stack:
        with refusing():
            for directory in filter(None, (options.save, options.plots)):
                writable(directory)  # to be known before the training, not after it
            if options.save:
                stack.enter_context(held(options.save))
        run(options)


def run(options: argparse.Namespace) -> None:
    """Train or load, score on the held-out images, save and draw, as the options say."""
    with refusing():
        if options.plots:
            import plots  # needs matplotlib
        data = DATA[options.data]()
        config = dict(in_channels=data.train_x.shape[1], image_size=data.train_x.shape[2:], classes=data.classes)
        if options.load:
            model, config = loaded(options, config)
        else:
            config |= dict(batch_norm=True)
            model = new_model("CNN", config, options.seed, options.dtype)
    backends = [backend_for(name, model, config, options.device) for name in options.backends]

    parameters = sum(p.data.size for p in model.parameters())
    print(f"CNN of {parameters:,} parameters in {options.dtype}: {' and '.join(f'{b.name} on {b.device}' for b in backends)}")
    print(f"{data.name}: {len(data.train_x):,} images to train on, {len(data.test_x):,} held out")
    # 8x8 images are too little work to share, and side by side the backends' threads would get in each other's way
    with threadpool_limits(1 if options.compare or options.data == "digits" else None):
        start = time.perf_counter()
        losses = train(backends, data, options)
        seconds = round(time.perf_counter() - start, 1)
        scores = [score(backend, data.test_x, data.test_y) for backend in backends]

    if options.save:
        save(backends[0], data, config, options)
    if options.plots:
        if options.epochs:
            plots.losses(f"{options.plots}/losses.png", losses, [b.name for b in backends])
        plots.mistakes(f"{options.plots}/mistakes.png", data, backends[0].logits(data.test_x))
        print(f"drawn in {options.plots}: {'losses.png, ' if options.epochs else ''}mistakes.png")
    ran: dict[str, Any] = dict(epochs=options.epochs, seconds=seconds, dtype=options.dtype, data=data.name, seed=options.seed)
    if options.compare:
        accuracies = {f"test_accuracy_{b.name}": accuracy for b, (_, accuracy) in zip(backends, scores, strict=True)}
        print(result_line(**compared(losses), **accuracies, **ran, device=options.device))
    else:
        loss, accuracy = scores[0]
        print(result_line(test_accuracy=accuracy, test_loss=loss, **ran, backend=options.backend, device=options.device))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, found to fit together."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--backend", choices=("numpy", "torch"), default="numpy", help="who trains (default: numpy)")
    which.add_argument("--compare", action="store_true", help="train both side by side and print how far their losses differ")
    parser.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu", help="where PyTorch computes (default: cpu)")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="default: float32")
    parser.add_argument("--data", choices=tuple(DATA), default="digits", help="default: digits, which come with scikit-learn")
    parser.add_argument("--epochs", type=at_least(0), metavar="N", help="default: 15 for digits, 5 for mnist; 0 scores --load DIR")
    parser.add_argument("--batch", type=at_least(1), metavar="N", help="images a step (default: 16 for digits, 64 for mnist)")
    parser.add_argument("--lr", type=positive, default=2e-3, help="the highest learning rate of the run (default: 0.002)")
    parser.add_argument("--seed", type=at_least(0), default=0, metavar="N", help="default: 0")
    parser.add_argument("--augment", action="store_true", help="shift the images to train on at random")
    parser.add_argument("--save", metavar="DIR", help="save the trained weights, for either backend to load")
    parser.add_argument("--load", metavar="DIR", help="begin at weights that either backend saved")
    parser.add_argument("--plots", metavar="DIR", help="draw the loss curve and the mistakes on held-out images")
    options = parser.parse_args(argv)

    options.backends = ("numpy", "torch") if options.compare else (options.backend,)
    for name, default in DEFAULTS[options.data].items():
        if getattr(options, name) is None:
            setattr(options, name, default)
    problem = device_problem(options.backends[-1], options.device, options.dtype)
    if problem:
        parser.error(problem)
    if not options.epochs and (options.compare or not options.load):
        parser.error("--epochs 0 trains nothing: expected --load DIR with it, and no --compare")
    if options.compare and options.save:
        parser.error("--compare trains two models and --save keeps one: leave out either")
    return options


def loaded(options: argparse.Namespace, expected: dict[str, Any]) -> tuple[Module, dict[str, Any]]:
    """The model in --load and its config; ValueError unless it takes these images."""
    model, config = saved_model(options.load, "CNN", options.dtype)
    found = config | {"image_size": tuple(config["image_size"])}
    unfit = ", ".join(f"{name} {found[name]}, expected {value}" for name, value in expected.items() if found[name] != value)
    if unfit:
        raise ValueError(f"{options.load}: its CNN does not fit --data {options.data}: {unfit}; choose the data it was trained on")
    return model, config


def train(backends: Sequence[Backend], data: Dataset, options: argparse.Namespace) -> Array:
    """Train every backend on the same batches; their losses (steps, backends)."""
    rng = np.random.default_rng(options.seed)
    epoch_steps = math.ceil(len(data.train_x) / options.batch)
    steps = options.epochs * epoch_steps
    rate = learning_rate("cosine", steps, options.lr)
    losses: list[tuple[float, ...]] = []
    if options.compare:
        print(HEADING)
    with Meter(steps, "images") as meter, np.errstate(over="ignore", invalid="ignore"):
        for epoch in range(1, options.epochs + 1):
            meter.begin(f"epoch {epoch}/{options.epochs}")
            for x, y in shuffled(rng, options.batch, data.train_x, data.train_y):
                if options.augment:
                    x = shift(rng, x)
                lr = rate(len(losses))
                loss, accuracy = zip(*(backend.step(x, y, lr=lr) for backend in backends), strict=True)
                losses.append(loss)
                if not np.isfinite(loss).all():
                    raise InputError(f"the loss is {max(loss)} at step {len(losses)}: --lr {options.lr:g} is too high")
                meter.step(len(x), loss[0], accuracy[0])
                if options.compare and (len(losses) == 1 or len(losses) % math.ceil(steps / 20) == 0):
                    print(compared_step(len(losses), loss))
            if not options.compare:
                print(f"epoch {epoch:2}  {meter.news()}  held-out accuracy {score(backends[0], data.test_x, data.test_y)[1]:.2%}")
    return np.array(losses).reshape(-1, len(backends))


def save(backend: Backend, data: Dataset, config: dict[str, Any], options: argparse.Namespace) -> None:
    """Save the model with a few held-out images, and say what can be done with it."""
    save_model(options.save, backend.model, config)
    save_arrays(f"{options.save}/{SAMPLES}", {"x": untied(data.test_x[:16])})
    other = "torch" if backend.name == "numpy" else "numpy"
    where = shlex.quote(options.save)
    print(f"saved to {options.save}: config.json, model.safetensors, samples.safetensors")
    print(f"score it by {other}:  python {sys.argv[0]} --backend {other} --data {data.name} --load {where} --epochs 0")
    print(f"verify the twins:  parity check cnn --weights {where}")


if __name__ == "__main__":
    sys.exit(exit_status(main))
