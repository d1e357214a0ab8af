"""Faults of AlexNet, VGG and the residual networks: lost or misplaced shortcuts, strides in other layers."""

from functools import partial

from parity_tests.faults.fault import Fault

basic = partial(
    Fault,
    function="models.resnet.BasicBlock.forward",
    cases=("resnet-10", "cifar-resnet-a", "cifar-resnet-b-eval"),
    culprit="BasicBlock",
)
bottleneck = partial(
    Fault, function="models.resnet.Bottleneck.forward", cases=("resnet-14", "resnet-14-eval"), culprit="Bottleneck"
)
basic_block = partial(basic, function="models.resnet.BasicBlock.__init__")
bottleneck_block = partial(bottleneck, function="models.resnet.Bottleneck.__init__")
past = partial(Fault, function="models.resnet._past")
padded = partial(
    Fault,
    function="models.resnet.PaddedShortcut.forward",
    cases=("cifar-resnet-a", "cifar-resnet-a-eval"),
    culprit="PaddedShortcut",
)
network = partial(Fault, function="models.resnet._Residual.__init__")
stage = partial(Fault, function="models.resnet._stage")
alexnet = partial(Fault, function="models.alexnet.AlexNet.__init__", cases=("alexnet", "alexnet-grey-eval"))
vgg = partial(Fault, function="models.vgg.VGG.__init__", cases=("vgg-11", "vgg-13-bn-eval"))

CONV2_IN_LATER_STAGES = "|".join(f"layer{i}.0.conv{k}" for i in (2, 3, 4) for k in (1, 2))
STRIDE_MOVED = "its stride is (1, expected 2|2, expected 1)"

BLOCKS = [
    *(
        fault
        for block, name, last in ((basic, "BasicBlock", 2), (bottleneck, "Bottleneck", 3))
        for fault in (
            block(
                f"{name}: the shortcut added after the activation",
                f"y, relu{last} = self.relu(y + past)",
                f"y, relu{last} = self.relu(y); y = y + past",
                "forward",
                "adds the second term of the sum after the submodule",
            ),
            block(
                f"{name}: the shortcut activated, and what is added to it not",
                f"y, relu{last} = self.relu(y + past)",
                f"past, relu{last} = self.relu(past); y = y + past",
                "forward",
                "adds the first term of the sum after the submodule",
            ),
            block(
                f"{name}: the shortcut left out",
                "self.relu(y + past)",
                "self.relu(y)",
                "forward",
                "leaves the second term of the sum out",
            ),
            block(
                f"{name}: no activation after the sum",
                f"y, relu{last} = self.relu(y + past)",
                f"y, relu{last} = y + past, lambda dy: dy",
                "forward",
                f"leaves call {last} of relu out",
            ),
            block(
                f"{name}: no activation after the first convolution",
                "y, relu1 = self.relu(y)",
                "relu1 = lambda dy: dy",
                "forward",
                "leaves call 1 of relu out",
            ),
            block(
                f"{name}: the last norm left out",
                f"y, bn{last} = self.bn{last}(y)",
                f"bn{last} = lambda dy: dy",
                "forward",
                f"leaves bn{last} out",
            ),
            block(
                f"{name}: an activation before the sum as well",
                f"y, bn{last} = self.bn{last}(y)",
                f"y, norm = self.bn{last}(y); y, act = self.relu(y); bn{last} = lambda dy: norm(act(dy))",
                "forward",
                "applies the submodule that takes the sum to the first term of the sum too",
            ),
            block(
                f"{name}: no gradient through the shortcut",
                "dx + downsample(dsum)",
                "dx + 0 * downsample(dsum)",
                "backward",
                "loses the gradient of the (second term of the sum|argument input of downsample)",
            ),
            block(
                f"{name}: no gradient back through the convolutions",
                "dx + downsample(dsum)",
                "0 * dx + downsample(dsum)",
                "backward",
                "loses the gradient of the argument input of conv1",
            ),
            block(
                f"{name}: the shortcut's gradient not through the activation",
                "dx + downsample(dsum)",
                "dx + downsample(dy)",
                "backward",
                "passes the gradient of the second term of the sum around the submodule",
            ),
            block(
                f"{name}: the last activation left out of the backward",
                f"dsum = relu{last}(dy)",
                "dsum = dy",
                "backward",
                f"leaves call {last} of relu out of the backward pass",
            ),
            block(
                f"{name}: the first activation left out of the backward",
                "bn1(relu1(",
                "bn1((",
                "backward",
                "leaves call 1 of relu out of the backward pass",
            ),
        )
    ),
    basic(
        "BasicBlock: one norm for both convolutions",
        "self.bn2(y)",
        "self.bn1(y)",
        "forward",
        None,
        cases=("resnet-10", "cifar-resnet-a"),
    ),
    basic(
        "BasicBlock: norms in each other's place",
        "y, bn1 = self.bn1(y)\n        y, relu1 = self.relu(y)\n        y, conv2 = self.conv2(y)\n        y, bn2 = self.bn2(y)",
        "y, bn1 = self.bn2(y)\n        y, relu1 = self.relu(y)\n        y, conv2 = self.conv2(y)\n        y, bn2 = self.bn1(y)",
        "forward",
        "swaps bn1 and bn2",
    ),
    basic_block(
        "BasicBlock: the stride on the second convolution",
        "3, stride, padding=1, bias=False)\n        self.bn1 = BatchNorm2d(channels)\n        self.relu = ReLU()\n"
        "        self.conv2 = Conv2d(channels, channels, 3, padding",
        "3, padding=1, bias=False)\n        self.bn1 = BatchNorm2d(channels)\n        self.relu = ReLU()\n"
        "        self.conv2 = Conv2d(channels, channels, 3, stride, padding",
        "forward",
        STRIDE_MOVED,
        cases=("resnet-10", "resnet-10-eval"),
        culprit=CONV2_IN_LATER_STAGES,
    ),
    bottleneck_block(
        "Bottleneck: the stride on the first convolution, as in the paper",
        "1, bias=False)\n        self.bn1 = BatchNorm2d(channels)\n        self.conv2 = Conv2d(channels, channels, 3, stride,",
        "1, stride, bias=False)\n        self.bn1 = BatchNorm2d(channels)\n        self.conv2 = Conv2d(channels, channels, 3, 1,",
        "forward",
        STRIDE_MOVED,
        culprit=CONV2_IN_LATER_STAGES,
    ),
]

