"""Embedding, recurrent ops, cells and layers, pooling over what they return, and attention over it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.inputs import Draw
from scratch.module import Array

Inputs = Callable[[Draw], dict[str, Any]]
T, B, I, H = 13, 5, 7, 6
COUNTS = np.array([5, 5, 4, 4, 4, 3, 3, 2, 2, 2, 2, 0, 0])  # two rows go on to step 11, and nothing to the end
LENGTHS = np.array([6, 13, 1, 9, 12])
Q = 4  # queries over T keys
ATTENDED = np.random.default_rng(0).random((B, Q, T)) < 0.6  # the second query of the first row may attend nothing
ATTENDED[0, 1] = False


def sequence(gates: int, cell: bool = False, projected: int = 0, bias: bool = True, saturated: bool = False) -> Inputs:
    """A sequence, its first states and one layer's weights; saturated: large enough to close most gates."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        width = projected or H
        inputs: dict[str, Any] = {"x": draw.normal(T, B, I, scale=12.0 if saturated else 1.0), "h0": draw.normal(B, width)}
        inputs |= {"c0": draw.normal(B, H)} if cell else {}
        inputs |= {"weight_ih": draw.normal(gates * H, I, scale=I**-0.5), "weight_hh": draw.normal(gates * H, width, scale=H**-0.5)}
        inputs |= {name: draw.normal(gates * H) if bias else None for name in ("bias_ih", "bias_hh")}
        return inputs | ({"weight_hr": draw.normal(projected, H, scale=H**-0.5)} if projected else {})

    return draw_inputs


def silent_start(draw: Draw) -> dict[str, Any]:
    """A sequence and a state of zeros at first, and no bias: the activation is asked for its slope at exactly 0."""
    inputs = sequence(1, bias=False)(draw)
    inputs["x"][:3] = inputs["h0"][...] = 0
    return inputs


def tokens(*shape: int, vocabulary: int = 9) -> Inputs:
    """Numbers that repeat, 2 among them, which is the padding where there is any."""

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        numbers = draw.integers(0, vocabulary - 1, *shape)  # the last row is never looked at
        numbers.flat[:2] = 2
        return {"input": numbers}

    return draw_inputs


def table(draw: Draw) -> dict[str, Array]:
    """Numbers and the table that they are looked up in."""
    return tokens(5, 4)(draw) | {"weight": draw.normal(9, 7)}


def layered(states: int, rows: int, batch_first: bool = False, given: bool = True, ragged: bool = False, width: int = H) -> Inputs:
    """What a layer takes: x, the first states of its rows (layers times directions), and the lengths where they differ."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        first = (draw.normal(rows, B, width), draw.normal(rows, B, H))[:states]
        inputs: dict[str, Any] = {"x": draw.normal(B, T, I) if batch_first else draw.normal(T, B, I)}
        if given:
            inputs["hx"] = first if states > 1 else first[0]
        elif ragged:
            inputs["hx"] = None
        return inputs | ({"lengths": LENGTHS} if ragged else {})

    return draw_inputs


def padded(ties: bool = False) -> Inputs:
    """Sequences of numbers below 0, or of small whole numbers, whose padding is larger than all of them."""

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        x = draw.grid(B, T, I) if ties else draw.normal(B, T, I, offset=-5.0)
        t = np.arange(T)[:, None]
        return {"x": np.where(t < LENGTHS[:, None, None], x, 9.0 + t), "lengths": LENGTHS}

    return draw_inputs


def attention(weighted: bool = False, mask: Array | None = None) -> Inputs:
    """Queries over a memory of T steps, the weights of an additive score, and where a query may attend a key."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        inputs = {"query": draw.normal(B, Q, I), "key": draw.normal(B, T, I), "value": draw.normal(B, T, H)}
        inputs |= {"weight": draw.normal(I)} if weighted else {}
        return inputs | ({} if mask is None else {"attn_mask": mask})

    return draw_inputs


