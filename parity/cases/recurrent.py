"""Recurrent ops over a sequence, and the lookup of embeddings."""

from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import Inputs, tokens
from parity.inputs import Draw
from scratch.module import Array

T, B, I, H = 13, 5, 7, 6
COUNTS = np.array([5, 5, 4, 4, 4, 3, 3, 2, 2, 2, 2, 0, 0])  # the longest sequences end after step 11 of 13


def sequence(
    gates: int, cell: bool = False, projected: int = 0, bias: bool = True, saturated: bool = False, batch: int = B, time: int = T
) -> Inputs:
    """Return a draw of a sequence, the initial states and the weights of one layer; `saturated` inputs close most gates."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        width = projected or H
        x = draw.normal(time, batch, I, scale=12.0 if saturated else 1.0)
        inputs: dict[str, Any] = {"x": x, "h0": draw.normal(batch, width)}
        inputs |= {"c0": draw.normal(batch, H)} if cell else {}
        inputs |= {"weight_ih": draw.normal(gates * H, I, scale=I**-0.5), "weight_hh": draw.normal(gates * H, width, scale=H**-0.5)}
        inputs |= {name: draw.normal(gates * H) if bias else None for name in ("bias_ih", "bias_hh")}
        return inputs | ({"weight_hr": draw.normal(projected, H, scale=H**-0.5)} if projected else {})

    return draw_inputs


def silent_start(draw: Draw) -> dict[str, Any]:
    """Draw a sequence that starts with zeros, a zero state and no bias: the activation's input is exactly 0."""
    inputs = sequence(1, bias=False)(draw)
    inputs["x"][:3] = inputs["h0"][...] = 0
    return inputs


def table(draw: Draw) -> dict[str, Array]:
    """Draw indices and a table of embeddings."""
    return tokens(5, 4)(draw) | {"weight": draw.normal(9, 7)}


def table_by_int32(draw: Draw) -> dict[str, Array]:
    """Draw int32 indices with three axes in Fortran order, and a table of embeddings."""
    return {"input": np.asfortranarray(tokens(5, 4, 3)(draw)["input"].astype(np.int32)), "weight": draw.normal(9, 7)}


CASES = [
    ParityCase(f"{op}{suffix}", f"ops.{op}", inputs, config)
    for op, gates, cell in (("rnn", 1, False), ("lstm", 4, True), ("gru", 3, False))
    for suffix, inputs, config in (
        ("", sequence(gates, cell), {}),
        ("-no-bias", sequence(gates, cell, bias=False), {}),
        ("-saturated", sequence(gates, cell, saturated=True), {}),
        ("-ragged", sequence(gates, cell), {"counts": COUNTS}),
        ("-one-sequence", sequence(gates, cell, batch=1), {}),
        ("-one-step", sequence(gates, cell, time=1), {}),
        ("-long", sequence(gates, cell, batch=2, time=67), {}),
    )
]
CASES += [
    ParityCase("rnn-relu", "ops.rnn", sequence(1), {"nonlinearity": "relu"}),
    ParityCase("rnn-relu-ragged", "ops.rnn", sequence(1), {"nonlinearity": "relu", "counts": COUNTS}),
    ParityCase("rnn-relu-at-the-kink", "ops.rnn", silent_start, {"nonlinearity": "relu"}),
    ParityCase("lstm-projected", "ops.lstm", sequence(4, cell=True, projected=4)),
    ParityCase("lstm-projected-ragged", "ops.lstm", sequence(4, cell=True, projected=4), {"counts": COUNTS}),
    ParityCase("embedding", "ops.embedding", table, reference="torch.nn.functional.embedding"),
    ParityCase("embedding-int32", "ops.embedding", table_by_int32, {"padding_idx": 4}, reference="torch.nn.functional.embedding"),
    ParityCase("embedding-padding", "ops.embedding", table, {"padding_idx": 2}, reference="torch.nn.functional.embedding"),
]


def of_size(gates: int, cell: bool, hidden: int, *shape: int) -> Inputs:
    """Return a draw of x (T, B, I), of initial states and of the weights of one layer."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        B, I = shape[1:]
        inputs: dict[str, Any] = {"x": draw.normal(*shape)} | {name: draw.normal(B, hidden) for name in ("h0", "c0")[: 1 + cell]}
        return inputs | {
            "weight_ih": draw.normal(gates * hidden, I, scale=I**-0.5),
            "weight_hh": draw.normal(gates * hidden, hidden, scale=hidden**-0.5),
            "bias_ih": draw.normal(gates * hidden),
            "bias_hh": draw.normal(gates * hidden),
        }

    return draw_inputs


def looked_up(*shape: int, width: int = 7) -> Inputs:
    """Return a draw of indices of this shape, and of a table of embeddings."""
    return lambda draw: {"input": draw.integers(0, 9, *shape), "weight": draw.normal(9, width)}


CASES += [
    ParityCase(f"{op}-{size}", f"ops.{op}", of_size(gates, cell, hidden, *shape))
    for op, gates, cell in (("rnn", 1, False), ("lstm", 4, True), ("gru", 3, False))
    for size, hidden, shape in (("one-step-of-one", 5, (1, 1, 6)), ("square", 17, (17, 15, 17)))
]
CASES += [
    ParityCase(f"embedding-{size}", "ops.embedding", looked_up(*shape, width=width), reference="torch.nn.functional.embedding")
    for size, shape, width in (
        ("one-row", (17,), 1),
        ("three-axes", (1, 5, 3), 7),
        ("four-axes", (2, 1, 3, 2), 18),
        ("square", (67, 67), 2),
    )
]
