"""Models of the sizes in their papers, which take minutes and gigabytes: select them by name or as "full-size"."""

from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import Inputs, normal, padded_images
from parity.inputs import Draw
from scratch.models.vit import SIZES

ON_REQUEST = True


def text(B: int, T: int, vocabulary: int) -> Inputs:
    """Return a draw of tokens."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        return {"tokens": draw.integers(0, vocabulary, B, T)}

    return draw_inputs


def translation(draw: Draw) -> dict[str, Any]:
    """Draw sources of different lengths, and the targets that the decoder reads."""
    return {"source": draw.integers(0, 36, 3, 13), "lengths": np.array([6, 13, 1]), "target": draw.integers(0, 40, 3, 17)}


CASES = [
    ParityCase(
        "gpt2-full-size",
        "models.GPT",
        text(1, 64, 50257),
        {"vocab_size": 50257, "context": 1024, "width": 768, "layers": 12, "heads": 12},
    ),
    ParityCase("alexnet-full-size", "models.AlexNet", normal(2, 3, 224, 224)),
    ParityCase("vgg16-full-size", "models.VGG", normal(1, 3, 224, 224), {"depth": 16}),
    ParityCase(
        "resnet50-full-size",
        "models.ResNet",
        normal(2, 3, 224, 224),
        {"depth": 50},
        scales={"bn3.weight": 2**-3},  # small branches: otherwise one rounding switches ReLUs in all later blocks
    ),
    ParityCase("cifar-resnet-full-size", "models.CifarResNet", normal(4, 3, 32, 32)),
    ParityCase("unet-full-size", "models.UNet", normal(1, 3, 35, 46), {"in_channels": 3, "classes": 5}),
    ParityCase("yolo-full-size", "models.YOLO", normal(2, 1, 64, 64), {"in_channels": 1, "classes": 10}),
    ParityCase(
        "transformer-full-size",
        "models.Transformer",
        translation,
        {"source_vocab_size": 37, "target_vocab_size": 41, "context": 17},
    ),
    ParityCase(
        "vit-b16-full-size",
        "models.ViT",
        normal(2, 3, 224, 224),
        {"in_channels": 3, "image_size": 224, "patch_size": 16, "classes": 1000} | SIZES["B"],
    ),
    ParityCase(
        "detr-full-size",
        "models.DETR",
        padded_images(3, 256, 320, (256, 320), (224, 240)),
        {"classes": 91},
        scales={"bn3.weight": 2**-3, "queries": 16},  # blocks as in ResNet-50; queries as large as at initialisation
    ),
]
