"""What a GPT's heads attend, drawn over a text."""

from __future__ import annotations

import numpy as np
from corpora import Vocabulary
from loop import Run
from matplotlib.figure import Figure
from plots import of_run

from scratch.module import Array

SHOWN = 32  # characters


def draw(run: Run, numbers: Array, symbols: Vocabulary) -> list[str]:
    """Draw a run and the attention of its model over the first characters of a text: losses.png and attention.png."""
    tokens = numbers[: min(SHOWN, run.config["context"])]
    letters = [letter if letter.strip() else "·" for letter in symbols.decode(tokens)]
    layers = run.backends[0].attention(tokens[None])[:, 0]  # (layers, heads, T, T)
    head_maps(f"{run.options.plots}/attention.png", layers, letters)
    return [*of_run(run), "attention.png"]


def head_maps(path: str, layers: Array, symbols: list[str]) -> None:
    """Weights (layers, heads, T, T), a panel a head: each row is a symbol, and its columns are what it attends."""
    L, H = layers.shape[:2]
    figure = Figure(figsize=(2.6 * H + 0.5, 2.7 * L + 0.3), layout="constrained")
    for (layer, head), axes in np.ndenumerate(figure.subplots(L, H, squeeze=False)):
        axes.imshow(np.sqrt(layers[layer, head]), cmap="Blues", vmin=0, vmax=1)  # the root shows small weights as well
        axes.set_title(f"layer {layer + 1}, head {head + 1}", fontsize=8)
        axes.set_xticks(
            range(len(symbols)), symbols, family="monospace", fontsize=5, rotation=90 if max(map(len, symbols)) > 1 else 0
        )
        axes.set_yticks(range(len(symbols)), symbols, family="monospace", fontsize=5)
    figure.savefig(path, dpi=150)
