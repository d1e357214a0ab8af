"""Losses, as ops and as layers."""

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import Inputs, binary, binary_without_weights
from parity.inputs import Draw, float32_representable
from scratch.module import Array

IGNORED = 3  # the label of a class, so that it matters whether it is ignored


def labels(draw: Draw, *shape: int) -> Array:
    """Draw labels of 7 classes; the first is the ignored label."""
    target = draw.integers(0, 7, *shape)
    target.reshape(-1)[0] = IGNORED
    return target


def classes(weight: bool = False) -> Inputs:
    """Return a draw of rows of 7 logits with labels, and, if asked for, class weights."""

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        inputs = {"input": draw.logits(13, 7), "target": labels(draw, 13)}
        return inputs | {"weight": draw.positive(7)} if weight else inputs

    return draw_inputs


def pixels(draw: Draw) -> dict[str, Array]:
    """Draw 7 logits and a label for each pixel, and class weights."""
    logits = draw.logits(3 * 5 * 2, 7).reshape(3, 5, 2, 7).transpose(0, 3, 1, 2).copy()
    return {"input": logits, "target": labels(draw, 3, 5, 2), "weight": draw.positive(7)}


def one_sample(draw: Draw) -> dict[str, Array]:
    """Draw 7 logits and one label, without a batch axis."""
    return {"input": draw.normal(7), "target": draw.integers(0, 7)}


def all_ignored(draw: Draw) -> dict[str, Array]:
    """Draw logits whose labels are all ignored: the mean is NaN and its gradient zero."""
    return {"input": draw.normal(5, 7), "target": np.full(5, IGNORED)}


def soft(*rest: int) -> Inputs:
    """Return a draw of logits with probabilities as targets, and class weights."""
    return lambda draw: {
        "input": draw.normal(5, 7, *rest, scale=3),
        "target": draw.probabilities(5, 7, *rest),
        "weight": draw.positive(7),
    }


def one_row(draw: Draw) -> dict[str, Array]:
    """Draw 7 logits, one label that counts, and class weights."""
    return {"input": draw.normal(1, 7, scale=3), "target": np.full(1, IGNORED + 1), "weight": draw.positive(7)}


def labels_of_8_bits(draw: Draw) -> dict[str, Array]:
    """Draw numbers, class weights, and labels in the smallest dtype that torch takes."""
    inputs = log_probabilities(draw)
    return inputs | {"target": inputs["target"].astype(np.uint8)}


def log_probabilities(draw: Draw) -> dict[str, Array]:
    """Draw numbers in place of log-probabilities, with labels and class weights; any numbers will do."""
    return {"input": draw.normal(13, 7, scale=3), "target": labels(draw, 13), "weight": draw.positive(7)}


def ignored_by_default(draw: Draw) -> dict[str, Array]:
    """Draw numbers with labels, some of them -100, the default of ignore_index."""
    target = labels(draw, 13)
    return {"input": draw.normal(13, 7, scale=3), "target": np.where(target == IGNORED, -100, target)}


def numbers(draw: Draw) -> dict[str, Array]:
    """Draw numbers and targets at distances below and above 1; one distance is 0."""
    x, target = draw.normal(5, 7, 3, scale=1.5), draw.normal(5, 7, 3)
    target[0, 0] = x[0, 0]
    return {"input": x, "target": target}


F = "torch.nn.functional"
WEIGHT = ("weight",)
HARD = {"ignore_index": IGNORED, "label_smoothing": 0.1}
CLASS_WEIGHT = np.array([0.5, 1.25, 2.0, 0.75, 1.5, 0.625, 1.0], dtype=np.float32)