SHORTCUTS = [
    past(
        "downsample: the norm left out",
        "else downsample(x)",
        "else getattr(downsample, '0')(x)",
        "forward",
        r"leaves downsample\.1 out",
        cases=("resnet-14", "resnet-14-eval"),
        culprit="Bottleneck",
    ),
    past(
        "downsample: not trained",
        "else downsample(x)",
        "else (downsample(x)[0], lambda dsum: 0)",
        "backward",
        r"downsample\.[01]\.(weight|bias) is missing",
        cases=("resnet-14", "resnet-14-eval"),
        culprit="Bottleneck",
    ),
    past(
        "downsample: no gradient back to the input",
        "else downsample(x)",
        "else ((parts := downsample(x))[0], lambda dsum: 0 * parts[1](dsum))",
        "backward",
        "loses the gradient of the argument input of downsample",
        cases=("resnet-14", "resnet-14-eval"),
        culprit="Bottleneck",
    ),
    padded(
        "PaddedShortcut: zeros before the channels",
        "y[:, :C] = kept",
        "y[:, -C:] = kept",
        "forward",
        "swaps the padding before and after",
    ),
    padded(
        "PaddedShortcut: zeros on both sides",
        "y[:, :C] = kept",
        "first = (self.out_channels - C) // 2; y[:, first : first + C] = kept",
        "forward",
        "splits the padding between both sides",
    ),
    padded(
        "PaddedShortcut: the first pixels rather than every other one",
        "kept = x[:, :, ::step, ::step]",
        "kept = x[:, :, : -(-x.shape[2] // step), : -(-x.shape[3] // step)]",
        "forward",
        None,
    ),
    padded(
        "PaddedShortcut: the gradient of the zeros",
        "= dy[:, :C]",
        "= dy[:, -C:]",
        "backward",
        "returns the gradient of the padding instead of that of the input",
    ),
    padded(
        "PaddedShortcut: the gradient to the first pixels",
        "dx[:, :, ::step, ::step]",
        "dx[:, :, : dy.shape[2], : dy.shape[3]]",
        "backward",
        "the right numbers in the wrong order",
    ),
    padded("PaddedShortcut: no gradient", "= dy[:, :C]", "= 0 * dy[:, :C]", "backward", "is zero everywhere"),
]

