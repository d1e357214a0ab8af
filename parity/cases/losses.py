"""Losses, as ops and as layers."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.inputs import Draw
from scratch.module import Array

Inputs = Callable[[Draw], dict[str, Any]]
REDUCTIONS = ("mean", "sum", "none")
IGNORED = 3  # a label within the classes' range, so that ignoring it is seen


def labels(draw: Draw, *shape: int) -> Array:
    """Labels of 7 classes, the first of them the ignored one."""
    target = draw.integers(0, 7, *shape)
    target.reshape(-1)[0] = IGNORED
    return target


def classes(weight: bool = False) -> Inputs:
    """Rows of 7 logits with labels."""

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        inputs = {"input": draw.logits(13, 7), "target": labels(draw, 13)}
        return inputs | {"weight": draw.positive(7)} if weight else inputs

    return draw_inputs


def pixels(draw: Draw) -> dict[str, Array]:
    """Images of 7 logits with labels for every pixel, and class weights."""
    logits = draw.logits(3 * 5 * 2, 7).reshape(3, 5, 2, 7).transpose(0, 3, 1, 2).copy()
    return {"input": logits, "target": labels(draw, 3, 5, 2), "weight": draw.positive(7)}


def one_sample(draw: Draw) -> dict[str, Array]:
    """Seven logits and one label."""
    return {"input": draw.normal(7), "target": draw.integers(0, 7)}


def all_ignored(draw: Draw) -> dict[str, Array]:
    """Rows of logits of which none has a label that counts: the mean is nan, its gradient zero."""
    return {"input": draw.normal(5, 7), "target": np.full(5, IGNORED)}


def soft(*rest: int) -> Inputs:
    """Logits with probabilities as targets, and class weights."""
    return lambda draw: {
        "input": draw.normal(5, 7, *rest, scale=3),
        "target": draw.probabilities(5, 7, *rest),
        "weight": draw.positive(7),
    }


def log_probabilities(draw: Draw) -> dict[str, Array]:
    """Rows of numbers where log-probabilities would stand; any will do."""
    return {"input": draw.normal(13, 7, scale=3), "target": labels(draw, 13), "weight": draw.positive(7)}


def ignored_by_default(draw: Draw) -> dict[str, Array]:
    """Rows of numbers with labels, some of them the one that is ignored where nothing is said."""
    target = labels(draw, 13)
    return {"input": draw.normal(13, 7, scale=3), "target": np.where(target == IGNORED, -100, target)}


def numbers(draw: Draw) -> dict[str, Array]:
    """Numbers with targets at distances on either side of 1, one of them 0."""
    x, target = draw.normal(5, 7, 3, scale=1.5), draw.normal(5, 7, 3)
    target[0, 0] = x[0, 0]
    return {"input": x, "target": target}


def binary(*given: str) -> Inputs:
    """Logits, some far out, with targets between 0 and 1 and perhaps weights."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        x = draw.normal(5, 7, scale=3)
        x[0, 0], x[0, 1] = 200, -300
        weights = {"weight": draw.positive(5, 1), "pos_weight": draw.positive(7)}
        return {"input": x, "target": draw.fractions(5, 7)} | {name: w if name in given else None for name, w in weights.items()}

    return draw_inputs


def reductions(
    name: str,
    scratch: str,
    reference: str,
    inputs: Inputs,
    config: Mapping[str, Any] | None = None,
    constants: tuple[str, ...] = (),
) -> list[ParityCase]:
    """A case for each reduction."""
    return [
        ParityCase(
            f"{name}-{reduction}", scratch, reference, inputs, {**(config or {}), "reduction": reduction}, constants=constants
        )
        for reduction in REDUCTIONS
    ]


F = "torch.nn.functional"
WEIGHT = ("weight",)
HARD = {"ignore_index": IGNORED, "label_smoothing": 0.1}
CLASS_WEIGHT = np.array([0.5, 1.25, 2.0, 0.75, 1.5, 0.625, 1.0], dtype=np.float32)