CASES = [
    *(
        case
        for suffix, inputs, config in (
            ("", classes(), {}),
            ("-weighted", classes(weight=True), HARD),
            ("-pixels", pixels, HARD),
            ("-soft", soft(), {"label_smoothing": 0.1}),
            ("-soft-pixels", soft(3, 2), {}),
        )
        for case in ParityCase(
            f"cross_entropy{suffix}",
            "ops.cross_entropy",
            inputs,
            config,
            reference=f"{F}.cross_entropy",
            constants=WEIGHT,
        ).with_each_reduction()
    ),
    ParityCase(
        "cross_entropy-one-sample", "ops.cross_entropy", one_sample, {"label_smoothing": 0.1}, reference=f"{F}.cross_entropy"
    ),
    ParityCase("cross_entropy-one-row", "ops.cross_entropy", one_row, HARD, reference=f"{F}.cross_entropy", constants=WEIGHT),
    ParityCase(
        "nll_loss-uint8", "ops.nll_loss", labels_of_8_bits, {"ignore_index": IGNORED}, reference=f"{F}.nll_loss", constants=WEIGHT
    ),
    ParityCase(
        "cross_entropy-nothing-counted", "ops.cross_entropy", all_ignored, {"ignore_index": IGNORED}, reference=f"{F}.cross_entropy"
    ),
    *ParityCase(
        "nll_loss", "ops.nll_loss", log_probabilities, {"ignore_index": IGNORED}, reference=f"{F}.nll_loss", constants=WEIGHT
    ).with_each_reduction(),
    ParityCase(
        "nll_loss-unweighted",
        "ops.nll_loss",
        ignored_by_default,
        reference=f"{F}.nll_loss",
    ),
    *(
        case
        for op in ("mse_loss", "l1_loss", "smooth_l1_loss")
        for case in ParityCase(op, f"ops.{op}", numbers, reference=f"{F}.{op}").with_each_reduction()
    ),
    ParityCase("smooth_l1_loss-beta", "ops.smooth_l1_loss", numbers, {"beta": 0.7}, reference=f"{F}.smooth_l1_loss"),
    ParityCase(
        "smooth_l1_loss-beta-0", "ops.smooth_l1_loss", numbers, {"beta": 0.0, "reduction": "sum"}, reference=f"{F}.smooth_l1_loss"
    ),
    *(
        case
        for suffix, given in (("", ()), ("-weighted", ("weight", "pos_weight")))
        for case in ParityCase(
            f"binary_cross_entropy_with_logits{suffix}",
            "ops.binary_cross_entropy_with_logits",
            binary(*given),
            constants=("weight", "pos_weight"),
        ).with_each_reduction()
    ),
    ParityCase(
        "CrossEntropyLoss",
        "layers.CrossEntropyLoss",
        classes(),
        {"weight": CLASS_WEIGHT} | HARD,
        reference="torch.nn.CrossEntropyLoss",
    ),
    ParityCase(
        "NLLLoss", "layers.NLLLoss", classes(), {"weight": CLASS_WEIGHT, "ignore_index": IGNORED}, reference="torch.nn.NLLLoss"
    ),
    ParityCase(
        "CrossEntropyLoss-sum",
        "layers.CrossEntropyLoss",
        classes(),
        {"weight": CLASS_WEIGHT, "reduction": "sum"} | HARD,
        reference="torch.nn.CrossEntropyLoss",
    ),
    ParityCase(
        "NLLLoss-none", "layers.NLLLoss", classes(), {"weight": CLASS_WEIGHT, "reduction": "none"}, reference="torch.nn.NLLLoss"
    ),
    ParityCase("CrossEntropyLoss-plain", "layers.CrossEntropyLoss", classes(), reference="torch.nn.CrossEntropyLoss"),
    ParityCase("NLLLoss-plain", "layers.NLLLoss", classes(), reference="torch.nn.NLLLoss"),
    ParityCase("MSELoss", "layers.MSELoss", numbers, reference="torch.nn.MSELoss"),
    ParityCase("MSELoss-sum", "layers.MSELoss", numbers, {"reduction": "sum"}, reference="torch.nn.MSELoss"),
    ParityCase("L1Loss-default", "layers.L1Loss", numbers, reference="torch.nn.L1Loss"),
    ParityCase("SmoothL1Loss-default", "layers.SmoothL1Loss", numbers, reference="torch.nn.SmoothL1Loss"),
    ParityCase(
        "SmoothL1Loss-none", "layers.SmoothL1Loss", numbers, {"beta": 0.7, "reduction": "none"}, reference="torch.nn.SmoothL1Loss"
    ),
    ParityCase("L1Loss", "layers.L1Loss", numbers, {"reduction": "sum"}, reference="torch.nn.L1Loss"),
    ParityCase("SmoothL1Loss", "layers.SmoothL1Loss", numbers, {"beta": 0.7}, reference="torch.nn.SmoothL1Loss"),
    ParityCase(
        "BCEWithLogitsLoss",
        "layers.BCEWithLogitsLoss",
        binary_without_weights,
        {"weight": CLASS_WEIGHT, "pos_weight": CLASS_WEIGHT[::-1].copy()},
        reference="torch.nn.BCEWithLogitsLoss",
    ),
    ParityCase(
        "BCEWithLogitsLoss-none",
        "layers.BCEWithLogitsLoss",
        binary_without_weights,
        {"pos_weight": CLASS_WEIGHT, "reduction": "none"},
        reference="torch.nn.BCEWithLogitsLoss",
    ),
    ParityCase(
        "BCEWithLogitsLoss-plain",
        "layers.BCEWithLogitsLoss",
        binary_without_weights,
        reference="torch.nn.BCEWithLogitsLoss",
    ),
]


