"""The benchmark cases: ops at sizes that networks use, and whole models.

PyTorch runs the cases of the family `images` in both of its memory layouts; `rows` have no layout. A new model is a row in MODELS.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.inputs import Draw
from scratch.module import Array

Inputs = Callable[[Draw], dict[str, Any]]


def normal(*shape: int) -> Inputs:
    """Return a case's inputs: one array `x` of normal numbers."""
    return lambda draw: {"x": draw.normal(*shape)}


def affine(x: tuple[int, ...], weight: tuple[int, ...]) -> Inputs:
    """Draw an input, a weight scaled by its fan-in, and a bias."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        scale = math.prod(weight[1:]) ** -0.5
        return {"x": draw.normal(*x), "weight": draw.normal(*weight, scale=scale), "bias": draw.normal(weight[0])}

    return draw_inputs


def transposed_convolution(x: tuple[int, ...], weight: tuple[int, ...]) -> Inputs:
    """Draw an input, a weight (C, O, KH, KW) of a transposed convolution, and a bias."""
    scale = weight[0] ** -0.5
    return lambda draw: {"x": draw.normal(*x), "weight": draw.normal(*weight, scale=scale), "bias": draw.normal(weight[1])}


def group_normalisation(*shape: int) -> Inputs:
    """Draw images, and a scale and a shift for each channel."""
    C = shape[1]
    return lambda draw: {
        "x": draw.normal(*shape, offset=0.5),
        "weight": draw.normal(C, scale=0.5, offset=1),
        "bias": draw.normal(C),
    }


def batch_normalisation(*shape: int) -> Inputs:
    """Draw images, and a scale, a shift and running statistics for each channel."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        C = shape[1]
        return {
            "x": draw.normal(*shape, offset=0.5),
            "weight": draw.normal(C, scale=0.5, offset=1),
            "bias": draw.normal(C),
            "running_mean": draw.normal(C),
            "running_var": draw.positive(C),
        }

    return draw_inputs


def row_normalisation(rows: int, width: int, *parameters: str) -> Inputs:
    """Draw rows, and the named parameters of their normalisation: a scale, perhaps a shift."""
    return lambda draw: {"x": draw.normal(rows, width, offset=0.5)} | {name: draw.normal(width, offset=1) for name in parameters}


def attention_inputs(B: int, H: int, T: int, D: int) -> Inputs:
    """Draw queries, keys and values of H heads."""
    return lambda draw: {name: draw.normal(B, H, T, D) for name in ("query", "key", "value")}


def logits_and_labels(rows: int, classes: int) -> Inputs:
    """Draw rows of logits and their labels."""
    return lambda draw: {"input": draw.normal(rows, classes, scale=2), "target": draw.integers(0, classes, rows)}


def box_pairs(n: int, m: int) -> Inputs:
    """Draw two sets of boxes."""

    def boxes(draw: Draw, count: int) -> Array:
        return np.concatenate([corner := draw.normal(count, 2), corner + draw.positive(count, 2)], axis=1)

    return lambda draw: {"boxes1": boxes(draw, n), "boxes2": boxes(draw, m)}


def tokens(*shape: int, vocabulary: int) -> Inputs:
    """Draw token numbers below the size of the vocabulary."""
    return lambda draw: {"tokens": draw.integers(0, vocabulary, *shape)}


F = "torch.nn.functional"
ANCHORS = ((1.0, 1.5), (2.0, 1.25), (3.0, 4.0))  # width and height in cells

IMAGE_OPS = [
    ParityCase(f"conv2d-{name}", "ops.conv2d", affine(x, weight), config, reference=f"{F}.conv2d")
    for name, x, weight, config in (
        ("3x3", (32, 64, 28, 28), (64, 64, 3, 3), {"padding": 1}),
        ("3x3-stride2", (32, 64, 28, 28), (128, 64, 3, 3), {"padding": 1, "stride": 2}),
        ("3x3-grey", (64, 1, 28, 28), (32, 1, 3, 3), {"padding": 1}),
        ("3x3-colour", (32, 3, 32, 32), (64, 3, 3, 3), {"padding": 1}),
        ("1x1", (32, 64, 28, 28), (256, 64, 1, 1), {}),
    )
]
IMAGE_OPS += [
    ParityCase("max_pool2d-2x2", "ops.max_pool2d", normal(32, 64, 28, 28), {"kernel_size": 2}, reference=f"{F}.max_pool2d"),
    ParityCase("avg_pool2d-2x2", "ops.avg_pool2d", normal(32, 64, 28, 28), {"kernel_size": 2}, reference=f"{F}.avg_pool2d"),
    ParityCase(
        "batch_norm",
        "ops.batch_norm",
        batch_normalisation(32, 64, 28, 28),
        {"training": True},
        constants=("running_mean", "running_var"),
    ),
    ParityCase(
        "frozen_batch_norm",
        "ops.frozen_batch_norm",
        batch_normalisation(32, 64, 28, 28),
        constants=("weight", "bias", "running_mean", "running_var"),
    ),
    ParityCase("group_norm", "ops.group_norm", group_normalisation(32, 64, 28, 28), {"num_groups": 8}),
    ParityCase(
        "conv_transpose2d-2x2",
        "ops.conv_transpose2d",
        transposed_convolution((16, 64, 32, 32), (64, 32, 2, 2)),
        {"stride": 2},
        reference=f"{F}.conv_transpose2d",
    ),
    ParityCase(
        "upsample-bilinear",
        "ops.interpolate",
        normal(16, 64, 32, 32),
        {"scale_factor": 2, "mode": "bilinear", "align_corners": False},
        reference=f"{F}.interpolate",
    ),
]

