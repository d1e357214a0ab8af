"""The parts of transformers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.inputs import Draw
from scratch.module import Array

Inputs = Callable[[Draw], dict[str, Any]]


def rows(*leading: int, shape: tuple[int, ...] = (7,), given: tuple[str, ...] = ()) -> Inputs:
    """Rows (*leading, *shape) that are hard to normalise, with the parameters that are given."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        parameters = {"weight": draw.normal(*shape, scale=0.5, offset=1.0), "bias": draw.normal(*shape)}
        return {"x": draw.rows(*leading, *shape, axes=len(shape))} | {name: parameters[name] for name in given}

    return draw_inputs


def bias_alone(draw: Draw) -> dict[str, Any]:
    """Rows and a bias without a weight."""
    return rows(13)(draw) | {"weight": None, "bias": draw.normal(7)}


def even(*shape: int) -> Inputs:
    """Rows of one size, far above the rounding of the dtype, which is the default eps of rms_norm."""
    return lambda draw: {"x": draw.normal(*shape, offset=0.5), "weight": draw.normal(shape[-1], scale=0.5, offset=1.0)}


ROW_NORMS = [
    ParityCase(f"{op}{suffix}", f"ops.{op}", f"functional.{op}", inputs, {"normalized_shape": (7,), "eps": 1e-5} | config)
    for op, parameters in (("layer_norm", ("weight", "bias")), ("rms_norm", ("weight",)))
    for suffix, inputs, config in (
        ("", rows(5, 3, given=parameters), {}),
        ("-eps", rows(13, given=parameters), {"eps": 1e-3}),
        ("-two-axes", rows(5, 3, shape=(4, 7), given=parameters), {"normalized_shape": (4, 7)}),
    )
]
ROW_NORMS += [
    ParityCase(
        "layer_norm-weight-alone",
        "ops.layer_norm",
        "functional.layer_norm",
        rows(13, given=("weight",)),
        {"normalized_shape": (7,)},
    ),
    ParityCase("layer_norm-bias-alone", "ops.layer_norm", "functional.layer_norm", bias_alone, {"normalized_shape": (7,)}),
    ParityCase("layer_norm-one-row", "ops.layer_norm", "functional.layer_norm", even(17), {"normalized_shape": (17,)}),
    ParityCase("rms_norm-default-eps", "ops.rms_norm", "functional.rms_norm", even(5, 3, 7), {"normalized_shape": (7,)}),
]
ROW_NORMS += [
    ParityCase(f"{layer}{suffix}", f"layers.{layer}", f"torch.nn.{layer}", inputs, {"normalized_shape": 7, "eps": 1e-5} | config)
    for layer, extra in (("LayerNorm", {"bias": False, "eps": 1e-3}), ("RMSNorm", {"eps": 1e-3}))
    for suffix, inputs, config in (
        ("", rows(5, 3), {}),
        ("-no-bias" if "bias" in extra else "-eps", rows(13), extra),
        ("-two-axes", rows(5, 3, shape=(4, 7)), {"normalized_shape": [4, 7]}),
        ("-plain", rows(5, 3), {"elementwise_affine": False}),
    )
]


def at(positions: Array | None, *shape: int) -> Inputs:
    """Vectors x (..., T, D) and, where they are given, their positions."""
    return lambda draw: {"x": draw.normal(*shape)} | ({} if positions is None else {"positions": positions})


LATE = np.array([0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 377])  # much later, an angle is its own rounding error
LEFT_PADDED = np.maximum(np.arange(13) - np.array([[0], [4], [1]]), 0)  # one row of positions for each of three sequences

POSITIONS = [
    ParityCase(f"{op}{suffix}", f"ops.{op}", f"positions.{op}", inputs, config)
    for op in ("sinusoidal_positions", "rotary")
    for suffix, inputs, config in (
        ("", at(np.arange(13), 3, 2, 13, 6), {}),
        ("-late", at(LATE, 3, 13, 10), {"base": 500.0}),
        ("-left-padded", at(LEFT_PADDED[:, None], 3, 2, 13, 8), {}),
    )
]
POSITIONS += [
    ParityCase("sinusoidal_positions-odd", "ops.sinusoidal_positions", "positions.sinusoidal_positions", at(LATE, 3, 13, 7)),
    ParityCase("rotary-interleaved", "ops.rotary", "positions.rotary", at(LATE, 3, 2, 13, 6), {"interleaved": True}),
    ParityCase(
        "rotary-interleaved-left-padded",
        "ops.rotary",
        "positions.rotary",
        at(LEFT_PADDED, 3, 13, 10),
        {"interleaved": True, "base": 500.0},
    ),
]
POSITIONS += [
    ParityCase(f"{layer}{suffix}", f"layers.{layer}", f"layers.{layer}", at(positions, 3, 13, 7), config)
    for layer, config in (
        ("SinusoidalPositions", {"base": 500.0}),
        ("LearnedPositions", {"num_embeddings": 17, "embedding_dim": 7}),
    )
    for suffix, positions in (("", None), ("-given", np.arange(13)[::-1] + 4), ("-left-padded", LEFT_PADDED))
]


def seen_from(queries: Array) -> Inputs:
    """The positions of queries and of 37 keys."""
    return lambda draw: {"queries": queries, "keys": np.arange(37)}


FAR = np.arange(-300, 300).reshape(3, -1)  # beyond every max_distance
BOTH, CAUSAL = {"bidirectional": True}, {"bidirectional": False}
BUCKETS = [
    ParityCase(
        f"relative_position_bucket{suffix}",
        "ops.relative_position_bucket",
        "positions.relative_position_bucket",
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
        f"RelativePositionBias{suffix}",
        "layers.RelativePositionBias",
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

FEED_FORWARD = [
    ParityCase(
        f"FeedForward{suffix}", "layers.FeedForward", "layers.FeedForward", at(None, 3, 13, 7), {"d_model": 7, "d_ff": 11} | config
    )
    for suffix, config in (
        ("", {}),
        ("-dropout", {"activation": "gelu", "dropout": 0.3}),
        ("-gelu-tanh", {"activation": "gelu_tanh"}),
        ("-no-bias", {"activation": "silu", "bias": False}),
        ("-gated", {"activation": "gelu", "gated": True}),
        ("-gated-no-bias", {"activation": "silu", "dropout": 0.3, "bias": False, "gated": True}),
        ("-gated-sigmoid", {"activation": "sigmoid", "gated": True}),
    )
]

CASES = [*ROW_NORMS, *POSITIONS, *BUCKETS, *FEED_FORWARD]
