"""What networks of images came to, drawn: filters, what they make of an image, what they attend, where they are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from images import Images
from loop import Run
from matplotlib.figure import Figure
from plots import mistakes, of_run
from training import Backend, new_model

from parity.running.trace import Trace, watch_scratch
from parity.weights import get_state, set_state
from scratch.layers import Conv2d, ReLU
from scratch.module import Array, Module

MAPS = 8  # of a layer
ATTENDED = 5  # images


def of_classifier(run: Run) -> list[str]:
    """Draw a run of Images; the names of the files."""
    task: Any = run.task
    directory, backend = run.options.plots, run.backends[0]
    drawn = of_run(run)
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


def logits(backend: Backend, images: Array, batch: int = 500) -> Array:
    """The logits of all images, in batches."""
    return np.concatenate([backend.logits(images[i : i + batch]) for i in range(0, len(images), batch)])


def numpy_twin(run: Run) -> Module:
    """The NumPy model of a run's weights, whichever backend trained it, as it is applied."""
    model = new_model(run.model, run.config, run.options.seed, run.options.dtype)
    set_state(model, get_state(run.backends[0].model))
    return model.eval()


def filters(path: str | Path, model: Module, most: int = 64) -> None:
    """The filters of the first convolution, each over its first channel: red adds, blue takes away."""
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
    """An image (C, H, W) and the maps of most contrast that are made of it: first, halfway, and last while they are larger than a
    pixel."""
    trace, relus = Trace(), {path for path, module in model.named_modules() if isinstance(module, ReLU)}
    with watch_scratch(model, trace):
        model(image[None])
    made = [
        (call.path, call.outputs["y"][0]) for call in trace.calls if call.path in relus and call.outputs["y"].shape[2:] > (1, 1)
    ]
    shown = [made[0], made[len(made) // 2], made[-1]]
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
    """How much a ViT's class token attends each patch, the mean over the heads of a layer, over some held-out images."""
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


def courses(path: str | Path, scores: Mapping[str, Array], goal: float) -> None:
    """The held-out accuracy of several runs, by name: scores (n, 3) have steps, losses and accuracies."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, course in scores.items():
        axes.plot(course[:, 0], course[:, 2], "o-", markersize=3, label=name)
    axes.axhline(goal, color="black", linewidth=1, linestyle=":", label=f"{goal:.0%}")
    axes.set(xlabel="step", ylabel="held-out accuracy")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)
