"""Image classifiers: AlexNet, VGG and the residual networks."""

from parity.case import ParityCase
from parity.cases.draws import normal

AFTER = ("convolutional",)
SMALL = {"classes": 7, "width": 2}

CASES = [
    ParityCase(name, f"models.{model}", normal(*shape), SMALL | config)
    for name, model, shape, config in (
        ("alexnet", "AlexNet", (3, 3, 67, 91), {"hidden": 11}),
        ("alexnet-grey", "AlexNet", (3, 1, 75, 63), {"in_channels": 1, "hidden": 11, "dropout": 0.3}),
        ("vgg-11", "VGG", (3, 3, 33, 67), {"depth": 11, "hidden": 11, "dropout": 0.3}),
        ("vgg-13-bn", "VGG", (3, 2, 33, 39), {"depth": 13, "in_channels": 2, "hidden": 11, "batch_norm": True, "width": 4}),
        ("resnet-10", "ResNet", (3, 3, 35, 49), {"depth": 10, "width": 3}),
        ("resnet-14", "ResNet", (3, 2, 33, 35), {"depth": 14, "in_channels": 2, "width": 4}),
        ("resnet-18-small", "ResNet", (4, 1, 13, 15), {"depth": 18, "in_channels": 1, "small_images": True}),
        ("cifar-resnet-a", "CifarResNet", (4, 3, 11, 13), {"depth": 14, "width": 3}),
        ("cifar-resnet-b-grey", "CifarResNet", (4, 1, 11, 13), {"depth": 8, "width": 3, "in_channels": 1, "shortcut": "B"}),
        ("cifar-resnet-b", "CifarResNet", (4, 3, 13, 11), {"depth": 14, "width": 3, "shortcut": "B"}),
    )
]
CASES += [
    ParityCase(name, f"models.{model}", normal(*shape), SMALL | config, training=training)
    for name, model, shape, config, training in (
        ("alexnet-batch-of-one", "AlexNet", (1, 3, 67, 63), {"hidden": 6}, True),
        ("vgg-batch-of-one", "VGG", (1, 3, 32, 33), {"depth": 11, "hidden": 6}, True),
        ("resnet-batch-of-one", "ResNet", (1, 3, 33, 40), {}, False),
        ("resnet-small-14", "ResNet", (2, 2, 12, 17), {"depth": 14, "in_channels": 2, "small_images": True}, False),
        ("cifar-resnet-batch-of-one", "CifarResNet", (1, 3, 11, 12), {}, False),
        ("cifar-resnet-grey-8", "CifarResNet", (4, 1, 12, 13), {"depth": 8, "in_channels": 1, "width": 3}, True),
    )
]
