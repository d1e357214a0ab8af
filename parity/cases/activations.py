"""Activations and softmax, as ops and as layers."""

from typing import Any

from parity.case import ParityCase
from parity.inputs import Draw
from scratch.module import Array


def kinked(draw: Draw) -> dict[str, Array]:
    """Numbers at scale 2.5, one row of small whole numbers (exact zeros), one row far out on both sides."""
    x = draw.normal(5, 7, 3, scale=2.5)
    x[1] = draw.grid(7, 3)
    x[2] = draw.normal(7, 3, scale=60)
    x[2, 0] = 100, -110, 0.5  # where exp overflows and vanishes in float32
    return {"x": x}


def rows_of_logits(draw: Draw) -> dict[str, Array]:
    """Rows at +200 and -300 and one that spreads over 100."""
    return {"x": draw.logits(5, 11)}


def images_of_logits(draw: Draw) -> dict[str, Array]:
    """Logits whose classes lie along the second of four axes."""
    return {"x": draw.logits(5 * 3 * 2, 7).reshape(5, 3, 2, 7).transpose(0, 3, 1, 2).copy()}


OPS: list[tuple[str, str, dict[str, Any]]] = [
    ("relu", "ReLU", {}),
    ("leaky_relu", "LeakyReLU", {"negative_slope": 0.03}),
    ("sigmoid", "Sigmoid", {}),
    ("tanh", "Tanh", {}),
    ("gelu", "GELU", {"approximate": "none"}),
    ("gelu", "GELU", {"approximate": "tanh"}),
    ("silu", "SiLU", {}),
]

CASES = [
    case
    for op, layer, config in OPS
    for suffix in ["-tanh" if config.get("approximate") == "tanh" else ""]
    for case in (
        ParityCase(f"{op}{suffix}", f"ops.{op}", f"torch.nn.functional.{op}", kinked, config),
        ParityCase(f"{layer}{suffix}", f"layers.{layer}", f"torch.nn.{layer}", kinked, config),
    )
]
CASES += [
    ParityCase("leaky_relu-default", "ops.leaky_relu", "torch.nn.functional.leaky_relu", kinked),
    ParityCase("softmax", "ops.softmax", "torch.nn.functional.softmax", rows_of_logits, {"dim": -1}),
    ParityCase("softmax-axis1", "ops.softmax", "torch.nn.functional.softmax", images_of_logits, {"dim": 1}),
    ParityCase("Softmax", "layers.Softmax", "torch.nn.Softmax", images_of_logits, {"dim": 1}),
    ParityCase("log_softmax", "ops.log_softmax", "torch.nn.functional.log_softmax", rows_of_logits, {"dim": -1}),
    ParityCase("log_softmax-axis1", "ops.log_softmax", "torch.nn.functional.log_softmax", images_of_logits, {"dim": 1}),
    ParityCase("LogSoftmax", "layers.LogSoftmax", "torch.nn.LogSoftmax", images_of_logits, {"dim": 1}),
]