NETWORKS = [
    network(
        "ResNet: the stem without its stride",
        "else (7, 2)",
        "else (7, 1)",
        "forward",
        "its stride is 1, expected",
        cases=("resnet-10", "resnet-14-eval"),
        culprit="conv1",
    ),
    network(
        "ResNet: the stem without padding",
        "padding=kernel // 2",
        "padding=0",
        "forward",
        "its padding is 0, expected",
        cases=("resnet-10", "cifar-resnet-b-eval"),
        culprit="conv1",
    ),
    network(
        "ResNet: the pooling without padding",
        "MaxPool2d(3, 2, padding=1)",
        "MaxPool2d(3, 2)",
        "forward",
        "its padding is 0, expected",
        cases=("resnet-10", "resnet-14-eval"),
        culprit="maxpool",
    ),
    network(
        "ResNet: the pooling without overlap",
        "MaxPool2d(3, 2, padding=1)",
        "MaxPool2d(3, padding=1)",
        "forward",
        "ignores stride",
        cases=("resnet-10", "resnet-14-eval"),
        culprit="maxpool",
    ),
    network(
        "CifarResNet: a stride in the first stage",
        "2 if i else 1",
        "2",
        "forward",
        "its stride is 2, expected 1",
        cases=("cifar-resnet-a", "cifar-resnet-a-eval"),
        culprit="layer1.0.conv1",
    ),
    network(
        "ResNet: no stride in the later stages",
        "2 if i else 1",
        "1",
        "forward",
        "its stride is 1, expected",
        cases=("resnet-10", "resnet-10-eval"),
        culprit="|".join(f"layer{i}.0.{conv}" for i in (2, 3, 4) for conv in ("conv1", "downsample.0")),
    ),
    alexnet(
        "AlexNet: the first convolution without padding",
        "stride=4, padding=2",
        "stride=4",
        "forward",
        "its padding is 0, expected",
        culprit="features.0",
    ),
    alexnet(
        "AlexNet: the first convolution without stride",
        "stride=4, padding=2",
        "padding=2",
        "forward",
        "its stride is 1, expected",
        culprit="features.0",
    ),
    alexnet(
        "AlexNet: pooling of 2x2",
        "MaxPool2d(3, 2),\n            Conv2d(width,",
        "MaxPool2d(2, 2),\n            Conv2d(width,",
        "forward",
        "its kernel_size is 2, expected 3",
        culprit="features.2",
    ),
    alexnet(
        "AlexNet: pooling without overlap",
        "MaxPool2d(3, 2),\n            Conv2d(width,",
        "MaxPool2d(3),\n            Conv2d(width,",
        "forward",
        "ignores stride",
        culprit="features.2",
    ),
    alexnet(
        "AlexNet: no dropout before the first linear map",
        "Dropout(dropout),\n            Linear(4",
        "Dropout(0.0),\n            Linear(4",
        "forward",
        "its p is 0.0, expected",
        cases=("alexnet", "alexnet-grey"),
        culprit="classifier.0",
    ),
    vgg(
        "VGG: pooling with overlap",
        "features.append(MaxPool2d(2))",
        "features.append(MaxPool2d(3, 2, padding=1))",
        "forward",
        None,
        cases=("vgg-11", "vgg-11-eval"),  # vgg-13-bn ends with 2x2 pixels, which both windows cover
        culprit="MaxPool2d",
    ),
    vgg(
        "VGG: no dropout before the second linear map",
        "Dropout(dropout),\n            Linear(hidden, hidden)",
        "Dropout(0.0),\n            Linear(hidden, hidden)",
        "forward",
        "its p is 0.0, expected",
        cases=("vgg-11", "vgg-13-bn"),
        culprit="classifier.2",
    ),
]

FAULTS = BLOCKS + SHORTCUTS + NETWORKS
