"""Affine maps, dropout, reshaping and the multilayer perceptron."""

from collections.abc import Callable
from typing import Any

from parity.case import ParityCase
from parity.inputs import Draw
from scratch.module import Array

Inputs = Callable[[Draw], dict[str, Any]]


def affine(*leading: int, bias: bool = True) -> Inputs:
    """An input (*leading, 7) with a weight (11, 7) and perhaps a bias."""

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        inputs = {"x": draw.normal(*leading, 7), "weight": draw.normal(11, 7), "bias": draw.normal(11)}
        return inputs if bias else {name: inputs[name] for name in ("x", "weight")}

    return draw_inputs


def normal(*shape: int) -> Inputs:
    """One input of normal numbers."""
    return lambda draw: {"x": draw.normal(*shape)}


CASES = [
    ParityCase("linear", "ops.linear", "torch.nn.functional.linear", affine(5)),
    ParityCase("linear-three-axes", "ops.linear", "torch.nn.functional.linear", affine(3, 13)),
    ParityCase("linear-one-row", "ops.linear", "torch.nn.functional.linear", affine()),
    ParityCase("linear-no-bias", "ops.linear", "torch.nn.functional.linear", affine(5, bias=False)),
    ParityCase("Linear", "layers.Linear", "torch.nn.Linear", normal(3, 13, 7), {"in_features": 7, "out_features": 11}),
    ParityCase(
        "Linear-no-bias", "layers.Linear", "torch.nn.Linear", normal(5, 7), {"in_features": 7, "out_features": 11, "bias": False}
    ),
    ParityCase("flatten", "ops.flatten", "torch.flatten", normal(3, 5, 2, 7), {"start_dim": 1}),
    ParityCase("flatten-middle", "ops.flatten", "torch.flatten", normal(3, 5, 2, 7), {"start_dim": -3, "end_dim": 2}),
    ParityCase("Flatten", "layers.Flatten", "torch.nn.Flatten", normal(3, 5, 2, 7)),
    ParityCase(
        "dropout",
        "ops.dropout",
        "functional.dropout",
        lambda draw: {"x": draw.normal(5, 7, 3), "keep": draw.booleans(5, 7, 3)},
        {"p": 0.3},
    ),
    ParityCase("Dropout", "layers.Dropout", "torch.nn.Dropout", normal(5, 7, 3), {"p": 0.3}),
    ParityCase("Dropout-all", "layers.Dropout", "torch.nn.Dropout", normal(5, 7, 3), {"p": 1.0}),
    ParityCase("mlp", "models.MLP", "models.MLP", normal(13, 17), {"in_features": 17, "hidden": [11, 9], "out_features": 7}),
    ParityCase("mlp-linear", "models.MLP", "models.MLP", normal(13, 17), {"in_features": 17, "hidden": [], "out_features": 7}),
    ParityCase(
        "mlp-deep",
        "models.MLP",
        "models.MLP",
        normal(13, 17),
        {"in_features": 17, "hidden": [11, 9, 12, 10, 8, 14], "out_features": 7, "activation": "tanh"},
    ),
    ParityCase(
        "mlp-dropout-batch-norm",
        "models.MLP",
        "models.MLP",
        normal(13, 17),
        {"in_features": 17, "hidden": [11, 9], "out_features": 7, "activation": "gelu", "dropout": 0.3, "batch_norm": True},
    ),
]
