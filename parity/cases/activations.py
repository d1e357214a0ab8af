"""Activations and softmax, as ops and as layers."""

from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import Inputs
from parity.inputs import Draw, float32_representable
from scratch.module import Array


def kinked(draw: Draw) -> dict[str, Array]:
    """Draw numbers of scale 2.5, one row of small integers (exact zeros), and one row of large numbers of both signs."""
    x = draw.normal(5, 7, 3, scale=2.5)
    x[1] = draw.grid(7, 3)
    x[2] = draw.normal(7, 3, scale=60)
    x[2, 0] = 100, -110, 0.5  # exp overflows or underflows here in float32
    return {"x": x}


def rows_of_logits(draw: Draw) -> dict[str, Array]:
    """Draw rows of logits: one around +200, one around -300, and one from -60 to 60."""
    return {"x": draw.logits(5, 11)}


def images_of_logits(draw: Draw) -> dict[str, Array]:
    """Draw logits with four axes, the second of which is that of the classes."""
    return {"x": draw.logits(5 * 3 * 2, 7).reshape(5, 3, 2, 7).transpose(0, 3, 1, 2).copy()}


OPS: list[tuple[str, str, dict[str, Any]]] = [
    ("relu", "ReLU", {}),
    ("leaky_relu", "LeakyReLU", {"negative_slope": 0.03}),
    ("sigmoid", "Sigmoid", {}),
    ("tanh", "Tanh", {}),
    ("gelu", "GELU", {"approximate": "none"}),
    ("gelu", "GELU", {"approximate": "tanh"}),
    ("silu", "SiLU", {}),
    ("softplus", "Softplus", {"beta": 0.7, "threshold": 3.0}),
]

CASES = [
    case
    for op, layer, config in OPS
    for suffix in ["-tanh" if config.get("approximate") == "tanh" else ""]
    for case in (
        ParityCase(f"{op}{suffix}", f"ops.{op}", kinked, config, reference=f"torch.nn.functional.{op}"),
        ParityCase(f"{layer}{suffix}", f"layers.{layer}", kinked, config, reference=f"torch.nn.{layer}"),
    )
]
CASES += [
    ParityCase("leaky_relu-default", "ops.leaky_relu", kinked, reference="torch.nn.functional.leaky_relu"),
    ParityCase("LeakyReLU-default", "layers.LeakyReLU", kinked, reference="torch.nn.LeakyReLU"),
    ParityCase("softplus-default", "ops.softplus", kinked, reference="torch.nn.functional.softplus"),
    ParityCase("Softplus-default", "layers.Softplus", kinked, reference="torch.nn.Softplus"),
    ParityCase("softmax", "ops.softmax", rows_of_logits, {"dim": -1}, reference="torch.nn.functional.softmax"),
    *(
        ParityCase(f"{op}-axis{dim}", f"ops.{op}", images_of_logits, {"dim": dim}, reference=f"torch.nn.functional.{op}")
        for op in ("softmax", "log_softmax")
        for dim in range(4)
    ),
    ParityCase("Softmax", "layers.Softmax", images_of_logits, {"dim": 1}, reference="torch.nn.Softmax"),
    ParityCase("log_softmax", "ops.log_softmax", rows_of_logits, {"dim": -1}, reference="torch.nn.functional.log_softmax"),
    ParityCase("LogSoftmax", "layers.LogSoftmax", images_of_logits, {"dim": 1}, reference="torch.nn.LogSoftmax"),
]


def of_size(*shape: int) -> Inputs:
    """Return a draw of numbers of scale 3."""
    return lambda draw: {"x": draw.normal(*shape, scale=3)}


def near(*centres: float, nearest: int = 40) -> Inputs:
    """Return a draw of numbers at distances of 2^0 to 2^-nearest from each centre, on both sides, and of 0."""
    steps = 2.0 ** -np.arange(nearest + 1)
    x = np.concatenate([[0.0, 0.0], *(centre + sign * steps for centre in centres for sign in (1, -1))])
    return lambda draw: {"x": float32_representable(draw.rng.permutation(x))}


CASES += [
    case
    for op, layer, config in OPS
    for suffix in ["-tanh" if config.get("approximate") == "tanh" else ""]
    for size, inputs in (("near-0", near(0.0)), ("batch-of-one", of_size(1, 3, 5, 2)), ("square", of_size(67, 67)))
    for case in (
        ParityCase(f"{op}{suffix}-{size}", f"ops.{op}", inputs, config, reference=f"torch.nn.functional.{op}"),
        ParityCase(f"{layer}{suffix}-{size}", f"layers.{layer}", inputs, config, reference=f"torch.nn.{layer}"),
    )
]
CASES += [
    ParityCase(f"softplus-{name}", "ops.softplus", inputs, config, reference="torch.nn.functional.softplus")
    for name, inputs, config in (  # nearer to a threshold than a rounding, either side would be right
        ("near-its-threshold", near(6.0, nearest=16), {"beta": 0.5, "threshold": 3.0}),
        ("near-the-default-threshold", near(20.0, nearest=16), {}),
        ("at-its-threshold", near(0.0), {"threshold": 0.0}),
    )
]
CASES += [
    case
    for op, layer in (("softmax", "Softmax"), ("log_softmax", "LogSoftmax"))
    for size, shape, dim in (
        ("one-row", (17,), 0),
        ("batch-of-one", (1, 3, 5), -1),
        ("square", (67, 67), 0),
    )
    for case in (
        ParityCase(f"{op}-{size}", f"ops.{op}", of_size(*shape), {"dim": dim}, reference=f"torch.nn.functional.{op}"),
        ParityCase(f"{layer}-{size}", f"layers.{layer}", of_size(*shape), {"dim": dim}, reference=f"torch.nn.{layer}"),
    )
]
CASES += [
    ParityCase(f"{op}-square-images-{dim}", f"ops.{op}", of_size(3, 4, 5, 3), {"dim": dim}, reference=f"torch.nn.functional.{op}")
    for op in ("softmax", "log_softmax")
    for dim in range(4)
]
