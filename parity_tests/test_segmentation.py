"""Segmentation beyond its cases: every geometry, memory layouts, odd sizes, frozen norms, bad input."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import reference.layers
import reference.models
import reference.ops
import scratch.models
from parity.weights import get_state, set_state
from parity_tests.shared import assert_equal_up_to_rounding, assert_refused_in_one_line
from scratch import layers, ops
from scratch.fast import threads
from scratch.module import constant
from scratch.random import manual_seed

BACKENDS = {"numpy": scratch.models, "torch": reference.models}
every_backend = pytest.mark.parametrize("models", BACKENDS.values(), ids=BACKENDS)
every_up = pytest.mark.parametrize("up", ["transposed", "bilinear"])
every_layout = pytest.mark.parametrize("layout", ["nchw", "nhwc", "strided"])


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def with_layout(x, layout):
    """Return the same images in another memory layout."""
    if layout == "nhwc":
        return np.ascontiguousarray(np.moveaxis(x, 1, -1)).swapaxes(-1, 1).swapaxes(-1, 2) if x.ndim == 4 else x
    return x if layout == "nchw" else np.repeat(x, 2, axis=-1)[..., ::2]


def assert_same(op, theirs, arrays, dy_layout="nchw", rtol=1e-10, **options):
    """Assert that an op agrees with a torch function in value and gradients, and leaves its inputs unchanged."""
    before = [array.copy() for array in arrays]
    y, backward = op(*arrays, **options)
    leaves = [torch.tensor(array.astype(np.float64), requires_grad=True) for array in arrays]
    expected = theirs(*leaves, **options)
    dy = with_layout(normal(*y.shape, seed=1).astype(y.dtype), dy_layout)
    expected.backward(torch.tensor(dy.astype(np.float64)))
    gradients = backward(dy)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    for ours, truth in zip((y, *gradients), (expected.detach(), *(leaf.grad for leaf in leaves)), strict=True):
        assert ours.dtype == arrays[0].dtype
        np.testing.assert_allclose(ours, truth.numpy(), rtol=rtol, atol=rtol * float(truth.abs().max()) + 1e-300)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


# --- transposed convolution ---

STRIDES, DILATIONS = [1, 2, (2, 3)], [1, (2, 1)]


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("padding", [0, 1, (0, 1)])
def test_transposed_convolutions_of_every_geometry_agree_with_torch(groups, kernel, padding):
    x, weight, bias = normal(3, 6, 5, 4), normal(6, 2, *kernel, seed=2), normal(2 * groups, seed=3)
    for stride, dilation in product(STRIDES, DILATIONS):
        limits = [max(np.broadcast_to(stride, 2)[i], np.broadcast_to(dilation, 2)[i]) for i in range(2)]
        for more in product(*({0, int(limit) - 1} for limit in limits)):
            options = dict(stride=stride, padding=padding, output_padding=more, groups=groups, dilation=dilation)
            assert_same(ops.conv_transpose2d, F.conv_transpose2d, [x, weight, bias], **options)


@every_layout
@pytest.mark.parametrize("dy_layout", ["nchw", "nhwc", "strided"])
def test_transposed_convolutions_agree_with_torch_in_every_memory_layout(layout, dy_layout):
    arrays = [with_layout(normal(4, 6, 5, 7), layout), with_layout(normal(6, 3, 3, 2), layout), normal(3)]
    assert_same(ops.conv_transpose2d, F.conv_transpose2d, arrays, dy_layout, stride=2, padding=1)


def test_a_transposed_convolution_is_a_convolutions_input_gradient():
    options = dict(stride=(2, 3), padding=1, dilation=(2, 1), groups=2)
    image, weight = normal(3, 4, 12, 13), normal(6, 2, 3, 2, seed=1)
    y, backward = ops.conv2d(image, weight, **options)
    dy = normal(*y.shape, seed=2)
    spread, _ = ops.conv_transpose2d(dy, weight, output_padding=1, **options)
    np.testing.assert_allclose(spread, backward(dy)[0], rtol=1e-11, atol=1e-12)


def test_transposed_convolutions_with_winograd_agree_with_torch():
    arrays = [array.astype(np.float32) for array in (normal(3, 40, 9, 11), 0.05 * normal(40, 33, 3, 3), normal(33))]
    assert_same(ops.conv_transpose2d, F.conv_transpose2d, arrays, rtol=1e-5, padding=1)


def test_initial_weights_are_distributed_as_torchs():
    manual_seed(0)
    torch.manual_seed(0)
    config = {"in_channels": 40, "out_channels": 120, "kernel_size": (3, 5), "groups": 2}
    for name in ("weight", "bias"):
        ours = np.concatenate([getattr(layers.ConvTranspose2d(**config), name).data.ravel() for _ in range(20)])
        theirs = np.concatenate([getattr(torch.nn.ConvTranspose2d(**config), name).detach().numpy().ravel() for _ in range(20)])
        at = np.linspace(0, 1, 11)
        assert np.abs(np.quantile(ours, at) - np.quantile(theirs, at)).max() < 0.1 * theirs.std()


# --- resizing ---

MODES = {
    "nearest": {},
    "bilinear": {"mode": "bilinear", "align_corners": False},
    "corners": {"mode": "bilinear", "align_corners": True},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("before", [1, 2, 5, 12])
def test_resizing_to_every_size_agrees_with_torch(mode, before):
    for after in range(1, 40):
        assert_same(ops.interpolate, F.interpolate, [normal(2, 3, before, 4)], size=(after, 7), **MODES[mode])
        assert_same(ops.interpolate, F.interpolate, [normal(2, 3, 4, before)], size=(7, after), **MODES[mode])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("factor", [0.3, 0.5, 0.7, 1.0, 1.1, 1.5, 2, 2.05, 3.7, 1 / 3])
def test_resizing_by_every_factor_agrees_with_torch(mode, factor):
    for before in range(4, 16):
        assert_same(ops.interpolate, F.interpolate, [normal(2, 3, before, 4)], scale_factor=(factor, 2), **MODES[mode])
    assert_same(ops.interpolate, F.interpolate, [normal(2, 3, 5, 6)], scale_factor=factor, **MODES[mode])


@pytest.mark.parametrize("mode", MODES)
@every_layout
@pytest.mark.parametrize("dy_layout", ["nchw", "nhwc", "strided"])
def test_resizing_agrees_with_torch_in_every_memory_layout(mode, layout, dy_layout):
    assert_same(ops.interpolate, F.interpolate, [with_layout(normal(4, 6, 5, 7), layout)], dy_layout, size=(8, 9), **MODES[mode])


def test_a_single_size_is_used_for_both_axes():
    x = normal(2, 3, 4, 5)
    np.testing.assert_array_equal(ops.interpolate(x, 7)[0], ops.interpolate(x, (7, 7))[0])
    np.testing.assert_array_equal(layers.Upsample([6, 7])(x)[0], ops.interpolate(x, (6, 7))[0])


def test_a_nan_pixel_affects_only_its_neighbours():
    x = np.zeros((1, 1, 6, 6))
    x[0, 0, 2, 3] = np.nan
    y, _ = ops.interpolate(x, scale_factor=2, mode="bilinear")
    np.testing.assert_array_equal(np.argwhere(np.isnan(y[0, 0])).min(axis=0), [3, 5])
    np.testing.assert_array_equal(np.argwhere(np.isnan(y[0, 0])).max(axis=0), [6, 8])
    assert np.isnan(ops.interpolate(x, scale_factor=2)[0]).sum() == 4


# --- normalisation ---


@every_layout
@pytest.mark.parametrize("dy_layout", ["nchw", "nhwc", "strided"])
@pytest.mark.parametrize("block", [1 << 17, 300])
def test_group_norm_agrees_with_torch_in_every_layout_and_block(monkeypatch, layout, dy_layout, block):
    monkeypatch.setattr(threads, "BLOCK", block)
    arrays = [with_layout(normal(7, 6, 5, 7), layout), normal(6, seed=1), normal(6, seed=2)]
    theirs = reference.ops.group_norm
    assert_same(ops.group_norm, theirs, arrays, dy_layout, num_groups=3)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("shifted", [True, False])
def test_group_norm_may_lack_its_scale_or_shift(scaled, shifted):
    x, dy = normal(3, 6, 5), normal(3, 6, 5, seed=1)
    weight, bias = normal(6, seed=2) if scaled else None, normal(6, seed=3) if shifted else None
    y, backward = ops.group_norm(x, weight, bias, num_groups=2)
    expected, its_backward = ops.group_norm(x, weight if scaled else np.ones(6), bias if shifted else np.zeros(6), num_groups=2)
    assert_equal_up_to_rounding(y, expected, 1e-13)
    for gradient, truth, given in zip(backward(dy), its_backward(dy), (True, scaled, shifted), strict=True):
        if given:
            assert_equal_up_to_rounding(gradient, truth, 1e-13)
        else:
            assert gradient is None


@pytest.mark.parametrize("offset", [0, 1e3, 1e5])
@every_layout
def test_group_norm_far_from_zero_is_as_accurate_as_torch(offset, layout):
    x = with_layout((normal(3, 8, 64, 64) + offset).astype(np.float32), layout)
    truth = F.group_norm(torch.tensor(x.astype(np.float64)), 2).numpy()
    theirs = F.group_norm(torch.tensor(x), 2).numpy()
    y, _ = ops.group_norm(x, num_groups=2)
    assert np.abs(y - truth).max() <= np.abs(theirs - truth).max() + 1e-6


def test_group_norm_of_single_values_returns_the_bias():
    y, backward = ops.group_norm(normal(3, 6), np.ones(6), np.arange(6.0), num_groups=6)
    np.testing.assert_array_equal(y, np.tile(np.arange(6.0), (3, 1)))
    np.testing.assert_array_equal(backward(np.ones((3, 6)))[0], 0)


def test_a_frozen_norm_equals_a_trained_norm_in_eval_mode():
    trained = layers.BatchNorm2d(5, eps=1e-3).astype(np.float64)
    trained(normal(4, 5, 7, 6) + 2)
    trained.weight.data, trained.bias.data = normal(5, seed=1), normal(5, seed=2)
    frozen = layers.FrozenBatchNorm2d(5, eps=1e-3).astype(np.float64)
    state = {name: array for name, array in trained.state_dict().items() if name != "num_batches_tracked"}
    assert list(frozen.state_dict()) == list(state) == ["weight", "bias", "running_mean", "running_var"]
    frozen.load_state_dict(state)
    assert not list(frozen.parameters())
    x, dy = normal(3, 5, 4, 6, seed=3), normal(3, 5, 4, 6, seed=4)
    y, backward = trained.eval()(x)
    for mode in (True, False):
        ours, ours_backward = frozen.train(mode)(x)
        np.testing.assert_allclose(ours, y, rtol=1e-12, atol=1e-13)
        assert_equal_up_to_rounding(ours_backward(dy), backward(dy), 1e-12)
    assert all(np.array_equal(array, state[name]) for name, array in frozen.state_dict().items())


# --- the Dice loss ---


def test_dice_loss_is_0_for_right_and_1_for_wrong():
    labels = np.array([[[0, 1, 1], [2, 2, 0]]])
    perfect = np.moveaxis(np.eye(4)[labels], -1, 1)
    assert ops.dice_loss(perfect, labels)[0] == 0  # the fourth class neither occurs nor is predicted
    assert ops.dice_loss(perfect[:, :3], labels, smooth=0.0)[0] == 0
    assert ops.dice_loss(np.roll(perfect[:, :3], 1, axis=1), labels, smooth=0.0)[0] == 1


def test_labels_equal_one_hot_shares():
    p, labels = (
        np.random.default_rng(0).dirichlet(np.ones(5), (3, 4, 6)).transpose(0, 3, 1, 2),
        np.random.default_rng(1).integers(0, 5, (3, 4, 6)),
    )
    by_labels, backward = ops.dice_loss(p, labels)
    by_shares, backward_of_shares = ops.dice_loss(p, np.moveaxis(np.eye(5)[labels], -1, 1))
    assert by_labels == by_shares
    dinput, nothing = backward(np.float64(1))
    assert nothing is None
    np.testing.assert_array_equal(dinput, backward_of_shares(np.float64(1))[0])


def test_dice_loss_agrees_with_its_formula():
    p, t = np.array([[[0.9, 0.2, 0.5]]]), np.array([[[1.0, 0.0, 1.0]]])
    loss, _ = ops.dice_loss(p, t, smooth=0.5)
    assert np.isclose(loss, 1 - (2 * (0.9 + 0.5) + 0.5) / (0.81 + 0.04 + 0.25 + 2 + 0.5))


# --- the U-Net ---

SMALL = {"in_channels": 2, "classes": 3, "depth": 2, "width": 2}


def twins(dtype="float64", **config):
    """Return a U-Net of each backend with the same weights and statistics."""
    manual_seed(0)
    ours = scratch.models.UNet(**SMALL | config)
    for name, array in ours.state_dict().items():
        if name.endswith("running_mean"):
            array[:] = normal(*array.shape)
    ours = ours.astype(dtype)
    theirs = reference.models.UNet(**SMALL | config).to(getattr(torch, dtype))
    set_state(theirs, get_state(ours))
    return ours, theirs


@every_up
def test_every_pixel_has_logits_for_every_image_size(up):
    ours, theirs = twins(up=up)
    ours.eval()
    theirs.eval()
    for H, W in [*product(range(4, 9), range(4, 9)), (11, 30), (4, 63)]:
        x = normal(2, 2, H, W)
        leaf = torch.tensor(x, requires_grad=True)
        expected = theirs(leaf)
        logits, backward = ours(x)
        assert logits.shape == (2, 3, H, W)
        np.testing.assert_allclose(logits, expected.detach(), rtol=1e-9, atol=1e-11)
        dy = normal(*logits.shape, seed=1)
        expected.backward(torch.tensor(dy))
        np.testing.assert_allclose(backward(dy), leaf.grad, rtol=1e-8, atol=1e-10)


@every_backend
@every_up
def test_the_number_of_parameters_is_the_papers(models, up):
    parameters = models.UNet(3, 2, up=up).parameters()
    count = sum(p.data.size if models is scratch.models else p.numel() for p in parameters)
    widths = [64, 128, 256, 512, 1024]
    pairs = list(pairwise(widths))
    expected = 9 * (3 * 64 + 64 * 64) + 4 * 64 + 64 * 2 + 2  # the first two convolutions with their norms, and the head
    expected += sum(9 * (near * far + far * far) + 4 * far for near, far in pairs)
    expected += sum(
        (4 if up == "transposed" else 1) * far * near + near + 9 * (far * near + near * near) + 4 * near for near, far in pairs
    )
    assert count == expected
    assert up == "bilinear" or count == 31_037_698


def test_state_names_follow_the_structure():
    names = list(scratch.models.UNet(**SMALL | {"depth": 1}).state_dict())
    block = [
        f"{i}.{name}"
        for i in (0, 1, 3, 4)
        for name in (("weight",) if i % 3 == 0 else ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"))
    ]
    parts = ["encoder.0.", "encoder.1.1.", "decoder.0.up.", "decoder.0.block.", "head."]
    inside = [block, block, ["weight", "bias"], block, ["weight", "bias"]]
    assert names == [part + name for part, of_part in zip(parts, inside, strict=True) for name in of_part]


@every_up
def test_constant_images_have_no_gradient(up):
    ours, _ = twins(up=up)
    x = normal(2, 2, 7, 6)
    logits, backward = ours(x)
    dy = normal(*logits.shape, seed=1)
    dx = backward(dy)
    wanted = {name: parameter.grad for name, parameter in ours.named_parameters()}
    ours.zero_grad()
    with constant(x):
        _, backward = ours(x)
    assert dx is not None
    assert backward(dy) is None
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(parameter.grad, wanted[name], rtol=1e-11, atol=1e-12)


@every_up
def test_only_the_deeper_levels_see_far_pixels(up):
    """Set the upsampled input of the last decoder stage to 0: then only full-size convolutions carry a pixel's effect."""
    ours, _ = twins(up=up, depth=3)
    ours.eval()
    x = normal(1, 2, 40, 40)
    other = x.copy()
    other[0, :, 0, 0] += 1
    near, far = (slice(None), slice(None), slice(0, 5), slice(0, 5)), (slice(None), slice(None), slice(20, 40), slice(20, 40))
    before, after = ours(x)[0], ours(other)[0]
    assert (before[near] != after[near]).any()
    changed = [tuple(place) for place in np.argwhere(before[0] != after[0])]
    assert max(max(h, w) for _, h, w in changed) > 4  # four convolutions at full size reach no further
    for name, parameter in ours.named_parameters():
        if name.startswith("decoder.2.up"):
            parameter.data = np.zeros_like(parameter.data)
    before, after = ours(x)[0], ours(other)[0]
    changed = [tuple(place) for place in np.argwhere(before[0] != after[0])]
    assert max(max(h, w) for _, h, w in changed) == 4
    np.testing.assert_array_equal(before[far], after[far])