CASES = [
    *reductions("cross_entropy", "ops.cross_entropy", f"{F}.cross_entropy", classes()),
    *reductions("cross_entropy-weighted", "ops.cross_entropy", f"{F}.cross_entropy", classes(weight=True), HARD, constants=WEIGHT),
    *reductions("cross_entropy-pixels", "ops.cross_entropy", f"{F}.cross_entropy", pixels, HARD, constants=WEIGHT),
    *reductions(
        "cross_entropy-soft", "ops.cross_entropy", f"{F}.cross_entropy", soft(), {"label_smoothing": 0.1}, constants=WEIGHT
    ),
    *reductions("cross_entropy-soft-pixels", "ops.cross_entropy", f"{F}.cross_entropy", soft(3, 2), constants=WEIGHT),
    ParityCase("cross_entropy-one-sample", "ops.cross_entropy", f"{F}.cross_entropy", one_sample, {"label_smoothing": 0.1}),
    ParityCase("cross_entropy-nothing-counted", "ops.cross_entropy", f"{F}.cross_entropy", all_ignored, {"ignore_index": IGNORED}),
    *reductions("nll_loss", "ops.nll_loss", f"{F}.nll_loss", log_probabilities, {"ignore_index": IGNORED}, constants=WEIGHT),
    ParityCase(
        "nll_loss-unweighted",
        "ops.nll_loss",
        f"{F}.nll_loss",
        ignored_by_default,
    ),
    *reductions("mse_loss", "ops.mse_loss", f"{F}.mse_loss", numbers),
    *reductions("l1_loss", "ops.l1_loss", f"{F}.l1_loss", numbers),
    *reductions("smooth_l1_loss", "ops.smooth_l1_loss", f"{F}.smooth_l1_loss", numbers),
    ParityCase("smooth_l1_loss-beta", "ops.smooth_l1_loss", f"{F}.smooth_l1_loss", numbers, {"beta": 0.7}),
    *(
        case
        for suffix, given in (("", ()), ("-weighted", ("weight", "pos_weight")))
        for case in reductions(
            f"binary_cross_entropy_with_logits{suffix}",
            "ops.binary_cross_entropy_with_logits",
            "functional.binary_cross_entropy_with_logits",
            binary(*given),
            constants=("weight", "pos_weight"),
        )
    ),
    ParityCase(
        "CrossEntropyLoss", "layers.CrossEntropyLoss", "torch.nn.CrossEntropyLoss", classes(), {"weight": CLASS_WEIGHT} | HARD
    ),
    ParityCase("NLLLoss", "layers.NLLLoss", "torch.nn.NLLLoss", classes(), {"weight": CLASS_WEIGHT, "ignore_index": IGNORED}),
    ParityCase("CrossEntropyLoss-plain", "layers.CrossEntropyLoss", "torch.nn.CrossEntropyLoss", classes()),
    ParityCase("NLLLoss-plain", "layers.NLLLoss", "torch.nn.NLLLoss", classes()),
    ParityCase("MSELoss", "layers.MSELoss", "torch.nn.MSELoss", numbers),
    ParityCase("L1Loss", "layers.L1Loss", "torch.nn.L1Loss", numbers, {"reduction": "sum"}),
    ParityCase("SmoothL1Loss", "layers.SmoothL1Loss", "torch.nn.SmoothL1Loss", numbers, {"beta": 0.7}),
    ParityCase(
        "BCEWithLogitsLoss",
        "layers.BCEWithLogitsLoss",
        "torch.nn.BCEWithLogitsLoss",
        lambda draw: {name: binary()(draw)[name] for name in ("input", "target")},
        {"weight": CLASS_WEIGHT, "pos_weight": CLASS_WEIGHT[::-1].copy()},
    ),
    ParityCase(
        "BCEWithLogitsLoss-plain",
        "layers.BCEWithLogitsLoss",
        "torch.nn.BCEWithLogitsLoss",
        lambda draw: {name: binary()(draw)[name] for name in ("input", "target")},
    ),
]
