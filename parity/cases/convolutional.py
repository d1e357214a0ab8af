"""Convolution, pooling, batch normalisation and the CNN."""

from typing import Any

from parity.case import ParityCase
from parity.cases.draws import Inputs, normal
from parity.inputs import Draw
from scratch.module import Array


def convolution(x: tuple[int, ...], weight: tuple[int, ...], bias: bool = True) -> Inputs:
    """Return a draw of images, a kernel scaled by its fan-in, and, if asked for, a bias."""

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        _, channels, height, width = weight
        inputs = {"x": draw.normal(*x), "weight": draw.normal(*weight, scale=(channels * height * width) ** -0.5)}
        return inputs | {"bias": draw.normal(weight[0])} if bias else inputs

    return draw_inputs


def ties(*shape: int) -> Inputs:
    """Return a draw of small integers: most pooling windows hold their maximum more than once."""
    return lambda draw: {"x": draw.grid(*shape)}


def negative(*shape: int) -> Inputs:
    """Return a draw of negative images: in their maximum, padding with zeros would show."""
    return lambda draw: {"x": -draw.positive(*shape)}


def normalisation(*shape: int, affine: bool = True, statistics: bool = True) -> Inputs:
    """Return a draw of features with a tiny variance or a large mean, of parameters, and of running statistics."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        C = shape[1]
        return {
            "x": draw.features(*shape),
            "weight": draw.normal(C, scale=0.5, offset=1) if affine else None,
            "bias": draw.normal(C) if affine else None,
            "running_mean": draw.normal(C) if statistics else None,
            "running_var": draw.positive(C) if statistics else None,
        }

    return draw_inputs


STATISTICS = ("running_mean", "running_var")

CONVOLUTIONS: list[tuple[str, Inputs, dict[str, Any]]] = [
    ("plain", convolution((3, 5, 9, 11), (7, 5, 3, 2)), {}),
    ("no-bias", convolution((3, 5, 9, 11), (7, 5, 3, 2), bias=False), {}),
    ("padded", convolution((3, 5, 9, 11), (7, 5, 3, 3)), {"padding": 1}),
    ("strided-exact", convolution((3, 5, 9, 11), (7, 5, 3, 3)), {"stride": 2, "padding": 1}),
    ("strided-remainder", convolution((3, 5, 10, 12), (7, 5, 3, 2)), {"stride": (2, 3), "padding": (1, 0)}),
    ("dilated", convolution((3, 5, 9, 11), (7, 5, 3, 2)), {"dilation": (2, 3), "padding": (2, 1)}),
    ("groups", convolution((3, 6, 9, 11), (9, 2, 3, 2)), {"groups": 3, "stride": (1, 2), "padding": (0, 1), "dilation": (2, 1)}),
    ("depthwise", convolution((3, 5, 9, 11), (10, 1, 3, 3)), {"groups": 5, "padding": 1}),
    ("1x1", convolution((3, 5, 9, 11), (7, 5, 1, 1)), {}),
    ("1x1-strided", convolution((3, 5, 9, 11), (7, 5, 1, 1)), {"stride": 2}),
    ("1x1-padded", convolution((3, 5, 9, 11), (7, 5, 1, 1)), {"padding": (1, 2)}),
    ("one-channel", convolution((3, 1, 13, 11), (7, 1, 5, 3)), {"padding": (2, 1)}),
    ("kernel-is-image", convolution((3, 5, 4, 6), (7, 5, 4, 6)), {}),
    ("narrowing", convolution((3, 9, 9, 11), (4, 9, 3, 2)), {"padding": 1, "dilation": (2, 3)}),
    ("many-channels", convolution((3, 33, 9, 11), (35, 33, 3, 3)), {"padding": 1}),
    ("one-image", convolution((1, 5, 9, 11), (7, 5, 3, 2)), {"stride": 2, "padding": 1}),
    ("even-kernel", convolution((3, 5, 8, 11), (7, 5, 4, 2)), {"stride": (3, 1), "padding": (2, 1)}),
    ("pixels-between", convolution((3, 5, 11, 13), (7, 5, 2, 3)), {"stride": (3, 4)}),
    ("windows-of-padding", convolution((3, 5, 4, 3), (7, 5, 2, 2)), {"padding": (3, 2)}),
    (
        "depthwise-dilated",
        convolution((3, 6, 9, 11), (6, 1, 3, 2), bias=False),
        {"groups": 6, "stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)},
    ),
]

POOLING: list[tuple[str, str, Inputs, dict[str, Any]]] = [
    ("max_pool2d", "2x2", normal(3, 5, 8, 6), {"kernel_size": 2}),
    ("max_pool2d", "odd", normal(3, 5, 9, 7), {"kernel_size": 2}),
    ("max_pool2d", "ties", ties(3, 5, 9, 11), {"kernel_size": (2, 3)}),
    ("max_pool2d", "overlapping-ties", ties(3, 5, 9, 12), {"kernel_size": 3, "stride": (2, 1), "padding": 1}),
    ("max_pool2d", "dilated", ties(3, 5, 11, 12), {"kernel_size": (3, 2), "stride": 2, "padding": (1, 0), "dilation": (2, 3)}),
    ("max_pool2d", "negative", negative(3, 5, 9, 11), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ("max_pool2d", "gaps", normal(3, 5, 11, 12), {"kernel_size": 2, "stride": 3}),
    ("max_pool2d", "one-image", normal(5, 9, 7), {"kernel_size": 2}),
    ("max_pool2d", "even-padded", ties(1, 5, 8, 9), {"kernel_size": (2, 4), "stride": (3, 2), "padding": (1, 2)}),
    ("avg_pool2d", "2x2", normal(3, 5, 9, 6), {"kernel_size": 2}),
    ("avg_pool2d", "overlapping", normal(3, 5, 9, 12), {"kernel_size": (3, 2), "stride": (2, 1), "padding": 1}),
    (
        "avg_pool2d",
        "padding-not-counted",
        normal(3, 5, 9, 12),
        {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
    ),
    (
        "avg_pool2d",
        "even-padded",
        normal(1, 5, 8, 9),
        {"kernel_size": (4, 2), "stride": (3, 1), "padding": (2, 1), "count_include_pad": False},
    ),
    ("adaptive_avg_pool2d", "uneven", normal(3, 5, 9, 11), {"output_size": (4, 3)}),
    ("adaptive_avg_pool2d", "one-image", normal(1, 5, 7, 10), {"output_size": (3, 4)}),
    ("adaptive_avg_pool2d", "global", normal(3, 5, 9, 11), {"output_size": 1}),
    ("adaptive_avg_pool2d", "enlarging", normal(3, 5, 4, 3), {"output_size": (7, 5)}),
]

LAYERS: list[tuple[str, Inputs, dict[str, Any]]] = [
    (
        "Conv2d",
        normal(3, 6, 9, 11),
        {
            "in_channels": 6,
            "out_channels": 9,
            "kernel_size": (3, 2),
            "stride": (1, 2),
            "padding": 1,
            "dilation": (2, 1),
            "groups": 3,
        },
    ),
    ("Conv2d-no-bias", normal(3, 5, 9, 11), {"in_channels": 5, "out_channels": 7, "kernel_size": 3, "bias": False}),
    ("Conv2d-narrowing", normal(3, 7, 9, 11), {"in_channels": 7, "out_channels": 4, "kernel_size": 3, "padding": 1}),
    (
        "Conv2d-no-bias-even-kernel",
        normal(1, 6, 9, 11),
        {"in_channels": 6, "out_channels": 9, "kernel_size": (4, 2), "stride": (3, 1), "padding": (2, 1), "bias": False},
    ),
    ("MaxPool2d-default", normal(1, 5, 11, 12), {"kernel_size": (3, 2)}),
    ("MaxPool2d-dilated", ties(3, 5, 11, 12), {"kernel_size": (3, 2), "stride": 2, "padding": (1, 0), "dilation": (2, 3)}),
    ("AvgPool2d-default", normal(1, 5, 9, 7), {"kernel_size": 3}),
    ("MaxPool2d", ties(3, 5, 9, 11), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ("AvgPool2d", normal(3, 5, 9, 11), {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
    ("AdaptiveAvgPool2d", normal(3, 5, 9, 11), {"output_size": (4, 3)}),
    ("BatchNorm1d", lambda draw: {"x": draw.features(13, 5)}, {"num_features": 5}),
    ("BatchNorm1d-sequences", lambda draw: {"x": draw.features(3, 5, 13)}, {"num_features": 5, "eps": 1e-3, "momentum": 0.3}),
    ("BatchNorm1d-plain", lambda draw: {"x": draw.features(13, 5)}, {"num_features": 5, "affine": False, "momentum": 0.3}),
    (
        "BatchNorm1d-untracked",
        lambda draw: {"x": draw.features(3, 5, 13)},
        {"num_features": 5, "track_running_stats": False, "eps": 1e-3},
    ),
    (
        "BatchNorm2d-plain-momentum",
        lambda draw: {"x": draw.features(3, 5, 7, 4)},
        {"num_features": 5, "affine": False, "momentum": 0.3, "eps": 1e-3},
    ),
    ("BatchNorm2d", lambda draw: {"x": draw.features(3, 5, 7, 4)}, {"num_features": 5}),
    ("BatchNorm2d-averaging", lambda draw: {"x": draw.features(3, 5, 7, 4)}, {"num_features": 5, "momentum": None}),
    ("BatchNorm2d-plain", lambda draw: {"x": draw.features(3, 5, 7, 4)}, {"num_features": 5, "affine": False}),
    (
        "BatchNorm2d-untracked",
        lambda draw: {"x": draw.features(3, 5, 7, 4)},
        {"num_features": 5, "track_running_stats": False, "eps": 1e-3},
    ),
]

CASES = [
    ParityCase(f"conv2d-{name}", "ops.conv2d", inputs, config, reference="torch.nn.functional.conv2d")
    for name, inputs, config in CONVOLUTIONS
]
CASES += [
    ParityCase(f"{op}-{name}", f"ops.{op}", inputs, config, reference=f"torch.nn.functional.{op}")
    for op, name, inputs, config in POOLING
]
CASES += [
    ParityCase(
        f"batch_norm-{name}",
        "ops.batch_norm",
        normalisation(*shape, **present),
        config,
        constants=STATISTICS,
    )
    for name, shape, present, config in (
        ("train", (3, 5, 7, 4), {}, {"training": True, "momentum": 0.3}),
        ("eval", (3, 5, 7, 4), {}, {}),
        ("one-image", (1, 5, 7, 4), {}, {"training": True, "momentum": 0.3, "eps": 1e-3}),
        ("rows", (13, 5), {}, {"training": True, "eps": 1e-3}),
        ("plain", (3, 5, 13), {"affine": False, "statistics": False}, {"training": True}),
    )
]
CASES += [
    ParityCase(name, f"layers.{name.split('-')[0]}", inputs, config, reference=f"torch.nn.{name.split('-')[0]}")
    for name, inputs, config in LAYERS
]
CASES += [
    ParityCase(name, "models.CNN", normal(4, 3, 13, 17), {"in_channels": 3, "image_size": [13, 17], "classes": 7} | config)
    for name, config in (
        ("cnn-default", {}),
        ("cnn", {"channels": [5, 6], "hidden": 11}),
        ("cnn-deep", {"channels": [5, 6, 4], "hidden": 11, "dropout": 0.3, "batch_norm": True}),
    )
]

SIZES: list[tuple[str, Inputs, dict[str, Any]]] = [
    ("batch-of-one", convolution((1, 3, 5, 5), (2, 3, 2, 3)), {"padding": 1}),
    ("square-images", convolution((17, 3, 5, 17), (3, 3, 3, 3)), {"stride": 2}),
    ("batch-of-one-nine-channels", convolution((1, 9, 5, 5), (4, 9, 2, 3)), {}),
    ("square-images-nine-channels", convolution((17, 9, 3, 17), (5, 9, 3, 3)), {"padding": (1, 0)}),
    ("batch-of-one-in-groups", convolution((1, 6, 4, 5), (9, 2, 3, 3)), {"groups": 3, "padding": 1}),
    ("square-images-in-groups", convolution((17, 3, 5, 17), (9, 1, 3, 3)), {"groups": 3, "padding": (0, 1)}),
    ("batch-of-one-many-channels", convolution((1, 32, 8, 18), (33, 32, 3, 3)), {"padding": 1}),
]
BATCHES: list[tuple[str, tuple[int, ...]]] = [
    ("batch-of-one", (1, 3, 5, 5)),
    ("even", (2, 3, 4, 6)),
    ("square-images", (17, 3, 5, 17)),
]
POOLS: list[tuple[str, str, dict[str, Any]]] = [
    ("max_pool2d", "MaxPool2d", {"kernel_size": 3, "stride": 2, "padding": 1}),
    ("avg_pool2d", "AvgPool2d", {"kernel_size": 3, "stride": 1, "padding": 1}),
    ("adaptive_avg_pool2d", "AdaptiveAvgPool2d", {"output_size": (5, 17)}),
]
CASES += [
    ParityCase(f"conv2d-{name}", "ops.conv2d", inputs, config, reference="torch.nn.functional.conv2d")
    for name, inputs, config in SIZES
]
CASES += [
    case
    for name, shape in BATCHES
    for op, layer, config in POOLS
    for case in (
        ParityCase(f"{op}-of-{name}", f"ops.{op}", normal(*shape), config, reference=f"torch.nn.functional.{op}"),
        ParityCase(f"{layer}-{name}", f"layers.{layer}", normal(*shape), config, reference=f"torch.nn.{layer}"),
    )
]
CASES += [
    ParityCase(f"batch_norm-{mode}-{name}", "ops.batch_norm", normalisation(*shape), config, constants=STATISTICS)
    for mode, config in (("train", {"training": True}), ("eval", {}))
    for name, shape in (("batch-of-one", (1, 5, 13)), ("square", (67, 67)), ("square-images", (17, 3, 5, 17)))
]
CASES += [
    ParityCase(name, f"layers.{layer}", inputs, config, reference=f"torch.nn.{layer}")
    for layer in ("Conv2d", "BatchNorm1d", "BatchNorm2d")
    for name, inputs, config in (
        ("Conv2d-batch-of-one", normal(1, 3, 5, 5), {"in_channels": 3, "out_channels": 4, "kernel_size": (2, 3)}),
        ("Conv2d-square-images", normal(17, 3, 5, 17), {"in_channels": 3, "out_channels": 5, "kernel_size": 3, "stride": 2}),
        ("BatchNorm1d-batch-of-one", lambda draw: {"x": draw.features(1, 5, 12)}, {"num_features": 5}),
        ("BatchNorm1d-square", lambda draw: {"x": draw.features(67, 67)}, {"num_features": 67}),
        ("BatchNorm2d-batch-of-one", lambda draw: {"x": draw.features(1, 5, 7, 5)}, {"num_features": 5}),
        ("BatchNorm2d-square-images", lambda draw: {"x": draw.features(17, 3, 5, 17)}, {"num_features": 3}),
    )
    if name.startswith(layer)
]
CASES += [
    ParityCase("cnn-batch-of-one", "models.CNN", normal(1, 2, 6, 5), {"in_channels": 2, "image_size": [6, 5], "classes": 3}),
    ParityCase(
        "cnn-square-images",
        "models.CNN",
        normal(17, 3, 5, 17),
        {"in_channels": 3, "image_size": [5, 17], "classes": 3, "channels": [4], "hidden": 6},
    ),
]
