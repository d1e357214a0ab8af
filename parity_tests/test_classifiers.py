"""AlexNet, VGG and residual networks beyond their cases: torchvision's names and shapes, published sizes, bad input."""

import numpy as np
import pytest
import torch

import reference.models
import scratch.models
from parity.weights import get_state
from parity_tests.shared import assert_refused_in_one_line, assert_weights_load
from parity_tests.torchvision_names import PUBLISHED, shapes_of
from scratch.models.resnet import BasicBlock, PaddedShortcut
from scratch.random import manual_seed

BACKENDS = {"numpy": scratch.models, "torch": reference.models}
every_backend = pytest.mark.parametrize("models", BACKENDS.values(), ids=BACKENDS)
SMALL = {"classes": 7, "width": 2}
every_published = pytest.mark.parametrize("name", PUBLISHED)


def parameters_in(shapes):
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    return sum(int(np.prod(shape)) for name, shape in shapes.items() if not name.endswith(buffers))


@every_published
def test_the_reference_has_torchvisions_names_and_shapes(name):
    model, config, words, parameters = PUBLISHED[name]
    with torch.device("meta"):  # gives shapes without numbers
        built = getattr(reference.models, model)(**config)
    state = built.state_dict()
    assert {key: tuple(tensor.shape) for key, tensor in state.items()} == shapes_of(words)
    assert sum(parameter.numel() for parameter in built.parameters()) == parameters == parameters_in(shapes_of(words))


@pytest.mark.parametrize("name", ["ResNet-18", "ResNet-50", pytest.param("VGG-16", marks=pytest.mark.slow)])
def test_scratch_has_torchvisions_names_and_shapes(name):
    model, config, words, parameters = PUBLISHED[name]
    built = getattr(scratch.models, model)(**config)
    assert {key: array.shape for key, array in built.state_dict().items()} == shapes_of(words)
    assert sum(parameter.data.size for parameter in built.parameters()) == parameters


@pytest.mark.parametrize("name", ["AlexNet", "VGG-16-bn"])
def test_scratch_has_torchvisions_names_and_shapes_with_a_narrow_head(name):
    """Use a narrow head: nine tenths of these networks are the 4,096 channels between their linear layers."""
    model, config, words, _ = PUBLISHED[name]
    narrow = [word.replace("4096", "16") for word in words]
    built = getattr(scratch.models, model)(**config, hidden=16)
    assert {key: array.shape for key, array in built.state_dict().items()} == shapes_of(narrow)


@pytest.mark.parametrize(
    ("depth", "millions", "by_projection"),
    [(20, 0.27, 2_752), (32, 0.46, 2_752), (44, 0.66, 2_752), (56, 0.85, 2_752)],  # table 6 of the paper
)
def test_cifar_networks_have_the_papers_number_of_parameters(depth, millions, by_projection):
    def parameters(shortcut):
        return sum(p.data.size for p in scratch.models.CifarResNet(depth, shortcut=shortcut).parameters())

    assert abs(parameters("A") / 1e6 - millions) < 0.005
    assert parameters("B") - parameters("A") == 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64 == by_projection


DEPTHS = [("ResNet", depth, {}) for depth in (10, 14, 18, 26, 34, 50, 101, 152)]
DEPTHS += [("CifarResNet", depth, {}) for depth in (8, 20, 32, 44, 56)]
DEPTHS += [("VGG", depth, {"hidden": 3, "batch_norm": norm}) for depth in (11, 13, 16, 19) for norm in (False, True)]


@pytest.mark.parametrize(("model", "depth", "config"), DEPTHS)
@every_backend
def test_the_depth_counts_convolutions_and_linear_layers(models, model, depth, config):
    built = getattr(models, model)(depth, **SMALL, **config)
    weights = [name for name, array in get_state(built).items() if array.ndim > 1 and "downsample" not in name]
    assert len(weights) == depth


# --- definitions of the papers ---


def test_a_residual_block_with_zero_convolutions_returns_its_input():
    block = BasicBlock(3, 3).astype(np.float64)
    for conv in (block.conv1, block.conv2):
        conv.weight.data = np.zeros_like(conv.weight.data)
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
    y, backward = block(x)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    np.testing.assert_array_equal(backward(np.ones_like(y)), x > 0)


