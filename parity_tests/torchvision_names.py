"""The names and shapes of the parameters of torchvision's classifiers."""

import re

# torchvision's state_dict with one word a layer: name, weight shape, + if there is a bias,
# and for a convolution that a batch norm follows, @ and the norm's name.

ALEXNET = """
features.0:64x3x11x11+ features.3:192x64x5x5+ features.6:384x192x3x3+ features.8:256x384x3x3+ features.10:256x256x3x3+
classifier.1:4096x9216+ classifier.4:4096x4096+ classifier.6:1000x4096+
"""
VGG_HEAD = "classifier.0:4096x25088+ classifier.3:4096x4096+ classifier.6:1000x4096+"
VGG16 = f"""
features.0:64x3x3x3+ features.2:64x64x3x3+
features.5:128x64x3x3+ features.7:128x128x3x3+
features.10:256x128x3x3+ features.12:256x256x3x3+ features.14:256x256x3x3+
features.17:512x256x3x3+ features.19:512x512x3x3+ features.21:512x512x3x3+
features.24:512x512x3x3+ features.26:512x512x3x3+ features.28:512x512x3x3+
{VGG_HEAD}
"""
VGG16_BN = f"""
features.0:64x3x3x3+@features.1 features.3:64x64x3x3+@features.4
features.7:128x64x3x3+@features.8 features.10:128x128x3x3+@features.11
features.14:256x128x3x3+@features.15 features.17:256x256x3x3+@features.18 features.20:256x256x3x3+@features.21
features.24:512x256x3x3+@features.25 features.27:512x512x3x3+@features.28 features.30:512x512x3x3+@features.31
features.34:512x512x3x3+@features.35 features.37:512x512x3x3+@features.38 features.40:512x512x3x3+@features.41
{VGG_HEAD}
"""
RESNET18 = """
conv1:64x3x7x7@bn1
layer1.0.conv1:64x64x3x3@layer1.0.bn1 layer1.0.conv2:64x64x3x3@layer1.0.bn2
layer1.1.conv1:64x64x3x3@layer1.1.bn1 layer1.1.conv2:64x64x3x3@layer1.1.bn2
layer2.0.conv1:128x64x3x3@layer2.0.bn1 layer2.0.conv2:128x128x3x3@layer2.0.bn2
layer2.0.downsample.0:128x64x1x1@layer2.0.downsample.1
layer2.1.conv1:128x128x3x3@layer2.1.bn1 layer2.1.conv2:128x128x3x3@layer2.1.bn2
layer3.0.conv1:256x128x3x3@layer3.0.bn1 layer3.0.conv2:256x256x3x3@layer3.0.bn2
layer3.0.downsample.0:256x128x1x1@layer3.0.downsample.1
layer3.1.conv1:256x256x3x3@layer3.1.bn1 layer3.1.conv2:256x256x3x3@layer3.1.bn2
layer4.0.conv1:512x256x3x3@layer4.0.bn1 layer4.0.conv2:512x512x3x3@layer4.0.bn2
layer4.0.downsample.0:512x256x1x1@layer4.0.downsample.1
layer4.1.conv1:512x512x3x3@layer4.1.bn1 layer4.1.conv2:512x512x3x3@layer4.1.bn2
fc:1000x512+
"""
# ResNet-50, one stage a line: the number of blocks, the shapes in the first block, the shapes in the others
RESNET50_STAGES = {
    "layer1": (3, "64x64x1x1 64x64x3x3 256x64x1x1 downsample:256x64x1x1", "64x256x1x1 64x64x3x3 256x64x1x1"),
    "layer2": (4, "128x256x1x1 128x128x3x3 512x128x1x1 downsample:512x256x1x1", "128x512x1x1 128x128x3x3 512x128x1x1"),
    "layer3": (6, "256x512x1x1 256x256x3x3 1024x256x1x1 downsample:1024x512x1x1", "256x1024x1x1 256x256x3x3 1024x256x1x1"),
    "layer4": (3, "512x1024x1x1 512x512x3x3 2048x512x1x1 downsample:2048x1024x1x1", "512x2048x1x1 512x512x3x3 2048x512x1x1"),
}


def resnet50():
    """Yield the words of ResNet-50, in the notation above."""
    yield "conv1:64x3x7x7@bn1"
    for stage, (blocks, first, others) in RESNET50_STAGES.items():
        for i in range(blocks):
            *convolutions, last = (first if i == 0 else f"{others} -").split()
            for k, shape in enumerate(convolutions, 1):
                yield f"{stage}.{i}.conv{k}:{shape}@{stage}.{i}.bn{k}"
            if last != "-":
                yield f"{stage}.{i}.downsample.0:{last.partition(':')[2]}@{stage}.{i}.downsample.1"
    yield "fc:1000x2048+"


def shapes_of(words):
    """Return the names and shapes that the words describe."""
    shapes = {}
    for word in words:
        name, shape, bias, norm = re.fullmatch(r"([\w.]+):([\dx]+)(\+?)(?:@([\w.]+))?", word).groups()
        shape = tuple(map(int, shape.split("x")))
        shapes[f"{name}.weight"] = shape
        if bias:
            shapes[f"{name}.bias"] = shape[:1]
        if norm:
            shapes |= {f"{norm}.{part}": shape[:1] for part in ("weight", "bias", "running_mean", "running_var")}
            shapes[f"{norm}.num_batches_tracked"] = ()
    return shapes


PUBLISHED = {  # class, arguments, torchvision's state, number of parameters
    "AlexNet": ("AlexNet", {}, ALEXNET.split(), 61_100_840),
    "VGG-16": ("VGG", {"depth": 16}, VGG16.split(), 138_357_544),
    "VGG-16-bn": ("VGG", {"depth": 16, "batch_norm": True}, VGG16_BN.split(), 138_365_992),
    "ResNet-18": ("ResNet", {"depth": 18}, RESNET18.split(), 11_689_512),
    "ResNet-50": ("ResNet", {"depth": 50}, list(resnet50()), 25_557_032),
}
