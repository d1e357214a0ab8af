"""What the examples draw."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from datasets import Dataset

from scratch.module import Array

try:
    from matplotlib.figure import Figure
except ImportError as error:
    raise ValueError(f'--plots needs matplotlib, which is not installed ({error}): pip install "matplotlib>=3.8"') from error


def losses(path: str | Path, curves: Array, names: Sequence[str]) -> None:
    """The training losses (steps, backends): every step faintly, and the running mean of a fiftieth of the steps."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    window = max(1, len(curves) // 50)
    for i, (name, curve) in enumerate(zip(names, curves.T, strict=True)):
        mean = np.convolve(curve, np.full(window, 1 / window), mode="valid")
        axes.plot(np.arange(1, len(curve) + 1), curve, color=f"C{i}", alpha=0.25, linewidth=0.8)
        axes.plot(np.arange(len(mean)) + (window + 1) / 2, mean, color=f"C{i}", label=name, linestyle=("-", "--")[i], linewidth=2)
    axes.set(xlabel="step", ylabel="training loss", yscale="log")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


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