def test_shortcut_a_keeps_every_other_pixel_and_adds_zero_channels():
    x = np.arange(2 * 3 * 5 * 4, dtype=np.float64).reshape(2, 3, 5, 4)
    y, backward = PaddedShortcut(3, 7, 2)(x)
    assert y.shape == (2, 7, 3, 2)
    np.testing.assert_array_equal(y[:, :3], x[:, :, [0, 2, 4]][..., [0, 2]])
    assert not y[:, 3:].any()
    dx = backward(np.ones_like(y))
    assert dx.sum() == 2 * 3 * 3 * 2
    np.testing.assert_array_equal(dx[:, :, ::2, ::2], 1)


@every_backend
def test_initial_weights_have_the_published_spread(models):
    manual_seed(0)
    torch.manual_seed(0)
    vgg = get_state(models.VGG(11, hidden=60, width=16))
    for name, array in {**vgg, **get_state(models.ResNet(18, width=16))}.items():
        if array.ndim == 4 and array.size > 1000:
            fan_out = array.shape[0] * array.shape[2] * array.shape[3]
            assert abs(array.std() / (2 / fan_out) ** 0.5 - 1) < 0.1, name
        elif array.ndim == 2 and name.startswith("classifier") and array.size > 1000:
            assert abs(array.std() / 0.01 - 1) < 0.1, name
        elif name.startswith(("features", "classifier")) and name.endswith("bias"):
            assert not array.any(), name


@pytest.mark.parametrize("writer", BACKENDS)
@pytest.mark.parametrize("reader", BACKENDS)
def test_every_backend_loads_the_weights_of_the_other(tmp_path, writer, reader):
    assert_weights_load(tmp_path, BACKENDS[writer].ResNet, BACKENDS[reader], SMALL | {"depth": 14})


# --- bad input ---


def images(*shape):
    return np.zeros(shape, np.float32)


def build(name, **config):
    return getattr(scratch.models, name)(**SMALL | config)


BAD = {
    "small for AlexNet": (
        lambda: build("AlexNet", hidden=3)(images(2, 3, 62, 90)),
        "AlexNet: images of 62x90 are too small for its depth, expected at least 63 a side; enlarge them",
    ),
    "small for VGG": (
        lambda: build("VGG", depth=11, hidden=3)(images(2, 3, 32, 31)),
        "VGG: images of 32x31 are too small for its depth, expected at least 32 a side; enlarge them",
    ),
    "grey images": (
        lambda: build("ResNet")(images(2, 1, 32, 32)),
        "ResNet: expected images of 3 channels, got 1; in_channels says how many there are",
    ),
    "coloured images": (
        lambda: build("CifarResNet", in_channels=1)(images(2, 3, 32, 32)),
        "CifarResNet: expected images of 1 channels, got 3; in_channels says how many there are",
    ),
    "one image": (
        lambda: build("ResNet")(images(3, 32, 32)),
        "ResNet: expected images (N, 3, H, W), got shape (3, 32, 32); one image is a batch of 1",
    ),
    "depth of VGG": (lambda: build("VGG", depth=12), "VGG: depth is 12, expected one of 11, 13, 16, 19"),
    "depth of ResNet": (
        lambda: build("ResNet", depth=20),
        "ResNet: depth is 20, expected one of 10, 14, 18, 26, 34, 50, 101, 152",
    ),
    "depth of CifarResNet": (
        lambda: build("CifarResNet", depth=18),
        "CifarResNet: depth is 18, expected 6n + 2, such as 20, 32, 44 and 56",
    ),
    "no blocks": (lambda: build("CifarResNet", depth=2), "CifarResNet: depth is 2, expected 6n + 2"),
    "shortcut": (lambda: build("CifarResNet", shortcut="C"), "CifarResNet: shortcut is 'C', expected one of A, B"),
    "width": (lambda: build("ResNet", width=0), "Conv2d: expected positive channels"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])


@pytest.mark.parametrize(
    ("model", "config", "size"), [("AlexNet", {"hidden": 3}, 63), ("VGG", {"depth": 11, "hidden": 3}, 32), ("ResNet", {}, 1)]
)
def test_the_smallest_allowed_images_work(model, config, size):
    logits, backward = build(model, **config).eval()(images(2, 3, size, size))
    assert logits.shape == (2, 7)
    assert backward(np.ones_like(logits)).shape == (2, 3, size, size)
