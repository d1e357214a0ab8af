"""Linear maps, dropout, flattening and the multilayer perceptron."""

from parity.case import ParityCase
from parity.cases.draws import Inputs, normal
from parity.inputs import Draw
from scratch.module import Array


def affine(*leading: int, bias: bool = True) -> Inputs:
    """Return a draw of an input (*leading, 7), a weight (11, 7) and, if asked for, a bias."""

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        inputs = {"x": draw.normal(*leading, 7), "weight": draw.normal(11, 7), "bias": draw.normal(11)}
        return inputs if bias else {name: inputs[name] for name in ("x", "weight")}

    return draw_inputs


def masked(draw: Draw) -> dict[str, Array]:
    """Draw an input and a dropout mask."""
    return {"x": draw.normal(5, 7, 3), "keep": draw.booleans(5, 7, 3)}


CASES = [
    ParityCase("linear", "ops.linear", affine(5), reference="torch.nn.functional.linear"),
    ParityCase("linear-three-axes", "ops.linear", affine(3, 13), reference="torch.nn.functional.linear"),
    ParityCase("linear-one-row", "ops.linear", affine(), reference="torch.nn.functional.linear"),
    ParityCase("linear-one-sequence", "ops.linear", affine(1, 13), reference="torch.nn.functional.linear"),
    ParityCase("linear-four-axes", "ops.linear", affine(3, 1, 2, 5, bias=False), reference="torch.nn.functional.linear"),
    ParityCase("linear-no-bias", "ops.linear", affine(5, bias=False), reference="torch.nn.functional.linear"),
    ParityCase("Linear", "layers.Linear", normal(3, 13, 7), {"in_features": 7, "out_features": 11}, reference="torch.nn.Linear"),
    ParityCase(
        "Linear-no-bias",
        "layers.Linear",
        normal(5, 7),
        {"in_features": 7, "out_features": 11, "bias": False},
        reference="torch.nn.Linear",
    ),
    ParityCase("flatten", "ops.flatten", normal(3, 5, 2, 7), {"start_dim": 1}, reference="torch.flatten"),
    ParityCase("flatten-middle", "ops.flatten", normal(3, 5, 2, 7), {"start_dim": -3, "end_dim": 2}, reference="torch.flatten"),
    ParityCase("Flatten", "layers.Flatten", normal(3, 5, 2, 7), reference="torch.nn.Flatten"),
    ParityCase(
        "Flatten-middle", "layers.Flatten", normal(3, 5, 2, 7), {"start_dim": -3, "end_dim": 2}, reference="torch.nn.Flatten"
    ),
    ParityCase(
        "dropout",
        "ops.dropout",
        masked,
        {"p": 0.3},
    ),
    ParityCase("Dropout", "layers.Dropout", normal(5, 7, 3), {"p": 0.3}, reference="torch.nn.Dropout"),
    ParityCase("Dropout-default", "layers.Dropout", normal(5, 7, 3), reference="torch.nn.Dropout"),
    ParityCase("Dropout-all", "layers.Dropout", normal(5, 7, 3), {"p": 1.0}, reference="torch.nn.Dropout"),
    ParityCase("mlp", "models.MLP", normal(13, 17), {"in_features": 17, "hidden": [11, 9], "out_features": 7}),
    ParityCase("mlp-linear", "models.MLP", normal(13, 17), {"in_features": 17, "hidden": [], "out_features": 7}),
    ParityCase(
        "mlp-deep",
        "models.MLP",
        normal(13, 17),
        {"in_features": 17, "hidden": [11, 9, 12, 10, 8, 14], "out_features": 7, "activation": "tanh"},
    ),
    ParityCase(
        "mlp-dropout-batch-norm",
        "models.MLP",
        normal(13, 17),
        {"in_features": 17, "hidden": [11, 9], "out_features": 7, "activation": "gelu", "dropout": 0.3, "batch_norm": True},
    ),
]


def mapped(out: int, *shape: int) -> Inputs:
    """Return a draw of an input of this shape, a weight to `out` features and a bias."""
    return lambda draw: {
        "x": draw.normal(*shape),
        "weight": draw.normal(out, shape[-1], scale=shape[-1] ** -0.5),
        "bias": draw.normal(out),
    }


def dropped(*shape: int) -> Inputs:
    """Return a draw of an input of this shape and a dropout mask."""
    return lambda draw: {"x": draw.normal(*shape), "keep": draw.booleans(*shape)}


CASES += [
    case
    for size, shape in (("one-row", (6,)), ("batch-of-one", (1, 2, 3, 5)), ("square", (67, 67)))
    for case in (
        ParityCase(f"linear-of-{size}", "ops.linear", mapped(4, *shape), reference="torch.nn.functional.linear"),
        ParityCase(
            f"Linear-{size}",
            "layers.Linear",
            normal(*shape),
            {"in_features": shape[-1], "out_features": 4},
            reference="torch.nn.Linear",
        ),
        ParityCase(f"dropout-{size}", "ops.dropout", dropped(*shape), {"p": 0.6}),
        ParityCase(f"Dropout-{size}", "layers.Dropout", normal(*shape), reference="torch.nn.Dropout"),
    )
]
CASES += [
    case
    for size, shape in (("batch-of-one", (1, 3, 5)), ("square", (17, 2, 8, 17)))
    for case in (
        ParityCase(f"flatten-{size}", "ops.flatten", normal(*shape), {"start_dim": 1, "end_dim": 2}, reference="torch.flatten"),
        ParityCase(f"Flatten-{size}", "layers.Flatten", normal(*shape), reference="torch.nn.Flatten"),
    )
]
CASES += [
    ParityCase(f"mlp-{size}", "models.MLP", normal(*shape), {"in_features": shape[-1], "hidden": [6], "out_features": 3})
    for size, shape in (("batch-of-one", (1, 4)), ("square", (67, 67)))
]