# --- bad input ---

X = np.zeros((3, 6, 8, 9), np.float32)


def f32(*shape):
    return np.zeros(shape, np.float32)


BAD = {
    "conv_transpose of one image": (
        lambda: ops.conv_transpose2d(X[0], f32(6, 4, 3, 3)),
        "conv_transpose2d: expected x (N, C, H, W) and weight (C, O/groups, KH, KW), got (6, 8, 9) and (6, 4, 3, 3)",
    ),
    "conv_transpose with a kernel of three axes": (lambda: ops.conv_transpose2d(X, f32(6, 4, 3)), "got (3, 6, 8, 9) and (6, 4, 3)"),
    "conv_transpose channels": (
        lambda: ops.conv_transpose2d(X, f32(4, 6, 3, 3)),
        "conv_transpose2d: x has 6 channels, expected 4 for a weight of shape (4, 6, 3, 3), and a number that 1 groups divide",
    ),
    "conv_transpose groups": (lambda: ops.conv_transpose2d(X, f32(6, 2, 3, 3), groups=4), "a number that 4 groups divide"),
    "conv_transpose in no groups": (
        lambda: ops.conv_transpose2d(X, f32(6, 2, 3, 3), groups=0),
        "a number that 0 groups divide",
    ),
    "conv_transpose bias": (
        lambda: ops.conv_transpose2d(X, f32(6, 2, 3, 3), f32(2), groups=2),
        "conv_transpose2d: expected bias of shape (4,), got (2,)",
    ),
    "conv_transpose stride": (
        lambda: ops.conv_transpose2d(X, f32(6, 2, 3, 3), stride=0),
        "conv_transpose2d: stride is 0, expected an int or a pair of ints, each at least 1",
    ),
    "conv_transpose padding": (lambda: ops.conv_transpose2d(X, f32(6, 2, 3, 3), padding=-1), "conv_transpose2d: padding is -1"),
    "conv_transpose dilation": (lambda: ops.conv_transpose2d(X, f32(6, 2, 3, 3), dilation=0), "conv_transpose2d: dilation is 0"),
    "conv_transpose output_padding": (
        lambda: ops.conv_transpose2d(X, f32(6, 2, 3, 3), stride=(3, 2), output_padding=2),
        "conv_transpose2d: output_padding is (2, 2), expected less than stride (3, 2) or less than dilation (1, 1)",
    ),
    "conv_transpose output_padding below 0": (
        lambda: ops.conv_transpose2d(X, f32(6, 2, 3, 3), output_padding=-1),
        "conv_transpose2d: output_padding is -1",
    ),
    "conv_transpose padded away": (
        lambda: ops.conv_transpose2d(X, f32(6, 2, 3, 3), padding=(1, 6)),
        "conv_transpose2d: images of (8, 9) with a kernel of (3, 3) at stride (1, 1) give no pixels with a padding of (1, 6)",
    ),
    "ConvTranspose2d groups": (
        lambda: layers.ConvTranspose2d(6, 4, 3, groups=3),
        "ConvTranspose2d: expected positive channels that groups divides, got in_channels 6, out_channels 4, groups 3",
    ),
    "ConvTranspose2d of nothing": (lambda: layers.ConvTranspose2d(6, 4, 0), "ConvTranspose2d: kernel_size is 0"),
    "interpolate mode": (
        lambda: ops.interpolate(X, 4, mode="bicubic"),
        "interpolate: mode is 'bicubic', expected one of nearest, bilinear",
    ),
    "interpolate of rows": (
        lambda: ops.interpolate(f32(3, 4), 4),
        "interpolate: expected x (N, C, H, W) of at least one pixel, got (3, 4)",
    ),
    "interpolate of no pixels": (lambda: ops.interpolate(X[:, :, :0], 4), "of at least one pixel, got (3, 6, 0, 9)"),
    "interpolate by nothing": (
        lambda: ops.interpolate(X),
        "interpolate: expected size or scale_factor, one of them, got None and None",
    ),
    "interpolate by both": (
        lambda: ops.interpolate(X, 4, 2),
        "interpolate: expected size or scale_factor, one of them, got 4 and 2",
    ),
    "interpolate size": (
        lambda: ops.interpolate(X, (4, 0)),
        "interpolate: size is (4, 0), expected an int or a pair of ints, each at least 1",
    ),
    "interpolate factor": (
        lambda: ops.interpolate(X, scale_factor=-2),
        "interpolate: scale_factor is -2, expected a number or a pair of numbers, each above 0",
    ),
    "interpolate factors": (lambda: ops.interpolate(X, scale_factor=(1, 2, 3)), "interpolate: scale_factor is (1, 2, 3), expected"),
    "interpolate infinitely": (lambda: ops.interpolate(X, scale_factor=np.inf), "interpolate: scale_factor is inf, expected"),
    "interpolate to nothing": (
        lambda: ops.interpolate(X, scale_factor=(0.1, 1)),
        "interpolate: scale_factor (0.1, 1) leaves nothing of images of (8, 9)",
    ),
    "interpolate corners of the nearest": (
        lambda: ops.interpolate(X, 4, align_corners=False),
        "interpolate: align_corners is False, expected None where mode is 'nearest'",
    ),
    "group norm groups": (
        lambda: ops.group_norm(X, num_groups=4),
        "group_norm: expected x (N, C, ...) with a C that num_groups divides, got (3, 6, 8, 9) and 4",
    ),
    "group norm of one axis": (lambda: ops.group_norm(f32(6), num_groups=2), "group_norm: expected x (N, C, ...)"),
    "group norm without groups": (lambda: ops.group_norm(X, num_groups=0), "got (3, 6, 8, 9) and 0"),
    "group norm weight": (lambda: ops.group_norm(X, f32(2), num_groups=2), "group_norm: expected weight of shape (6,), got (2,)"),
    "group norm bias": (lambda: ops.group_norm(X, None, f32(2), num_groups=2), "group_norm: expected bias of shape (6,), got (2,)"),
    "GroupNorm groups": (
        lambda: layers.GroupNorm(4, 6),
        "GroupNorm: expected positive num_channels that num_groups divides, got 6 and 4",
    ),
    "GroupNorm without groups": (lambda: layers.GroupNorm(0, 6), "GroupNorm: expected positive num_channels"),
    "GroupNorm channels": (
        lambda: layers.GroupNorm(2, 4)(X),
        "GroupNorm: expected x (N, 4, ...), got (3, 6, 8, 9)",
    ),
    "frozen norm of one axis": (
        lambda: ops.frozen_batch_norm(*[f32(6)] * 5),
        "frozen_batch_norm: expected x (N, C, ...), got (6,)",
    ),
    "frozen norm weight": (
        lambda: ops.frozen_batch_norm(X, f32(5), *[f32(6)] * 3),
        "frozen_batch_norm: expected weight of shape (6,), got (5,)",
    ),
    "frozen norm variance": (
        lambda: ops.frozen_batch_norm(X, *[f32(6)] * 3, f32(5)),
        "frozen_batch_norm: expected running_var of shape (6,), got (5,)",
    ),
    "FrozenBatchNorm2d width": (lambda: layers.FrozenBatchNorm2d(0), "FrozenBatchNorm2d: expected a positive num_features, got 0"),
    "FrozenBatchNorm2d of rows": (
        lambda: layers.FrozenBatchNorm2d(6)(f32(3, 6)),
        "FrozenBatchNorm2d: expected an input of 4 dimensions, got shape (3, 6)",
    ),
    "dice of one axis": (lambda: ops.dice_loss(f32(6), np.arange(6)), "dice_loss: expected input (N, C, ...), got (6,)"),
    "dice smooth": (lambda: ops.dice_loss(X, X, smooth=-1), "dice_loss: smooth is -1, expected 0 or more"),
    "dice labels": (
        lambda: ops.dice_loss(X, np.zeros((3, 8), int)),
        "dice_loss: expected target of shape (3, 8, 9), got (3, 8)",
    ),
    "dice label too large": (
        lambda: ops.dice_loss(X, np.full((3, 8, 9), 6)),
        "dice_loss: label 6 is out of range: expected 0 to 5",
    ),
    "dice label below 0": (
        lambda: ops.dice_loss(X, np.full((3, 8, 9), -1)),
        "dice_loss: label -1 is out of range: expected 0 to 5",
    ),
    "dice shares": (lambda: ops.dice_loss(X, X[:, :5]), "dice_loss: expected target of shape (3, 6, 8, 9), got (3, 5, 8, 9)"),
    "UNet of one pixel in training": (
        lambda: scratch.models.UNet(6, 2, depth=3, width=2)(X[:1, :, :, :8]),
        "batch_norm: expected more than one value a channel when training",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])


