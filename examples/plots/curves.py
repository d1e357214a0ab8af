"""Curves of a run: losses, and accuracies of several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterMathtext

from examples.training.run import Run
from scratch.module import Array


def draw_losses(run: Run) -> list[str]:
    """Draw the losses of a run, and return the name of the file; no name if there are no losses."""
    if not run.losses:
        return []
    names = [backend.name for backend in run.backends]
    unit = run.task.unit if run.task.nats else ""
    losses(f"{run.options.plots}/losses.png", np.array(run.losses), names, np.array(run.scores), unit)
    return ["losses.png"]


def losses(path: str | Path, curves: Array, names: Sequence[str], held_out: Array, unit: str = "") -> None:
    """Draw training losses (steps, backends) in pale colours, and their running mean over a fiftieth of the steps.

    held_out (n, 2 or more) has steps, the loss on held-out data after them, and other scores.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    window = max(1, len(curves) // 50)
    for i, (name, curve) in enumerate(zip(names, curves.T, strict=True)):
        mean = np.convolve(curve, np.full(window, 1 / window), mode="valid")
        axes.plot(np.arange(1, len(curve) + 1), curve, color=f"C{i}", alpha=0.25, linewidth=0.8)
        axes.plot(np.arange(len(mean)) + (window + 1) / 2, mean, color=f"C{i}", label=name, linestyle=("-", "--")[i], linewidth=2)
    if len(held_out):
        axes.plot(*held_out.T[:2], "o-", color="black", markersize=4, linewidth=1, label="held out")
    axes.set(xlabel="step", ylabel=f"loss, nats/{unit}" if unit else "training loss", yscale="log")
    for set_formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        set_formatter(PlainFormatter())
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


def draw_accuracies(directory: str, runs: Mapping[str, Run], goal: float) -> list[str]:
    """Draw the held-out accuracies of several runs of images, by name, and return the name of the file."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, run in runs.items():
        scores = np.array(run.scores)  # (n, 3): steps, losses and accuracies
        axes.plot(scores[:, 0], scores[:, 2], "o-", markersize=3, label=name)
    axes.axhline(goal, color="black", linewidth=1, linestyle=":", label=f"{goal:.0%}")
    axes.set(xlabel="step", ylabel="held-out accuracy")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(f"{directory}/transfer.png", dpi=150)
    return ["transfer.png"]


class PlainFormatter(LogFormatterMathtext):
    """A formatter of logarithmic axes that writes 0.4 instead of 4 × 10⁻¹."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""
