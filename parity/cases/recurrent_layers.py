"""Recurrent layers and cells, and the embedding layer."""

from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import Inputs, tokens
from parity.inputs import Draw

AFTER = ("recurrent",)
T, B, I, H = 13, 5, 7, 6
LENGTHS = np.array([6, 13, 1, 9, 12])


def layered(states: int, rows: int, batch_first: bool = False, given: bool = True, ragged: bool = False, width: int = H) -> Inputs:
    """Return a draw of x, of the initial states of `rows` (layers times directions), and, for ragged batches, of lengths."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        first = (draw.normal(rows, B, width), draw.normal(rows, B, H))[:states]
        inputs: dict[str, Any] = {"x": draw.normal(B, T, I) if batch_first else draw.normal(T, B, I)}
        if given:
            inputs["hx"] = first if states > 1 else first[0]
        elif ragged:
            inputs["hx"] = None
        return inputs | ({"lengths": LENGTHS} if ragged else {})

    return draw_inputs


def step(states: int, given: bool = True) -> Inputs:
    """Return a draw of a cell's inputs."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        first = (draw.normal(B, H), draw.normal(B, H))[:states]
        return {"x": draw.normal(B, I)} | ({"hx": first if states > 1 else first[0]} if given else {})

    return draw_inputs


def silent_step(draw: Draw) -> dict[str, Any]:
    """Draw a step whose first row is zero, both x and the state."""
    inputs = step(1)(draw)
    inputs["x"][0] = inputs["hx"][0] = 0
    return inputs


SIZES: dict[str, Any] = {"input_size": I, "hidden_size": H}
EMBEDDINGS = [
    ParityCase(
        "Embedding", "layers.Embedding", tokens(5, 4), {"num_embeddings": 9, "embedding_dim": 7}, reference="torch.nn.Embedding"
    ),
    ParityCase(
        "Embedding-padding",
        "layers.Embedding",
        tokens(5, 4),
        {"num_embeddings": 9, "embedding_dim": 7, "padding_idx": 2},
        reference="torch.nn.Embedding",
    ),
]

CELLS = [
    ParityCase(f"{name}{suffix}", f"layers.{name}", inputs, SIZES | config, reference=f"torch.nn.{name}")
    for name, states in (("RNNCell", 1), ("LSTMCell", 2), ("GRUCell", 1))
    for suffix, inputs, config in (
        ("", step(states), {}),
        ("-no-bias", step(states), {"bias": False}),
        ("-no-states", step(states, given=False), {}),
    )
]
CELLS += [
    ParityCase("RNNCell-relu", "layers.RNNCell", step(1), SIZES | {"nonlinearity": "relu"}, reference="torch.nn.RNNCell"),
    ParityCase(
        "RNNCell-relu-at-the-kink",
        "layers.RNNCell",
        silent_step,
        SIZES | {"nonlinearity": "relu", "bias": False},
        reference="torch.nn.RNNCell",
    ),
]

LAYERS = [
    ParityCase(f"{name}{suffix}", f"layers.{name}", inputs, SIZES | config)
    for name, states in (("RNN", 1), ("LSTM", 2), ("GRU", 1))
    for suffix, inputs, config in (
        ("", layered(states, 1), {}),
        ("-no-states", layered(states, 1, given=False), {}),
        ("-batch-first", layered(states, 1, batch_first=True), {"batch_first": True}),
        ("-deep", layered(states, 3), {"num_layers": 3, "bias": False}),
        ("-both-ways", layered(states, 2), {"bidirectional": True}),
        (
            "-deep-both-ways",
            layered(states, 4, batch_first=True),
            {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.3},
        ),
        ("-dropout", layered(states, 3), {"num_layers": 3, "dropout": 0.3}),
        ("-ragged", layered(states, 1, ragged=True), {}),
        (
            "-ragged-both-ways",
            layered(states, 4, batch_first=True, ragged=True),
            {"num_layers": 2, "bidirectional": True, "batch_first": True},
        ),
        ("-ragged-no-states", layered(states, 2, given=False, ragged=True), {"bidirectional": True}),
        (
            "-ragged-dropout",
            layered(states, 6, batch_first=True, ragged=True),
            {"num_layers": 3, "bidirectional": True, "batch_first": True, "dropout": 0.3},
        ),
    )
]
LAYERS += [
    ParityCase(
        "RNN-relu",
        "layers.RNN",
        layered(1, 4),
        SIZES | {"num_layers": 2, "nonlinearity": "relu", "bidirectional": True, "dropout": 0.3},
    ),
    ParityCase(
        "LSTM-projected",
        "layers.LSTM",
        layered(2, 4, width=4),
        SIZES | {"num_layers": 2, "bidirectional": True, "proj_size": 4},
    ),
    ParityCase(
        "LSTM-projected-ragged",
        "layers.LSTM",
        layered(2, 2, width=4, ragged=True),
        SIZES | {"bidirectional": True, "proj_size": 4},
    ),
]

CASES = [*EMBEDDINGS, *CELLS, *LAYERS]


def so_many_steps(*shape: int) -> Inputs:
    """Return a draw of x of this shape without initial states."""
    return lambda draw: {"x": draw.normal(*shape)}


CASES += [
    ParityCase(
        f"Embedding-{size}",
        "layers.Embedding",
        tokens(*shape),
        {"num_embeddings": 9, "embedding_dim": width},
        reference="torch.nn.Embedding",
    )
    for size, shape, width in (
        ("one-row", (17,), 18),
        ("three-axes", (1, 5, 3), 1),
        ("four-axes", (2, 1, 3, 2), 3),
        ("square", (67, 67), 2),
    )
]
CASES += [
    ParityCase(
        f"{name}-{size}",
        f"layers.{name}",
        so_many_steps(*shape),
        {"input_size": shape[-1], "hidden_size": hidden},
        reference=f"torch.nn.{name}",
    )
    for name in ("RNNCell", "LSTMCell", "GRUCell")
    for size, shape, hidden in (("batch-of-one", (1, 6), 5), ("square", (67, 67), 67))
]
CASES += [
    ParityCase(f"{name}-{size}", f"layers.{name}", so_many_steps(*shape), {"input_size": shape[-1]} | config)
    for name in ("RNN", "LSTM", "GRU")
    for size, shape, config in (
        ("one-step-of-one", (1, 1, 6), {"hidden_size": 5}),
        ("batch-of-one", (1, 5, 4), {"hidden_size": 3, "batch_first": True, "bidirectional": True}),
        ("square", (17, 15, 17), {"hidden_size": 17, "num_layers": 2}),
    )
]
