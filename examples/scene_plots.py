"""Scenes, drawn with what is in them and what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loop import Run
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from plots import of_run

from scratch.module import Array

SHOWN = 5
COLOURS = ListedColormap(["white", *(f"C{i}" for i in range(10))])  # of the background and of each digit


def of_segmentation(run: Run) -> list[str]:
    """Draw a run of segmentation: losses.png and masks.png."""
    task: Any = run.task
    images, pixels = task.held_out.images[:SHOWN], task.held_out.pixels[:SHOWN]
    masks(f"{run.options.plots}/masks.png", images[:, 0], pixels, task.predicted(run.backends[0], images))
    return [*of_run(run), "masks.png"]


def masks(path: str | Path, images: Array, pixels: Array, predicted: Array) -> None:
    """Scenes (B, H, W), a row each: the image, the true class of each pixel and the predicted one, by their colours."""
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
