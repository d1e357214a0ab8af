"""The inside of image classifiers: filters, feature maps, attention, and the images that they mistake."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from examples.data.images import Dataset
from examples.plots.curves import draw_losses
from examples.tasks.images import Images
from examples.training.backend import Backend
from examples.training.models import new_model
from examples.training.run import Run
from parity.running.trace import Trace, record_scratch
from parity.weights import get_state, set_state
from scratch.layers import Conv2d, ReLU
from scratch.module import Array, Module

MAPS = 8  # feature maps of a layer
ATTENDED = 5  # images whose attention is drawn


def draw_classifier(run: Run) -> list[str]:
    """Draw the losses and the inside of a classifier; return the names of the files."""
    task = run.task
    assert isinstance(task, Images)
    directory, backend = run.options.plots, run.backends[0]
    drawn = draw_losses(run)
    model = numpy_twin(run)
    filters(f"{directory}/filters.png", model)
    drawn.append("filters.png")
    if run.model == "ViT":
        attention(f"{directory}/attention.png", backend, task)
        drawn.append("attention.png")
    else:
        feature_maps(f"{directory}/features.png", model, task.held_out[0])
        drawn.append("features.png")
    mistakes(f"{directory}/mistakes.png", task.data, logits(backend, task.held_out))
    return [*drawn, "mistakes.png"]


def draw_mistakes(run: Run) -> list[str]:
    """Draw the losses and the mistakes of a classifier; return the names of the files."""
    assert isinstance(run.task, Images)
    mistakes(f"{run.options.plots}/mistakes.png", run.task.data, logits(run.backends[0], run.task.held_out))
    return [*draw_losses(run), "mistakes.png"]


def logits(backend: Backend, images: Array, batch: int = 500) -> Array:
    """Compute the logits of all images, in batches."""
    return np.concatenate([backend.predict(images[i : i + batch]) for i in range(0, len(images), batch)])


def numpy_twin(run: Run) -> Module:
    """Return the NumPy model with the weights of a run of either backend, in eval mode."""
    model = new_model(run.model, run.config, run.options.seed, run.options.dtype)
    set_state(model, get_state(run.backends[0].model))
    return model.eval()


def filters(path: str | Path, model: Module, most: int = 64) -> None:
    """Draw the first input channel of each filter of the first convolution: red is positive, blue negative."""
    first = next(module for _, module in model.named_modules() if isinstance(module, Conv2d))
    weights = first.weight.data[:most, 0]
    columns = min(8, len(weights))
    rows = -(-len(weights) // columns)
    figure = Figure(figsize=(0.9 * columns, 0.9 * rows + 0.4), layout="constrained")
    figure.suptitle(f"the first layer's {len(first.weight.data)} filters of {weights.shape[1]}x{weights.shape[2]}", fontsize=10)
    limit = np.abs(weights).max()
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, weight in zip(panels, weights, strict=False):
        axes.imshow(weight, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.savefig(path, dpi=150)


def feature_maps(path: str | Path, model: Module, image: Array) -> None:
    """Draw an image (C, H, W) and the feature maps of most contrast, of the first, a middle and the last layer.

    Feature maps of one pixel are left out.
    """
    trace, relus = Trace(), {path for path, module in model.named_modules() if isinstance(module, ReLU)}
    with record_scratch(model, trace):
        model(image[None])
    layers = [
        (call.path, call.outputs["y"][0]) for call in trace.calls if call.path in relus and call.outputs["y"].shape[2:] > (1, 1)
    ]
    shown = [layers[0], layers[len(layers) // 2], layers[-1]]
    figure = Figure(figsize=(MAPS + 1.2, 3.6), layout="constrained")
    panels = figure.subplots(len(shown), MAPS + 1)
    for axes in panels.ravel():
        axes.set_axis_off()
    panels[0, 0].imshow(image[0], cmap="gray_r")
    panels[0, 0].set_title("image", fontsize=8)
    for row, (name, maps) in zip(panels, shown, strict=True):
        for axes, chosen in zip(row[1:], maps[np.argsort(-maps.std(axis=(1, 2)), kind="stable")], strict=False):
            axes.imshow(chosen, cmap="viridis")
        row[1].set_title(f"{name}: {len(maps)} maps of {maps.shape[1]}x{maps.shape[2]}", fontsize=8, loc="left")
    figure.savefig(path, dpi=150)


def attention(path: str | Path, backend: Backend, task: Images) -> None:
    """Draw how much a ViT's class token attends to each patch of some images: the mean over the heads of each layer."""
    chosen = [int(np.flatnonzero(task.data.test_y == label)[0]) for label in range(ATTENDED)]
    images = task.held_out[chosen]
    weights = backend.attention(images)[:, :, :, 0, 1:].mean(axis=2)  # (layers, B, patches)
    layers = len(weights)
    height, width = task.sides[0] // backend.model.patch[0], task.sides[1] // backend.model.patch[1]
    figure = Figure(figsize=(1.3 * (layers + 1), 1.3 * len(images) + 0.3), layout="constrained")
    panels = figure.subplots(len(images), layers + 1)
    for axes, title in zip(panels[0], ("image", *(f"layer {layer + 1}" for layer in range(layers))), strict=True):
        axes.set_title(title, fontsize=9)
    for row, image, of_image in zip(panels, images, weights.swapaxes(0, 1), strict=True):
        for axes in row:
            axes.set_axis_off()
            axes.imshow(image[0], cmap="gray_r", extent=(0, width, height, 0))
        for axes, of_layer in zip(row[1:], of_image, strict=True):
            axes.imshow(of_layer.reshape(height, width), cmap="Reds", alpha=0.6, vmin=0, extent=(0, width, height, 0))
    figure.savefig(path, dpi=150)


def mistakes(path: str | Path, data: Dataset, logits: Array, most: int = 24) -> None:
    """Draw the held-out images with a wrong prediction, most confident first, with the true and the predicted label."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    guess = p.argmax(axis=1)
    wrong = np.flatnonzero(guess != data.test_y)
    wrong = wrong[np.argsort(-p[wrong, guess[wrong]], kind="stable")]
    shown = wrong[:most]
    columns = min(8, max(4, len(shown)))
    rows = max(1, math.ceil(len(shown) / columns))
    figure = Figure(figsize=(columns * 1.1, rows * 1.35 + 0.5), layout="constrained")
    more = f", the {most} most confident" if len(wrong) > most else ""
    figure.suptitle(f"{len(wrong)} of {len(guess):,} held-out images are mistaken{more}", fontsize=10)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, i in zip(panels, shown, strict=False):
        axes.imshow(data.test_x[i, 0], cmap="gray_r")
        axes.set_title(f"{data.test_y[i]} as {guess[i]}, {p[i, guess[i]]:.0%}", fontsize=8)
    figure.savefig(path, dpi=150)
