"""Layer normalisation and RMS normalisation: norms over the last axes of each row."""

from typing import Any

from parity.case import ParityCase
from parity.cases.draws import Inputs
from parity.inputs import Draw

AFTER = ("set_prediction",)


def rows(*leading: int, shape: tuple[int, ...] = (7,), given: tuple[str, ...] = ()) -> Inputs:
    """Return a draw of rows (*leading, *shape) that are hard to normalise, with the parameters that are named."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        parameters = {"weight": draw.normal(*shape, scale=0.5, offset=1.0), "bias": draw.normal(*shape)}
        return {"x": draw.rows(*leading, *shape, axes=len(shape))} | {name: parameters[name] for name in given}

    return draw_inputs


def bias_alone(draw: Draw) -> dict[str, Any]:
    """Draw rows and a bias without a weight."""
    return rows(13)(draw) | {"weight": None, "bias": draw.normal(7)}


def no_weight(draw: Draw) -> dict[str, Any]:
    """Draw rows without a weight."""
    return rows(5, 3)(draw) | {"weight": None}


def similar(*shape: int) -> Inputs:
    """Return a draw of rows of similar size, far larger than the default eps of rms_norm, which is the dtype's rounding."""
    return lambda draw: {"x": draw.normal(*shape, offset=0.5), "weight": draw.normal(shape[-1], scale=0.5, offset=1.0)}


ROW_NORMS = [
    ParityCase(f"{op}{suffix}", f"ops.{op}", inputs, {"normalized_shape": (7,), "eps": 1e-5} | config)
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
        rows(13, given=("weight",)),
        {"normalized_shape": (7,)},
    ),
    ParityCase("layer_norm-bias-alone", "ops.layer_norm", bias_alone, {"normalized_shape": (7,)}),
    ParityCase("layer_norm-one-row", "ops.layer_norm", similar(17), {"normalized_shape": (17,)}),
    ParityCase("layer_norm-one-image", "ops.layer_norm", similar(1, 3, 5, 7), {"normalized_shape": (7,), "eps": 1e-3}),
    ParityCase("rms_norm-one-image", "ops.rms_norm", similar(1, 3, 5, 7), {"normalized_shape": (7,), "eps": 1e-3}),
    ParityCase("rms_norm-default-eps", "ops.rms_norm", similar(5, 3, 7), {"normalized_shape": (7,)}),
]
ROW_NORMS += [
    ParityCase(
        f"{layer}{suffix}", f"layers.{layer}", inputs, {"normalized_shape": 7, "eps": 1e-5} | config, reference=f"torch.nn.{layer}"
    )
    for layer, extra in (("LayerNorm", {"bias": False, "eps": 1e-3}), ("RMSNorm", {"eps": 1e-3}))
    for suffix, inputs, config in (
        ("", rows(5, 3), {}),
        ("-no-bias" if "bias" in extra else "-eps", rows(13), extra),
        ("-two-axes", rows(5, 3, shape=(4, 7)), {"normalized_shape": [4, 7]}),
        ("-plain", rows(5, 3), {"elementwise_affine": False}),
        ("-plain-eps", rows(1, 3, shape=(4, 7)), {"normalized_shape": [4, 7], "elementwise_affine": False, "eps": 1e-3}),
    )
]
ROW_NORMS += [
    ParityCase(
        "RMSNorm-default",
        "layers.RMSNorm",
        lambda draw: {"x": draw.normal(5, 7, offset=0.5)},
        {"normalized_shape": 7},
        reference="torch.nn.RMSNorm",
    ),
    ParityCase("rms_norm-no-weight", "ops.rms_norm", no_weight, {"normalized_shape": (7,), "eps": 1e-3}),
]

CASES = ROW_NORMS


def without_parameters(*shape: int) -> Inputs:
    """Return a draw of rows of similar size."""
    return lambda draw: {"x": draw.normal(*shape, offset=0.5)}


CASES += [
    case
    for size, shape in (("row-of-18", (18,)), ("batch-of-one", (1, 2, 3, 7)), ("square", (67, 67)))
    for op, layer in (("layer_norm", "LayerNorm"), ("rms_norm", "RMSNorm"))
    for case in (
        ParityCase(f"{op}-{size}", f"ops.{op}", similar(*shape), {"normalized_shape": shape[-1:]}),
        ParityCase(
            f"{layer}-{size}",
            f"layers.{layer}",
            without_parameters(*shape),
            {"normalized_shape": shape[-1]},
            reference=f"torch.nn.{layer}",
        ),
    )
]
