"""Positions in sequences: sinusoidal, learned, rotary and relative."""

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import Inputs
from scratch.module import Array

AFTER = ("row_norms",)


def at(positions: Array | None, *shape: int) -> Inputs:
    """Return a draw of vectors x (..., T, D), with their positions if these are given."""
    return lambda draw: {"x": draw.normal(*shape)} | ({} if positions is None else {"positions": positions})


LATE = np.array([0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 377])  # later, the angle's own rounding error is large
LEFT_PADDED = np.maximum(np.arange(13) - np.array([[0], [4], [1]]), 0)  # a row for each of three sequences

POSITIONS = [
    ParityCase(f"{op}{suffix}", f"ops.{op}", inputs, config)
    for op in ("sinusoidal_positions", "rotary")
    for suffix, inputs, config in (
        ("", at(np.arange(13), 3, 2, 13, 6), {}),
        ("-late", at(LATE, 3, 13, 10), {"base": 500.0}),
        ("-left-padded", at(LEFT_PADDED[:, None], 3, 2, 13, 8), {}),
    )
]
POSITIONS += [
    ParityCase("sinusoidal_positions-odd", "ops.sinusoidal_positions", at(LATE, 3, 13, 7)),
    ParityCase("rotary-interleaved", "ops.rotary", at(LATE, 3, 2, 13, 6), {"interleaved": True}),
    ParityCase(
        "rotary-interleaved-left-padded",
        "ops.rotary",
        at(LEFT_PADDED, 3, 13, 10),
        {"interleaved": True, "base": 500.0},
    ),
]
POSITIONS += [
    ParityCase(f"{layer}{suffix}", f"layers.{layer}", at(positions, 3, 13, 7), config)
    for layer, config in (
        ("SinusoidalPositions", {"base": 500.0}),
        ("LearnedPositions", {"num_embeddings": 17, "embedding_dim": 7}),
    )
    for suffix, positions in (("", None), ("-given", np.arange(13)[::-1] + 4), ("-left-padded", LEFT_PADDED))
]

POSITIONS += [ParityCase("SinusoidalPositions-default", "layers.SinusoidalPositions", at(None, 1, 13, 7))]


def seen_from(queries: Array) -> Inputs:
    """Return a draw that gives the positions of queries and of 37 keys."""
    return lambda draw: {"queries": queries, "keys": np.arange(37)}


FAR = np.arange(-300, 300).reshape(3, -1)  # farther than every max_distance
BOTH, CAUSAL = {"bidirectional": True}, {"bidirectional": False}
BUCKETS = [
    ParityCase(
        f"relative_position_bucket{suffix}",
        "ops.relative_position_bucket",
        lambda draw: {"relative_position": FAR},
        config,
    )
    for suffix, config in (
        ("", {}),
        ("-causal", CAUSAL),
        ("-few", {"num_buckets": 10, "max_distance": 45}),
        ("-few-causal", {"num_buckets": 9, "max_distance": 29} | CAUSAL),
    )
]
BUCKETS += [
    ParityCase(
        "relative_position_bucket-int32",
        "ops.relative_position_bucket",
        lambda draw: {"relative_position": np.asfortranarray(FAR.astype(np.int32))},
        {"num_buckets": 14, "max_distance": 77},
    )
]
BUCKETS += [
    ParityCase(
        f"RelativePositionBias{suffix}",
        "layers.RelativePositionBias",
        seen_from(queries),
        {"num_buckets": 12, "max_distance": 24, "num_heads": 5} | config,
    )
    for suffix, queries, config in (
        ("", np.arange(29), BOTH),
        ("-causal", np.arange(29), CAUSAL),
        ("-continued", np.arange(31, 37), CAUSAL),
    )
]

CASES = [*POSITIONS, *BUCKETS]


def seen(queries: int, keys: int) -> Inputs:
    """Return a draw that gives the positions of so many queries and keys."""
    return lambda draw: {"queries": np.arange(queries), "keys": np.arange(keys)}


CASES += [
    case
    for size, shape in (
        ("two-axes", (13, 6)),
        ("batch-of-one", (1, 4, 6)),
        ("batch-of-one-four-axes", (1, 3, 4, 6)),
        ("square", (66, 66)),
    )
    for case in (
        ParityCase(f"sinusoidal_positions-{size}", "ops.sinusoidal_positions", at(np.arange(shape[-2]), *shape)),
        ParityCase(f"rotary-{size}", "ops.rotary", at(np.arange(shape[-2]), *shape)),
        ParityCase(f"rotary-interleaved-{size}", "ops.rotary", at(np.arange(shape[-2]), *shape), {"interleaved": True}),
        ParityCase(f"SinusoidalPositions-{size}", "layers.SinusoidalPositions", at(None, *shape)),
        ParityCase(
            f"LearnedPositions-{size}",
            "layers.LearnedPositions",
            at(None, *shape),
            {"num_embeddings": shape[-2], "embedding_dim": shape[-1]},
        ),
    )
]
CASES += [
    ParityCase(f"relative_position_bucket-{name}", "ops.relative_position_bucket", inputs)
    for name, inputs in (
        ("batch-of-one", lambda draw: {"relative_position": np.arange(-7, 8)[None]}),
        ("square", lambda draw: {"relative_position": np.arange(67) - 3 * np.arange(67)[:, None]}),
    )
]
CASES += [
    ParityCase(
        f"RelativePositionBias-{name}",
        "layers.RelativePositionBias",
        seen(queries, keys),
        {"num_buckets": 12, "max_distance": 24, "num_heads": 2, "bidirectional": True},
    )
    for name, queries, keys in (("one-query", 1, 5), ("large", 4098, 3))
]