BOTH = {
    "up": (SMALL | {"up": "nearest"}, "up is 'nearest', expected one of transposed, bilinear"),
    "depth": (SMALL | {"depth": 0}, "expected at least one of each, got in_channels 2, classes 3, depth 0, width 2"),
    "classes": (SMALL | {"classes": 0}, "expected at least one of each, got in_channels 2, classes 0, depth 2, width 2"),
}
IMAGES = {
    "too small": (
        (1, 2, 3, 9),
        "images of 3x9 are too small for depth 2, each level of which halves them; expected at least 4 a side",
    ),
    "other channels": ((1, 3, 8, 8), "expected images (N, 2, H, W), got (1, 3, 8, 8)"),
    "no batch": ((2, 8, 8), "expected images (N, 2, H, W), got (2, 8, 8)"),
}


@every_backend
@pytest.mark.parametrize("what", BOTH)
def test_wrong_arguments_are_refused_in_one_line(models, what):
    config, message = BOTH[what]
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        models.UNet(**config)
    assert str(caught.value) == f"UNet: {message}"


@every_backend
@pytest.mark.parametrize("what", IMAGES)
def test_wrong_images_are_refused_in_one_line(models, what):
    shape, message = IMAGES[what]
    images = f32(*shape) if models is scratch.models else torch.zeros(shape)
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        models.UNet(**SMALL)(images)
    assert str(caught.value).startswith(f"UNet: {message}")
    assert "\n" not in str(caught.value)
