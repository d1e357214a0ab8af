"""Scenes with their true and predicted objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from examples.plots.curves import draw_losses
from examples.tasks.average_precision import Found
from examples.tasks.scenes import CONFIDENT, Detection, Segmentation
from examples.training.backend import Backend
from examples.training.run import Run
from scratch.module import Array

SHOWN = 5  # scenes in a row
COLOURS = ListedColormap(["white", *(f"C{i}" for i in range(10))])  # the background, then each digit


def draw_segmentation(run: Run) -> list[str]:
    """Draw the losses and the classes of pixels; return the names of the files."""
    task = run.task
    assert isinstance(task, Segmentation)
    images, pixels = task.held_out.images[:SHOWN], task.held_out.pixels[:SHOWN]
    masks(f"{run.options.plots}/masks.png", images[:, 0], pixels, task.predicted(run.backends[0], images))
    return [*draw_losses(run), "masks.png"]


def draw_detection(run: Run) -> list[str]:
    """Draw the losses, the boxes, and the attention of a DETR; return the names of the files."""
    task = run.task
    assert isinstance(task, Detection)
    directory, backend = run.options.plots, run.backends[0]
    images = task.held_out.images[: 2 * SHOWN]
    found = task.found(backend, images)
    boxes(f"{directory}/boxes.png", images[:, 0], task.truth[: 2 * SHOWN], found)
    drawn = [*draw_losses(run), "boxes.png"]
    if run.model == "DETR":
        attention(f"{directory}/attention.png", backend, images[:SHOWN], found[:SHOWN])
        drawn.append("attention.png")
    return drawn


def masks(path: str | Path, images: Array, pixels: Array, predicted: Array) -> None:
    """Draw a row for each scene (B, H, W): the image, and the true and the predicted class of each pixel as a colour."""
    figure = Figure(figsize=(6.5, 2 * len(images) + 0.6), layout="constrained")
    panels = figure.subplots(len(images), 3, squeeze=False)
    for axes, title in zip(panels[0], ("scene", "truth", "prediction"), strict=True):
        axes.set_title(title, fontsize=10)
    for row, image, *classes in zip(panels, images, pixels, predicted, strict=True):
        for axes in row:
            axes.set(xticks=[], yticks=[])
        row[0].imshow(image, cmap="gray_r")
        for axes, of_pixels in zip(row[1:], classes, strict=True):
            axes.imshow(of_pixels, cmap=COLOURS, vmin=-0.5, vmax=10.5, interpolation="nearest")
    handles = [panels[0, 0].scatter([], [], color=COLOURS(1 + digit), marker="s", label=str(digit)) for digit in range(10)]
    figure.legend(handles=handles, loc="outside lower center", ncols=10, fontsize=8, handletextpad=0, columnspacing=1)
    figure.savefig(path, dpi=150)


def boxes(path: str | Path, images: Array, truth: Sequence[Found], found: Sequence[Found]) -> None:
    """Draw scenes (B, H, W) with dashed true boxes, and the confident boxes that were found, with their labels and scores."""
    columns = min(SHOWN, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.6 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, image, objects, seen in zip(panels, images, truth, found, strict=False):
        axes.imshow(image, cmap="gray_r", extent=(0, 1, 1, 0))
        for box in objects.boxes:
            _rectangle(axes, box, "0.6", linestyle="--")
        for box, label, score in zip(*seen, strict=True):
            if score > CONFIDENT:
                _frame(axes, box, label, score)
    figure.savefig(path, dpi=150)


def attention(path: str | Path, backend: Backend, images: Array, found: Sequence[Found]) -> None:
    """Draw the most confident queries of a DETR: the attention of the last layer, its mean over the heads, and the box."""
    weights = backend.attention(images).mean(axis=1)  # (B, Q, h, w)
    figure = Figure(figsize=(2.2 * SHOWN, 2.2 * len(images)), layout="constrained")
    panels = figure.subplots(len(images), SHOWN, squeeze=False)
    for row, image, of_queries, seen in zip(panels, images, weights, found, strict=True):
        for axes, query in zip(row, np.argsort(-seen.scores, kind="stable"), strict=False):
            axes.imshow(image[0], cmap="gray_r", extent=(0, 1, 1, 0))
            axes.imshow(of_queries[query], cmap="Reds", alpha=0.6, vmin=0, extent=(0, 1, 1, 0))
            _frame(axes, seen.boxes[query], seen.labels[query], seen.scores[query])
            axes.set_axis_off()
    figure.savefig(path, dpi=150)


def _frame(axes: Axes, box: Array, label: int, score: float) -> None:
    """Draw a box that was found, with its label and score."""
    _rectangle(axes, box, f"C{label}")
    behind = dict(facecolor="white", alpha=0.8, linewidth=0, pad=0.5)
    axes.text(box[0], box[1], f"{label} {score:.0%}", color=f"C{label}", fontsize=8, verticalalignment="bottom", bbox=behind)


def _rectangle(axes: Axes, box: Array, colour: str, **style: Any) -> None:
    """Draw a box (x1, y1, x2, y2)."""
    x1, y1, x2, y2 = box
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, clip_on=False, **style))
