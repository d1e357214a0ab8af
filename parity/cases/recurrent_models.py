"""Recurrent models: language models, names, sentiment, translation."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.inputs import Draw

Inputs = Callable[[Draw], dict[str, Any]]
V, E, H = 11, 7, 6
B, T = 5, 13
LENGTHS = np.array([6, 13, 1, 9, 12])


def text(layers: int = 0, states: int = 1, ragged: bool = False) -> Inputs:
    """Tokens of which many repeat, the first state of each layer where there are any, and the lengths where they differ."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        inputs: dict[str, Any] = {"tokens": draw.integers(0, V - 1, B, T)}  # the last row is never looked at
        if layers:
            first = tuple(draw.normal(layers, B, H) for _ in range(states))
            inputs["state"] = first if states > 1 else first[0]
        elif ragged:
            inputs["state"] = None
        return inputs | ({"lengths": LENGTHS} if ragged else {})

    return draw_inputs


def reviews(draw: Draw) -> dict[str, Any]:
    """Texts of unequal length with padding beyond them, and in one of them too."""
    tokens = draw.integers(0, V - 1, B, T)
    tokens[1, 2] = 0
    return {"tokens": np.where(np.arange(T) < LENGTHS[:, None], tokens, 0), "lengths": LENGTHS}


def translation(draw: Draw) -> dict[str, Any]:
    """Sources of unequal length and the targets that the decoder reads."""
    return {"source": draw.integers(0, V - 1, B, T), "lengths": LENGTHS, "target": draw.integers(0, V + 1, B, T + 2)}


SIZES: dict[str, Any] = {"vocab_size": V, "embedding_size": E, "hidden_size": H}
CASES = [
    ParityCase(f"char-lm-{cell}{suffix}", "models.CharLanguageModel", "models.CharLanguageModel", inputs, config | {"cell": cell})
    for cell, states in (("rnn", 1), ("lstm", 2), ("gru", 1))
    for suffix, inputs, config in (
        ("", text(1, states), SIZES),
        ("-no-state", text(), SIZES),
        ("-deep", text(3, states), SIZES | {"num_layers": 3, "dropout": 0.3}),
        ("-tied", text(2, states), SIZES | {"num_layers": 2, "embedding_size": H, "tied": True}),
    )
]
CASES += [
    ParityCase(f"names{suffix}", "models.NameGenerator", "models.NameGenerator", inputs, SIZES | config)
    for suffix, inputs, config in (
        ("", text(), {}),
        ("-state", text(1), {}),
        ("-ragged", text(ragged=True), {"num_layers": 2}),
        ("-ragged-state", text(2, ragged=True), {"num_layers": 2}),
        ("-deep", text(ragged=True), {"num_layers": 3, "dropout": 0.3}),
    )
]
CASES += [
    ParityCase(f"sentiment{suffix}", "models.SentimentClassifier", "models.SentimentClassifier", reviews, SIZES | config)
    for suffix, config in (
        ("", {}),
        ("-max", {"pooling": "max", "classes": 3}),
        ("-deep", {"num_layers": 3, "dropout": 0.3}),
        ("-deep-max", {"num_layers": 2, "dropout": 0.3, "pooling": "max"}),
    )
]
LANGUAGES: dict[str, Any] = {"source_vocab_size": V, "target_vocab_size": V + 2, "embedding_size": E, "hidden_size": H}
CASES += [
    ParityCase(
        f"seq2seq-{attention}{suffix}",
        "models.Seq2Seq",
        "models.Seq2Seq",
        translation,
        LANGUAGES | config | {"attention": attention},
    )
    for attention in ("dot", "additive")
    for suffix, config in (("", {}), ("-deep", {"num_layers": 3, "dropout": 0.3}))
]
