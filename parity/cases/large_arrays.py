"""Arrays that are larger than a block of `scratch`: they are cut into blocks, or shared among threads.

Elementwise work is cut from 2**18 numbers on. A test demands a case on each side of each such size.
"""

from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import Inputs, normal
from parity.inputs import Draw
from scratch.module import Array

AFTER = ("recurrent_models",)
F = "torch.nn.functional"
T, B, H = 16, 33, 128


def images(*shape: int, kernel: tuple[int, ...], transposed: bool = False) -> Inputs:
    """Return a draw of images, of a kernel scaled by its fan-in, and of a bias."""

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        fan_in = np.prod(kernel[1:]) if not transposed else kernel[0] * np.prod(kernel[2:])
        bias = draw.normal(kernel[1] if transposed else kernel[0])
        return {"x": draw.normal(*shape), "weight": draw.normal(*kernel, scale=fan_in**-0.5), "bias": bias}

    return draw_inputs


def logits(*shape: int) -> Inputs:
    """Return a draw of one array of logits."""
    return lambda draw: {"x": draw.normal(*shape, scale=3)}


def labelled_rows(draw: Draw) -> dict[str, Array]:
    """Draw rows of 65 logits, each with a label."""
    return {"input": draw.normal(4099, 65, scale=3), "target": draw.integers(0, 65, 4099)}


def scaled(*shape: int, names: tuple[str, ...], along: int) -> Inputs:
    """Return a draw of x, of a scale and perhaps a shift along one axis, and perhaps of running statistics."""

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        C = shape[along]
        positive = {"running_var": draw.positive(C), "weight": draw.positive(C)}
        return {"x": draw.normal(*shape, offset=0.5)} | {name: positive.get(name, draw.normal(C)) for name in names}

    return draw_inputs


def wide_sequence(gates: int, cell: bool = False) -> Inputs:
    """Return a draw of a sequence, of the initial states, and of the weights of a layer of 128 units."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        states = {name: draw.normal(B, H) for name in (("h0", "c0") if cell else ("h0",))}
        weights = {"weight_ih": draw.normal(gates * H, 5, scale=5**-0.5), "weight_hh": draw.normal(gates * H, H, scale=H**-0.5)}
        return {"x": draw.normal(T, B, 5)} | states | weights | {name: draw.normal(gates * H) for name in ("bias_ih", "bias_hh")}

    return draw_inputs


def heads(*shape: int, keys: int) -> Inputs:
    """Return a draw of queries (*shape), keys and values."""
    *batch, _, E = shape
    return lambda draw: {"query": draw.normal(*shape), "key": draw.normal(*batch, keys, E), "value": draw.normal(*batch, keys, E)}


NORMS = ("weight", "bias")
STATISTICS = ("running_mean", "running_var")
CASES = [
    *(
        ParityCase(f"{op}-large", f"ops.{op}", normal(5, 53003), reference=f"{F}.{op}")
        for op in ("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu")
    ),
    ParityCase("relu-large-row", "ops.relu", normal(1, 262153), reference=f"{F}.relu"),
    *(
        ParityCase(f"{op}-large", f"ops.{op}", logits(67, 61, 65), {"dim": dim}, reference=f"{F}.{op}")
        for op, dim in (("softmax", -1), ("log_softmax", 1))
    ),
    ParityCase("cross_entropy-large", "ops.cross_entropy", labelled_rows, reference=f"{F}.cross_entropy"),
    ParityCase("layer_norm-large", "ops.layer_norm", scaled(67, 61, 65, names=NORMS, along=-1), {"normalized_shape": (65,)}),
    ParityCase(
        "rms_norm-large", "ops.rms_norm", scaled(67, 61, 65, names=NORMS[:1], along=-1), {"normalized_shape": (65,), "eps": 1e-5}
    ),
    ParityCase("group_norm-large", "ops.group_norm", scaled(5, 6, 91, 97, names=NORMS, along=1), {"num_groups": 3}),
    ParityCase(
        "batch_norm-large",
        "ops.batch_norm",
        scaled(5, 6, 91, 97, names=NORMS + STATISTICS, along=1),
        {"training": True},
        constants=STATISTICS,
    ),
    ParityCase(
        "frozen_batch_norm-large",
        "ops.frozen_batch_norm",
        scaled(5, 6, 91, 97, names=NORMS + STATISTICS, along=1),
        constants=NORMS + STATISTICS,
    ),
    ParityCase("max_pool2d-large", "ops.max_pool2d", normal(5, 6, 91, 97), {"kernel_size": 2}, reference=f"{F}.max_pool2d"),
    ParityCase("rotary-large", "ops.rotary", lambda draw: {"x": draw.normal(67, 2, 31, 64), "positions": np.arange(31)}),
    ParityCase("linear-of-256-rows", "ops.linear", images(8, 32, 7, kernel=(11, 7)), reference=f"{F}.linear"),
    ParityCase("attention-blocks-of-heads", "ops.scaled_dot_product_attention", heads(1, 9, 131, 5, keys=137)),
    *(
        ParityCase(f"{op}-large", f"ops.{op}", wide_sequence(gates, cell))
        for op, gates, cell in (("rnn", 1, False), ("lstm", 4, True), ("gru", 3, False))
    ),
    *(
        ParityCase(f"conv2d-{name}", "ops.conv2d", images(*shape, kernel=kernel), config, reference=f"{F}.conv2d")
        for name, shape, kernel, config in (
            ("blocks-of-rows", (2, 9, 7, 306), (3, 9, 4, 7), {}),
            ("blocks-of-a-row", (2, 9, 5, 1047), (3, 9, 4, 7), {}),
            ("winograd-many-channels", (1, 342, 4, 5), (343, 342, 3, 3), {"padding": 1}),
            ("winograd-strips", (1, 32, 122, 118), (33, 32, 3, 3), {"padding": 1}),
            ("winograd-wide", (1, 32, 8, 3645), (33, 32, 3, 3), {"padding": 1}),
        )
    ),
    ParityCase(
        "conv_transpose2d-large",
        "ops.conv_transpose2d",
        images(5, 4, 91, 60, kernel=(4, 3, 3, 2), transposed=True),
        {"stride": 2},
        reference=f"{F}.conv_transpose2d",
    ),
]
