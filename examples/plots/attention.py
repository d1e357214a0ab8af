"""Attention weights: of sequence pairs, and of every head of a GPT or BERT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from examples.plots.curves import draw_losses
from examples.tasks.characters import Characters
from examples.tasks.masked_words import MaskedWords
from examples.tasks.pairs import Pairs
from examples.training.run import Run
from scratch.module import Array

SHOWN = 32  # characters


def draw_pairs(run: Run) -> list[str]:
    """Draw the losses, and how each target symbol attends to the source; return the names of the files."""
    assert isinstance(run.task, Pairs)
    pair_maps(f"{run.options.plots}/attention.png", run.task.attended(run.backends[0]))
    return [*draw_losses(run), "attention.png"]


def draw_masked_words(run: Run) -> list[str]:
    """Draw the losses, and the attention of every head over one window; return the names of the files."""
    assert isinstance(run.task, MaskedWords)
    head_maps(f"{run.options.plots}/attention.png", *run.task.attended(run.backends[0]))
    return [*draw_losses(run), "attention.png"]


def draw_characters(run: Run) -> list[str]:
    """Draw the losses, and the attention of every head over the first held-out characters; return the names of the files."""
    assert isinstance(run.task, Characters)
    tokens = run.task.held_out[: min(SHOWN, run.config["context"])]
    letters = [letter if letter.strip() else "·" for letter in run.task.symbols.decode(tokens)]
    weights = run.backends[0].attention(tokens[None])[:, 0]  # (layers, heads, T, T)
    head_maps(f"{run.options.plots}/attention.png", weights, letters)
    return [*draw_losses(run), "attention.png"]


def pair_maps(path: str | Path, maps: Sequence[tuple[Array, Sequence[str], Sequence[str]]]) -> None:
    """Draw weights (target, source), each with its symbols: a row is a target symbol, a column a source symbol."""
    figure = Figure(figsize=(3.2 * len(maps), 4), layout="constrained")
    for axes, (weights, rows, columns) in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps, strict=True):
        axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(columns)), columns, rotation=90 if max(map(len, columns)) > 2 else 0)
        axes.set_yticks(range(len(rows)), rows)
        axes.xaxis.tick_top()
    figure.savefig(path, dpi=150)


def head_maps(path: str | Path, layers: Array, symbols: list[str]) -> None:
    """Draw weights (layers, heads, T, T), one panel a head: a row is a query, a column a key."""
    L, H = layers.shape[:2]
    figure = Figure(figsize=(2.6 * H + 0.5, 2.7 * L + 0.3), layout="constrained")
    for (layer, head), axes in np.ndenumerate(figure.subplots(L, H, squeeze=False)):
        axes.imshow(np.sqrt(layers[layer, head]), cmap="Blues", vmin=0, vmax=1)  # the square root shows small weights too
        axes.set_title(f"layer {layer + 1}, head {head + 1}", fontsize=8)
        axes.set_xticks(
            range(len(symbols)), symbols, family="monospace", fontsize=5, rotation=90 if max(map(len, symbols)) > 1 else 0
        )
        axes.set_yticks(range(len(symbols)), symbols, family="monospace", fontsize=5)
    figure.savefig(path, dpi=150)