def labelled(*shape: int, class_axis: int = 1) -> Inputs:
    """Return a draw of numbers with a class axis, and of labels for each place."""
    places = shape[:class_axis] + shape[class_axis + 1 :]
    return lambda draw: {
        "input": draw.normal(*shape, scale=3),
        "target": np.asarray(draw.integers(0, shape[class_axis], *places)),
    }


def with_probabilities(*shape: int) -> Inputs:
    """Return a draw of logits, and of probabilities as targets."""
    return lambda draw: {"input": draw.normal(*shape, scale=3), "target": draw.probabilities(*shape)}


def of_size(*shape: int) -> Inputs:
    """Return a draw of numbers and targets."""
    return lambda draw: {"input": draw.normal(*shape, scale=1.5), "target": draw.normal(*shape)}


def soft_targets(*shape: int) -> Inputs:
    """Return a draw of logits, and of targets between 0 and 1."""
    return lambda draw: {"input": draw.normal(*shape, scale=3), "target": draw.fractions(*shape)}


def near(*distances: float) -> Inputs:
    """Return a draw of numbers with targets of 0: near 0 up to 2^-40, and near these distances up to 2^-20, on both sides."""
    steps = 2.0 ** -np.arange(41)
    x = np.concatenate([[0.0], steps, *(distance + sign * steps[:21] for distance in distances for sign in (1, -1))])
    x = float32_representable(np.concatenate([x, -x]))
    return lambda draw: {"input": draw.rng.permutation(x), "target": np.zeros(len(x))}


SIZES = (("one-row", (6,)), ("three-axes", (3, 4, 5)), ("batch-of-one", (1, 2, 3, 5)), ("square", (67, 67)))
CASES += [
    case
    for size, shape in SIZES
    for op, layer in (("cross_entropy", "CrossEntropyLoss"), ("nll_loss", "NLLLoss"))
    for inputs in [labelled(*shape, class_axis=min(len(shape) - 1, 1))]
    for case in (
        ParityCase(f"{op}-of-{size}", f"ops.{op}", inputs, {"reduction": "none"}, reference=f"{F}.{op}"),
        ParityCase(f"{layer}-{size}", f"layers.{layer}", inputs, reference=f"torch.nn.{layer}"),
    )
]
CASES += [
    ParityCase(f"{op}-of-many-places", f"ops.{op}", labelled(66, 3, 66), {"reduction": "none"}, reference=f"{F}.{op}")
    for op in ("cross_entropy", "nll_loss")
]
CASES += [
    ParityCase(
        f"cross_entropy-soft-{size}",
        "ops.cross_entropy",
        inputs,
        {"label_smoothing": 0.2, "reduction": "none"},
        reference=f"{F}.cross_entropy",
    )
    for size, inputs in (("batch-of-one", with_probabilities(1, 6)), ("square", with_probabilities(67, 67)))
]
CASES += [
    case
    for size, shape in SIZES
    for op, layer in (("mse_loss", "MSELoss"), ("l1_loss", "L1Loss"), ("smooth_l1_loss", "SmoothL1Loss"))
    for case in (
        ParityCase(f"{op}-{size}", f"ops.{op}", of_size(*shape), {"reduction": "none"}, reference=f"{F}.{op}"),
        ParityCase(f"{layer}-{size}", f"layers.{layer}", of_size(*shape), reference=f"torch.nn.{layer}"),
    )
]
CASES += [
    case
    for size, shape in SIZES
    for case in (
        ParityCase(
            f"binary_cross_entropy_with_logits-{size}",
            "ops.binary_cross_entropy_with_logits",
            soft_targets(*shape),
            {"reduction": "none"},
            reference=f"{F}.binary_cross_entropy_with_logits",
        ),
        ParityCase(
            f"BCEWithLogitsLoss-{size}", "layers.BCEWithLogitsLoss", soft_targets(*shape), reference="torch.nn.BCEWithLogitsLoss"
        ),
    )
]
CASES += [
    ParityCase(f"{op}-{name}", f"ops.{op}", inputs, config | {"reduction": "none"}, reference=f"{F}.{op}")
    for op, name, inputs, config in (
        ("mse_loss", "near-0", near(), {}),
        ("l1_loss", "near-0", near(), {}),
        ("smooth_l1_loss", "near-beta", near(1.0), {}),
        ("smooth_l1_loss", "near-its-beta", near(0.75), {"beta": 0.75}),
    )
]