def step(states: int, given: bool = True) -> Inputs:
    """What a cell takes."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        first = (draw.normal(B, H), draw.normal(B, H))[:states]
        return {"x": draw.normal(B, I)} | ({"hx": first if states > 1 else first[0]} if given else {})

    return draw_inputs


def silent_step(draw: Draw) -> dict[str, Any]:
    """A step of which the first row is 0, x and state."""
    inputs = step(1)(draw)
    inputs["x"][0] = inputs["hx"][0] = 0
    return inputs


SIZES: dict[str, Any] = {"input_size": I, "hidden_size": H}
OPS = [
    ParityCase(f"{op}{suffix}", f"ops.{op}", f"functional.{op}", inputs, config)
    for op, gates, cell in (("rnn", 1, False), ("lstm", 4, True), ("gru", 3, False))
    for suffix, inputs, config in (
        ("", sequence(gates, cell), {}),
        ("-no-bias", sequence(gates, cell, bias=False), {}),
        ("-saturated", sequence(gates, cell, saturated=True), {}),
        ("-ragged", sequence(gates, cell), {"counts": COUNTS}),
    )
]
OPS += [
    ParityCase("rnn-relu", "ops.rnn", "functional.rnn", sequence(1), {"nonlinearity": "relu"}),
    ParityCase("rnn-relu-ragged", "ops.rnn", "functional.rnn", sequence(1), {"nonlinearity": "relu", "counts": COUNTS}),
    ParityCase("rnn-relu-at-the-kink", "ops.rnn", "functional.rnn", silent_start, {"nonlinearity": "relu"}),
    ParityCase("lstm-projected", "ops.lstm", "functional.lstm", sequence(4, cell=True, projected=4)),
    ParityCase("lstm-projected-ragged", "ops.lstm", "functional.lstm", sequence(4, cell=True, projected=4), {"counts": COUNTS}),
    ParityCase("embedding", "ops.embedding", "torch.nn.functional.embedding", table),
    ParityCase("embedding-padding", "ops.embedding", "torch.nn.functional.embedding", table, {"padding_idx": 2}),
]

LAYERS = [
    ParityCase(f"{name}{suffix}", f"layers.{name}", f"layers.{name}", inputs, SIZES | config)
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
        "layers.RNN",
        layered(1, 4),
        SIZES | {"num_layers": 2, "nonlinearity": "relu", "bidirectional": True, "dropout": 0.3},
    ),
    ParityCase(
        "LSTM-projected",
        "layers.LSTM",
        "layers.LSTM",
        layered(2, 4, width=4),
        SIZES | {"num_layers": 2, "bidirectional": True, "proj_size": 4},
    ),
    ParityCase(
        "LSTM-projected-ragged",
        "layers.LSTM",
        "layers.LSTM",
        layered(2, 2, width=4, ragged=True),
        SIZES | {"bidirectional": True, "proj_size": 4},
    ),
]

CELLS = [
    ParityCase(f"{name}{suffix}", f"layers.{name}", f"torch.nn.{name}", inputs, SIZES | config)
    for name, states in (("RNNCell", 1), ("LSTMCell", 2), ("GRUCell", 1))
    for suffix, inputs, config in (
        ("", step(states), {}),
        ("-no-bias", step(states), {"bias": False}),
        ("-no-states", step(states, given=False), {}),
    )
]
CELLS += [
    ParityCase("RNNCell-relu", "layers.RNNCell", "torch.nn.RNNCell", step(1), SIZES | {"nonlinearity": "relu"}),
    ParityCase(
        "RNNCell-relu-at-the-kink",
        "layers.RNNCell",
        "torch.nn.RNNCell",
        silent_step,
        SIZES | {"nonlinearity": "relu", "bias": False},
    ),
]

EMBEDDINGS = [
    ParityCase("Embedding", "layers.Embedding", "torch.nn.Embedding", tokens(5, 4), {"num_embeddings": 9, "embedding_dim": 7}),
    ParityCase(
        "Embedding-padding",
        "layers.Embedding",
        "torch.nn.Embedding",
        tokens(5, 4),
        {"num_embeddings": 9, "embedding_dim": 7, "padding_idx": 2},
    ),
]

POOLING = [
    ParityCase("masked_mean", "ops.masked_mean", "functional.masked_mean", padded()),
    ParityCase("masked_max", "ops.masked_max", "functional.masked_max", padded()),
    ParityCase("masked_max-ties", "ops.masked_max", "functional.masked_max", padded(ties=True)),
    ParityCase("MaskedMean", "layers.MaskedMean", "layers.MaskedMean", padded()),
    ParityCase("MaskedMax", "layers.MaskedMax", "layers.MaskedMax", padded(ties=True)),
]

ALIGNMENT = [
    ParityCase("additive_attention", "ops.additive_attention", "functional.additive_attention", attention(weighted=True)),
    ParityCase("additive_attention-masked", "ops.additive_attention", "functional.additive_attention", attention(True, ATTENDED)),
    ParityCase("DotAttention", "layers.DotAttention", "layers.DotAttention", attention(mask=ATTENDED)),
    ParityCase("DotAttention-padded", "layers.DotAttention", "layers.DotAttention", attention(mask=ATTENDED[:, :1])),
    ParityCase("DotAttention-no-mask", "layers.DotAttention", "layers.DotAttention", attention()),
]
ALIGNMENT += [
    ParityCase(
        f"AdditiveAttention{suffix}",
        "layers.AdditiveAttention",
        "layers.AdditiveAttention",
        attention(mask=mask),
        {"query_size": I, "key_size": I, "hidden_size": 4},
    )
    for suffix, mask in (("", ATTENDED), ("-padded", ATTENDED[:, :1]), ("-no-mask", None))
]

CASES = [*OPS, *EMBEDDINGS, *CELLS, *LAYERS, *POOLING, *ALIGNMENT]
