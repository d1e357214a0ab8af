"""Models at the sizes of their papers: too large for every day, and verified by their names or as "full-size"."""

from typing import Any

from parity.case import ParityCase
from parity.cases.convolutional import Inputs, images
from parity.cases.detr import padded
from parity.inputs import Draw
from scratch.models.vit import SIZES


def text(B: int, T: int, vocabulary: int) -> Inputs:
    """Tokens of a vocabulary."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        return {"tokens": draw.integers(0, vocabulary, B, T)}

    return draw_inputs


CASES = [
    ParityCase(
        "gpt2-full-size",
        "models.GPT",
        "models.GPT",
        text(1, 64, 50257),
        {"vocab_size": 50257, "context": 1024, "width": 768, "layers": 12, "heads": 12},
    ),
    ParityCase("alexnet-full-size", "models.AlexNet", "models.AlexNet", images(2, 3, 224, 224)),
    ParityCase("vgg16-full-size", "models.VGG", "models.VGG", images(1, 3, 224, 224), {"depth": 16}),
    ParityCase(
        "resnet50-full-size",
        "models.ResNet",
        "models.ResNet",
        images(2, 3, 224, 224),
        {"depth": 50},
        scales={"bn3.weight": 2**-3},  # the blocks add little, or one rounding opens and closes ReLUs in all those behind it
    ),
    ParityCase(
        "vit-b16-full-size",
        "models.ViT",
        "models.ViT",
        images(2, 3, 224, 224),
        {"in_channels": 3, "image_size": 224, "patch_size": 16, "classes": 1000} | SIZES["B"],
    ),
    ParityCase(
        "detr-full-size",
        "models.DETR",
        "models.DETR",
        padded(3, 256, 320, (256, 320), (224, 240)),
        {"classes": 91},
        scales={"bn3.weight": 2**-3, "queries": 16},  # the blocks as in ResNet-50; queries of the size that they begin with
    ),
]
