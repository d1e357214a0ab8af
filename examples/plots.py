"""What the examples draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scratch.module import Array

if TYPE_CHECKING:
    from datasets import Dataset
    from loop import Run

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatterMathtext
except ImportError as error:
    raise ValueError(f'--plots needs matplotlib, which is not installed ({error}): pip install "matplotlib>=3.8"') from error


def losses(path: str | Path, curves: Array, names: Sequence[str], held_out: Array | None = None, unit: str = "") -> None:
    """The training losses (steps, backends): every step faintly, and the running mean of a fiftieth of the steps.

    held_out (n, 2 or more) has steps and the loss on held-out data after them, and other scores.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    window = max(1, len(curves) // 50)
    for i, (name, curve) in enumerate(zip(names, curves.T, strict=True)):
        mean = np.convolve(curve, np.full(window, 1 / window), mode="valid")
        axes.plot(np.arange(1, len(curve) + 1), curve, color=f"C{i}", alpha=0.25, linewidth=0.8)
        axes.plot(np.arange(len(mean)) + (window + 1) / 2, mean, color=f"C{i}", label=name, linestyle=("-", "--")[i], linewidth=2)
    if held_out is not None and len(held_out):
        axes.plot(*held_out.T[:2], "o-", color="black", markersize=4, linewidth=1, label="held out")
    axes.set(xlabel="step", ylabel=f"loss, nats/{unit}" if unit else "training loss", yscale="log")
    for which in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        which(Plainly())
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


class Plainly(LogFormatterMathtext):
    """Writes 0.4 where a logarithmic axis would write 4 × 10⁻¹."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def of_run(run: Run) -> list[str]:
    """The curves of a run; the file's name, where there is one."""
    if not run.losses:
        return []
    names = [backend.name for backend in run.backends]
    unit = run.task.unit if run.task.nats else ""
    losses(f"{run.options.plots}/losses.png", np.array(run.losses), names, np.array(run.scores), unit)
    return ["losses.png"]


def attention_maps(directory: str | Path, maps: Sequence[tuple[Array, Sequence[str], Sequence[str]]]) -> list[str]:
    """How much of its attention each row (a word that is written) gives to each column (a symbol that is read)."""
    figure = Figure(figsize=(3.2 * len(maps), 4), layout="constrained")
    for axes, (weights, rows, columns) in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps, strict=True):
        axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(columns)), columns, rotation=90 if max(map(len, columns)) > 2 else 0)
        axes.set_yticks(range(len(rows)), rows)
        axes.xaxis.tick_top()
    figure.savefig(f"{directory}/attention.png", dpi=150)
    return ["attention.png"]


def mistakes(path: str | Path, data: Dataset, logits: Array, most: int = 24) -> None:
    """The held-out images that are classified wrongly, most confident first, with what they are and what they were taken for."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    guess = p.argmax(axis=1)
    wrong = np.flatnonzero(guess != data.test_y)
    wrong = wrong[np.argsort(-p[wrong, guess[wrong]], kind="stable")]
    shown = wrong[:most]
    columns = min(8, max(4, len(shown)))
    rows = max(1, math.ceil(len(shown) / columns))
    figure = Figure(figsize=(columns * 1.1, rows * 1.35 + 0.5), layout="constrained")
    more = f", the {most} surest" if len(wrong) > most else ""
    figure.suptitle(f"{len(wrong)} of {len(guess):,} held-out images mistaken{more}", fontsize=10)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, i in zip(panels, shown, strict=False):
        axes.imshow(data.test_x[i, 0], cmap="gray_r")
        axes.set_title(f"{data.test_y[i]} as {guess[i]}, {p[i, guess[i]]:.0%}", fontsize=8)
    figure.savefig(path, dpi=150)