ROW_OPS = [
    ParityCase("linear", "ops.linear", affine((512, 1024), (1024, 1024)), reference=f"{F}.linear"),
    ParityCase("gelu", "ops.gelu", normal(2048, 1024), reference=f"{F}.gelu"),
    ParityCase("gelu-tanh", "ops.gelu", normal(2048, 1024), {"approximate": "tanh"}, reference=f"{F}.gelu"),
    ParityCase(
        "layer_norm",
        "ops.layer_norm",
        row_normalisation(2048, 768, "weight", "bias"),
        {"normalized_shape": (768,)},
    ),
    ParityCase("rms_norm", "ops.rms_norm", row_normalisation(2048, 768, "weight"), {"normalized_shape": (768,)}),
    *(
        ParityCase(
            f"attention-causal-{T}",
            "ops.scaled_dot_product_attention",
            attention_inputs(2, 6, T, 64),
            {"is_causal": True},
            reference=f"{F}.scaled_dot_product_attention",
        )
        for T in (256, 512, 1024, 2048)
    ),
    ParityCase("softmax", "ops.softmax", normal(4096, 1000), {"dim": -1}, reference=f"{F}.softmax"),
    ParityCase("cross_entropy-1000", "ops.cross_entropy", logits_and_labels(4096, 1000), reference=f"{F}.cross_entropy"),
    ParityCase("cross_entropy-50257", "ops.cross_entropy", logits_and_labels(256, 50257), reference=f"{F}.cross_entropy"),
    ParityCase("box_iou-1000x100", "ops.box_iou", box_pairs(1000, 100)),
    ParityCase(
        "yolo_boxes-416x416",
        "ops.yolo_boxes",
        lambda draw: {"predictions": draw.normal(8, 3 * (13 * 13 + 26 * 26), 85)},
        {"grids": (((13, 13), ANCHORS), ((26, 26), ANCHORS))},
    ),
    ParityCase("generalized_box_iou-1000x100", "ops.generalized_box_iou", box_pairs(1000, 100)),
]

IMAGE_MODELS = [
    ParityCase(
        f"cnn-{batch}",
        "models.CNN",
        normal(batch, 1, 28, 28),
        {"in_channels": 1, "image_size": (28, 28), "classes": 10},
    )
    for batch in (64, 128)
]
IMAGE_MODELS += [
    ParityCase("unet-64x64", "models.UNet", normal(8, 1, 64, 64), {"in_channels": 1, "classes": 11, "depth": 3, "width": 32}),
    ParityCase("yolo-64x64", "models.YOLO", normal(32, 1, 64, 64), {"in_channels": 1, "classes": 10}),
    ParityCase(
        "resnet18-32x32",
        "models.ResNet",
        normal(32, 3, 32, 32),
        {"depth": 18, "classes": 10, "small_images": True},
    ),
    ParityCase(
        "vit-6x192",
        "models.ViT",
        normal(32, 3, 32, 32),
        {
            "in_channels": 3,
            "image_size": 32,
            "patch_size": 4,
            "classes": 10,
            "width": 192,
            "layers": 6,
            "heads": 3,
            "feed_forward": 768,
        },
    ),
]
ROW_MODELS = [
    ParityCase("mlp-512", "models.MLP", normal(512, 784), {"in_features": 784, "hidden": [256, 256], "out_features": 10}),
]


ROW_MODELS += [
    ParityCase(
        f"char-lm-{cell}-{time}",
        "models.CharLanguageModel",
        tokens(64, time, vocabulary=65),
        {"vocab_size": 65, "embedding_size": 256, "hidden_size": 256, "cell": cell},
    )
    for cell, times in (("lstm", (50, 100, 200, 400)), ("gru", (100,)), ("rnn", (100,)))
    for time in times
]
ROW_MODELS += [
    ParityCase(
        "gpt-4x384",
        "models.GPT",
        tokens(8, 256, vocabulary=8192),
        {"vocab_size": 8192, "context": 256, "width": 384, "layers": 4, "heads": 6},
    ),
]


def _in_families(**tables: list[ParityCase]) -> list[ParityCase]:
    return [replace(case, family=family) for family, table in tables.items() for case in table]


OPS = _in_families(images=IMAGE_OPS, rows=ROW_OPS)
MODELS = _in_families(rows=ROW_MODELS, images=IMAGE_MODELS)
