"""Transposed convolution, resizing, group and frozen batch normalisation, the Dice loss and the U-Net."""

import math
from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import Inputs, normal
from parity.inputs import Draw
from scratch.module import Array


def transposed(x: tuple[int, ...], weight: tuple[int, ...], bias: int = 0) -> Inputs:
    """Return a draw of images, a kernel (C, O/groups, KH, KW) scaled by its fan-in, and a bias of so many numbers."""

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        scale = (weight[0] * math.prod(weight[2:])) ** -0.5
        inputs = {"x": draw.normal(*x), "weight": draw.normal(*weight, scale=scale)}
        return inputs | {"bias": draw.normal(bias)} if bias else inputs

    return draw_inputs


def grouped(draw: Draw, num_groups: int, *shape: int) -> Array:
    """Draw samples (N, C, ...); two groups of the first sample have a tiny standard deviation and a huge mean."""
    N, C = shape[:2]
    return draw.rows(N, num_groups, C // num_groups * math.prod(shape[2:])).reshape(shape)


def groups(num_groups: int, *shape: int, affine: bool = True) -> Inputs:
    """Return a draw of samples in groups, and of a scale and shift for each channel."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        return {
            "x": grouped(draw, num_groups, *shape),
            "weight": draw.normal(shape[1], scale=0.5, offset=1) if affine else None,
            "bias": draw.normal(shape[1]) if affine else None,
        }

    return draw_inputs


def with_statistics(*shape: int) -> Inputs:
    """Return a draw of samples, and of the parameters and running statistics of their channels."""

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        C = shape[1]
        return {
            "x": draw.normal(*shape, scale=1.5, offset=0.5),
            "weight": draw.normal(C, scale=0.5, offset=1),
            "bias": draw.normal(C),
            "running_mean": draw.normal(C),
            "running_var": draw.positive(C) * np.where(np.arange(C) == 1, 2.0**-17, 1.0),  # the second is near eps
        }

    return draw_inputs


def labelled(*shape: int) -> Inputs:
    """Return a draw of class probabilities and labels for each pixel; no label names the last class."""
    return lambda draw: {
        "input": draw.probabilities(*shape),
        "target": draw.integers(0, shape[1] - 1, shape[0], *shape[2:]),
    }


def soft_labels(*shape: int) -> Inputs:
    """Return a draw of class probabilities, with probabilities as targets."""
    return lambda draw: {"input": draw.probabilities(*shape), "target": draw.probabilities(*shape)}


def one_class(draw: Draw) -> dict[str, Array]:
    """Draw probabilities of a single class, with targets from 0 to 1, some of them exactly 0 or 1."""
    return {"input": draw.fractions(3, 1, 5, 4), "target": draw.fractions(3, 1, 5, 4)}


TRANSPOSED: list[tuple[str, Inputs, dict[str, Any]]] = [
    ("plain", transposed((3, 5, 4, 6), (5, 7, 3, 2), bias=7), {}),
    ("no-bias", transposed((3, 5, 4, 6), (5, 7, 3, 2)), {}),
    ("doubling", transposed((3, 5, 4, 6), (5, 7, 2, 2), bias=7), {"stride": 2}),
    ("padded", transposed((3, 5, 4, 6), (5, 7, 3, 3), bias=7), {"padding": 1}),
    ("strided", transposed((3, 5, 4, 6), (5, 7, 3, 4), bias=7), {"stride": (2, 3), "padding": (1, 2)}),
    ("gaps", transposed((3, 5, 4, 6), (5, 7, 2, 1), bias=7), {"stride": (3, 2)}),
    (
        "output-padding",
        transposed((3, 5, 4, 6), (5, 7, 3, 2), bias=7),
        {"stride": (2, 3), "padding": (1, 0), "output_padding": (1, 2)},
    ),
    ("output-padding-seen", transposed((3, 5, 4, 6), (5, 7, 3, 3), bias=7), {"stride": 2, "padding": 2, "output_padding": 1}),
    ("dilated", transposed((3, 5, 4, 6), (5, 7, 3, 2), bias=7), {"stride": (2, 1), "padding": (2, 1), "dilation": (2, 3)}),
    (
        "dilated-output-padding",
        transposed((3, 5, 4, 6), (5, 7, 3, 2), bias=7),
        {"padding": (2, 1), "output_padding": (1, 2), "dilation": (2, 3)},
    ),
    (
        "groups",
        transposed((3, 6, 4, 5), (6, 3, 3, 2), bias=9),
        {"stride": (1, 2), "padding": (0, 1), "output_padding": (0, 1), "groups": 3, "dilation": (2, 1)},
    ),
    (
        "depthwise",
        transposed((3, 5, 4, 6), (5, 2, 3, 3), bias=10),
        {"stride": 2, "padding": 1, "output_padding": (0, 1), "groups": 5},
    ),
    ("1x1", transposed((3, 5, 4, 6), (5, 7, 1, 1), bias=7), {}),
    ("1x1-strided", transposed((3, 5, 4, 6), (5, 7, 1, 1), bias=7), {"stride": 2, "output_padding": 1}),
    ("one-pixel", transposed((3, 5, 1, 1), (5, 7, 3, 2), bias=7), {"stride": 2}),
    (
        "one-image-even-kernel",
        transposed((1, 5, 4, 6), (5, 7, 4, 2), bias=7),
        {"stride": (3, 2), "padding": (2, 1), "output_padding": (2, 1)},
    ),
    ("many-channels", transposed((3, 33, 7, 9), (33, 35, 3, 3), bias=35), {"padding": 1}),
]

RESIZED: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("nearest", (3, 5, 4, 6), {"scale_factor": 2}),
    ("nearest-enlarging", (3, 5, 4, 7), {"size": (7, 19)}),
    ("nearest-shrinking", (3, 5, 9, 11), {"size": (4, 3)}),
    ("nearest-factors", (3, 5, 5, 7), {"scale_factor": (1.5, 0.7)}),
    ("nearest-rounded", (3, 2, 14, 26), {"size": (46, 22)}),  # 23 x 14 / 46 is 7, but less than 7 in float32
    ("nearest-from-one", (3, 5, 1, 4), {"size": (3, 1)}),
    *(
        (f"bilinear{suffix}-{name}", shape, {"mode": "bilinear", "align_corners": corners, **config})
        for suffix, corners in (("", False), ("-corners", True))
        for name, shape, config in (
            ("doubling", (3, 5, 4, 6), {"scale_factor": 2}),
            ("enlarging", (3, 5, 4, 7), {"size": (9, 18)}),
            ("shrinking", (3, 5, 9, 11), {"size": (4, 3)}),
            ("factors", (3, 5, 5, 7), {"scale_factor": (1.5, 0.7)}),
            ("from-one", (3, 5, 1, 4), {"size": (3, 1)}),
            ("as-it-is", (3, 5, 4, 6), {"scale_factor": (1.2, 2.4)}),
        )
    ),
]

GROUPED: list[tuple[str, Inputs, dict[str, Any]]] = [
    ("images", groups(3, 3, 6, 5, 4), {"num_groups": 3}),
    ("one-group", groups(1, 3, 6, 5, 4), {"num_groups": 1, "eps": 1e-3}),
    ("each-channel", groups(6, 3, 6, 5, 4), {"num_groups": 6}),
    ("sequences", groups(2, 3, 6, 13), {"num_groups": 2}),
    ("rows", groups(2, 4, 14), {"num_groups": 2}),
    ("plain", groups(3, 3, 6, 5, 4, affine=False), {"num_groups": 3}),
]

LAYERS: list[tuple[str, Inputs, dict[str, Any]]] = [
    (
        "ConvTranspose2d",
        normal(3, 6, 4, 5),
        {
            "in_channels": 6,
            "out_channels": 9,
            "kernel_size": (3, 2),
            "stride": (1, 2),
            "padding": 1,
            "output_padding": (0, 1),
            "groups": 3,
            "dilation": (2, 1),
        },
    ),
    (
        "ConvTranspose2d-no-bias",
        normal(3, 5, 4, 6),
        {"in_channels": 5, "out_channels": 7, "kernel_size": 2, "stride": 2, "bias": False},
    ),
    (
        "ConvTranspose2d-even-kernel",
        normal(1, 6, 4, 5),
        {
            "in_channels": 6,
            "out_channels": 9,
            "kernel_size": (4, 2),
            "padding": (2, 1),
            "groups": 3,
            "bias": False,
            "dilation": (1, 2),
        },
    ),
    ("Upsample", normal(3, 5, 4, 7), {"scale_factor": 3}),
    ("Upsample-bilinear", normal(3, 5, 4, 7), {"scale_factor": (2, 1.6), "mode": "bilinear"}),
    ("Upsample-corners", normal(3, 5, 4, 7), {"size": (9, 5), "mode": "bilinear", "align_corners": True}),
    (
        "GroupNorm",
        lambda draw: {"x": grouped(draw, 3, 3, 6, 5, 4)},
        {"num_groups": 3, "num_channels": 6, "eps": 1e-3},
    ),
    (
        "GroupNorm-plain",
        lambda draw: {"x": grouped(draw, 2, 3, 6, 13)},
        {"num_groups": 2, "num_channels": 6, "affine": False},
    ),
    (
        "GroupNorm-plain-eps",
        lambda draw: {"x": grouped(draw, 3, 1, 6, 5, 4)},
        {"num_groups": 3, "num_channels": 6, "affine": False, "eps": 1e-3},
    ),
]

# These are small, because each ReLU whose input is near 0 may change sides by a rounding, and large models have many.
UNETS: list[tuple[str, tuple[int, int], dict[str, Any]]] = [
    ("unet", (9, 11), {"depth": 2}),
    ("unet-even", (8, 12), {"depth": 2}),
    ("unet-deep", (11, 13), {"depth": 3}),
    ("unet-bilinear", (9, 11), {"depth": 2, "up": "bilinear"}),
]

CASES = [
    *(
        ParityCase(
            f"conv_transpose2d-{name}", "ops.conv_transpose2d", inputs, config, reference="torch.nn.functional.conv_transpose2d"
        )
        for name, inputs, config in TRANSPOSED
    ),
    *(
        ParityCase(f"interpolate-{name}", "ops.interpolate", normal(*shape), config, reference="torch.nn.functional.interpolate")
        for name, shape, config in RESIZED
    ),
    *(ParityCase(f"group_norm-{name}", "ops.group_norm", inputs, config) for name, inputs, config in GROUPED),
    *(
        ParityCase(
            f"frozen_batch_norm-{name}",
            "ops.frozen_batch_norm",
            with_statistics(*shape),
            config,
            constants=("weight", "bias", "running_mean", "running_var"),
        )
        for name, shape, config in (("images", (3, 5, 7, 4), {}), ("rows", (13, 5), {"eps": 1e-3}))
    ),
    *(
        ParityCase(f"dice_loss-{name}", "ops.dice_loss", inputs, config)
        for name, inputs, config in (
            ("labels", labelled(3, 7, 5, 4), {}),
            ("shares", soft_labels(3, 7, 5, 4), {"smooth": 0.25}),
            ("rows", labelled(13, 7), {}),
            ("as-in-the-paper", one_class, {"smooth": 0.0}),
        )
    ),
    *(
        ParityCase(name, f"layers.{name.split('-')[0]}", inputs, config, reference=f"torch.nn.{name.split('-')[0]}")
        for name, inputs, config in LAYERS
    ),
    ParityCase("FrozenBatchNorm2d-default", "layers.FrozenBatchNorm2d", normal(1, 5, 7, 4), {"num_features": 5}),
    ParityCase("FrozenBatchNorm2d", "layers.FrozenBatchNorm2d", normal(3, 5, 7, 4), {"num_features": 5, "eps": 1e-3}),
    *(
        ParityCase(name, "models.UNet", normal(3, 3, *size), {"in_channels": 3, "classes": 5, "width": 2} | config)
        for name, size, config in UNETS
    ),
]


def in_groups(num_groups: int, *shape: int) -> Inputs:
    """Return a draw of samples in groups."""
    return lambda draw: {"x": grouped(draw, num_groups, *shape)}


SIZES: list[tuple[str, tuple[int, ...]]] = [("batch-of-one", (1, 3, 5, 5)), ("square-images", (17, 3, 5, 17))]
RESIZINGS: list[tuple[str, dict[str, Any]]] = [
    ("nearest", {"scale_factor": 2}),
    ("bilinear", {"scale_factor": 2, "mode": "bilinear"}),
    ("bilinear-corners", {"size": (4, 7), "mode": "bilinear", "align_corners": True}),
]
CASES += [
    ParityCase(
        f"conv_transpose2d-{size}",
        "ops.conv_transpose2d",
        transposed(shape, kernel, bias=2),
        {"padding": 1},
        reference="torch.nn.functional.conv_transpose2d",
    )
    for size, shape, kernel in (
        ("batch-of-one", (1, 1, 5, 15), (1, 2, 3, 17)),
        ("square-images", (17, 3, 5, 17), (3, 2, 3, 3)),
    )
]
CASES += [
    case
    for size, shape in SIZES
    for case in (
        ParityCase(
            f"conv_transpose2d-{size}-in-groups",
            "ops.conv_transpose2d",
            transposed(shape, (3, 1, 2, 3), bias=3),
            {"groups": 3, "stride": 2},
            reference="torch.nn.functional.conv_transpose2d",
        ),
        ParityCase(
            f"ConvTranspose2d-{size}",
            "layers.ConvTranspose2d",
            normal(*shape),
            {"in_channels": 3, "out_channels": 2, "kernel_size": 2, "stride": 2},
            reference="torch.nn.ConvTranspose2d",
        ),
        *(
            ParityCase(
                f"interpolate-{size}-{mode}", "ops.interpolate", normal(*shape), config, reference="torch.nn.functional.interpolate"
            )
            for mode, config in RESIZINGS
        ),
        *(
            ParityCase(f"Upsample-{size}-{mode}", "layers.Upsample", normal(*shape), config, reference="torch.nn.Upsample")
            for mode, config in RESIZINGS
        ),
        ParityCase(f"FrozenBatchNorm2d-{size}", "layers.FrozenBatchNorm2d", normal(*shape), {"num_features": 3}),
    )
]
CASES += [
    case
    for size, num_groups, shape in (("batch-of-one", 3, (1, 9, 5)), ("square", 3, (66, 66)), ("square-images", 2, (18, 6, 3, 18)))
    for case in (
        ParityCase(f"group_norm-{size}", "ops.group_norm", groups(num_groups, *shape), {"num_groups": num_groups}),
        ParityCase(
            f"GroupNorm-{size}",
            "layers.GroupNorm",
            in_groups(num_groups, *shape),
            {"num_groups": num_groups, "num_channels": shape[1]},
            reference="torch.nn.GroupNorm",
        ),
    )
]
CASES += [
    ParityCase(
        f"frozen_batch_norm-{size}",
        "ops.frozen_batch_norm",
        with_statistics(*shape),
        constants=("weight", "bias", "running_mean", "running_var"),
    )
    for size, shape in (("batch-of-one", (1, 5, 12)), ("square", (67, 67)))
]
CASES += [
    ParityCase(f"dice_loss-{size}", "ops.dice_loss", inputs)
    for size, inputs in (
        ("batch-of-one", labelled(1, 5)),
        ("batch-of-one-shares", soft_labels(1, 3, 5)),
        ("square-images", labelled(18, 2, 13, 18)),
        ("square-images-shares", soft_labels(18, 2, 13, 18)),
    )
]
CASES += [
    ParityCase("unet-batch-of-one", "models.UNet", normal(1, 2, 9, 8), {"in_channels": 2, "classes": 3, "width": 2, "depth": 2}),
    ParityCase(
        "unet-default-depth", "models.UNet", normal(1, 2, 16, 17), {"in_channels": 2, "classes": 3, "width": 1}, training=False
    ),
]
