"""Fast algorithms of convolution and pooling agree with their definitions and with torch."""

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from scratch.fast import im2col as im2col_module
from scratch.fast import threads
from scratch.fast import winograd as winograd_module
from scratch.fast.channels import channel_sums
from scratch.fast.im2col import conv2d_by_columns
from scratch.fast.reduce import column_sums
from scratch.fast.window import window
from scratch.fast.winograd import conv2d_by_winograd, suits_winograd
from scratch.ops import batch_norm, conv2d, conv_transpose2d, cross_entropy, linear, max_pool2d, relu
from scratch.ops.conv import conv2d_by_taps

RELATIVE = {np.float64: 1e-12, np.float32: 2e-6}


def assert_near(ours, theirs, relative):
    """Assert equal shapes, and that no element differs by more than `relative` times the largest."""
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max(initial=0) <= relative * np.abs(theirs).max(initial=0) + 1e-300


def images(rng, *shape, dtype=np.float64, layout="nchw"):
    """Draw images (N, C, H, W) in one of three memory layouts."""
    x = rng.standard_normal(shape).astype(dtype)
    if layout == "nhwc":
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return x if layout == "nchw" else np.repeat(x, 2, axis=3)[..., ::2]


def torch_conv2d(x, weight, bias, dy, **options):
    """Return the value and gradients of F.conv2d in float64."""
    leaves = [None if a is None else torch.tensor(a.astype(np.float64), requires_grad=True) for a in (x, weight, bias)]
    y = F.conv2d(*leaves, **options)
    y.backward(torch.tensor(dy.astype(np.float64)))
    return y.detach().numpy(), *(None if leaf is None else leaf.grad.numpy() for leaf in leaves)


def check_conv2d(x, weight, bias, rng, relative, layout="nchw", **options):
    """Compare the value and gradients with torch's, and assert that the inputs are unchanged."""
    before = [None if a is None else a.copy() for a in (x, weight, bias)]
    y, backward = conv2d(x, weight, bias, **options)
    dy = images(rng, *y.shape, dtype=x.dtype, layout=layout)
    expected = torch_conv2d(x, weight, bias, dy, **options)
    for ours, theirs in zip((y, *backward(dy)), expected, strict=True):
        if theirs is None:
            assert ours is None
        else:
            assert ours.dtype == x.dtype
            assert_near(ours, theirs, relative)
    for array, copy in zip((x, weight, bias), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 3), (5, 1)])
@pytest.mark.parametrize(("channels", "outputs"), [(1, 4), (3, 5), (9, 2), (16, 12)])
def test_every_geometry_agrees_with_torch(dtype, kernel, channels, outputs):
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((outputs, channels, *kernel)).astype(dtype), rng.standard_normal(outputs).astype(dtype)
    for size, stride, padding, dilation in product([(9, 12), (8, 7)], [1, 2, (3, 1)], [0, 1, (0, 2), 3], [1, (1, 2)]):
        x = rng.standard_normal((3, channels, *size)).astype(dtype)
        check_conv2d(x, weight, bias, rng, RELATIVE[dtype], stride=stride, padding=padding, dilation=dilation)


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        ((3, 3), {"stride": (2, 1), "padding": 1}),
        ((3, 3), {"stride": (1, 2), "padding": 1}),
        ((3, 2), {"dilation": (2, 3), "padding": (3, 1)}),
        ((2, 1), {"stride": (2, 1)}),
        ((1, 2), {"stride": (1, 2)}),
        ((1, 1), {"padding": (1, 0)}),
        ((1, 1), {"padding": (0, 1)}),
        ((1, 1), {"stride": (2, 1)}),
        ((1, 1), {"stride": (1, 2)}),
    ],
)
@pytest.mark.parametrize("outputs", [4, 9, 12])
def test_options_close_to_a_shortcut_agree_with_torch(kernel, options, outputs):
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((outputs, 9, *kernel)), rng.standard_normal(outputs)
    check_conv2d(images(rng, 3, 9, 8, 10), weight, bias, rng, 1e-12, **options)


@pytest.mark.parametrize("groups", [2, 3, 6])
@pytest.mark.parametrize("stride", [1, 2])
def test_groups_agree_with_torch(groups, stride):
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((12, 6 // groups, 3, 2)), rng.standard_normal(12)
    check_conv2d(images(rng, 3, 6, 7, 8), weight, bias, rng, 1e-12, stride=stride, padding=1, groups=groups)


@pytest.mark.parametrize("layout", ["nchw", "nhwc", "strided"])
@pytest.mark.parametrize("dy_layout", ["nchw", "nhwc", "strided"])
@pytest.mark.parametrize(("channels", "kernel", "stride"), [(3, 3, 1), (10, 3, 1), (10, 3, 2), (10, 1, 1)])
def test_every_memory_layout_agrees_with_torch(layout, dy_layout, channels, kernel, stride):
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((kernel, kernel, channels, 6)).transpose(3, 2, 0, 1)
    x = images(rng, 4, channels, 8, 9, layout=layout)
    check_conv2d(x, weight, rng.standard_normal(12)[::2], rng, 1e-12, layout=dy_layout, stride=stride, padding=kernel // 2)


@pytest.mark.parametrize("block", [1, 100, 700, 2500, 10**6])
@pytest.mark.parametrize("channels", [2, 9])
@pytest.mark.parametrize("stride", [1, 2])
def test_every_block_size_agrees_with_torch(monkeypatch, block, channels, stride):
    monkeypatch.setattr(im2col_module, "BLOCK", block)
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((4, channels, 3, 3)), rng.standard_normal(4)
    check_conv2d(images(rng, 5, channels, 7, 6), weight, bias, rng, 1e-12, stride=stride, padding=1)


def test_blocks_of_rows_leave_out_the_output_padding(monkeypatch):
    monkeypatch.setattr(im2col_module, "BLOCK", 300)  # 3 of 7 rows a block
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 4, 7, 6)), rng.standard_normal((4, 2, 3, 2))
    options = {"dilation": 2, "output_padding": 1}
    y, backward = conv_transpose2d(x, weight, **options)
    dy = rng.standard_normal(y.shape)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, weight)]
    expected = F.conv_transpose2d(*leaves, **options)
    expected.backward(torch.tensor(dy))
    for ours, theirs in zip((y, *backward(dy)[:2]), (expected.detach(), *(leaf.grad for leaf in leaves)), strict=True):
        assert_near(ours, theirs, 1e-12)


def test_the_bias_and_the_images_may_be_missing():
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((4, 9, 3, 3))
    check_conv2d(images(rng, 2, 9, 6, 5), weight, None, rng, 1e-12)
    y, backward = conv2d(np.empty((0, 9, 6, 5)), weight, np.zeros(4))
    dx, dweight, dbias = backward(np.empty_like(y))
    assert y.shape == (0, 4, 4, 3)
    assert dx.shape == (0, 9, 6, 5)
    assert not dweight.any()
    assert not dbias.any()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_an_input_may_need_no_gradient(stride, groups):
    rng = np.random.default_rng(0)
    x, weight, bias = images(rng, 3, 10, 8, 7), rng.standard_normal((4, 10 // groups, 3, 3)), rng.standard_normal(4)
    y, backward = conv2d(x, weight, bias, stride=stride, padding=1, groups=groups)
    dy = rng.standard_normal(y.shape)
    dx, dweight, dbias = backward(dy, (False, True, True))
    expected = torch_conv2d(x, weight, bias, dy, stride=stride, padding=1, groups=groups)
    assert dx is None
    assert_near(dweight, expected[2], 1e-12)
    assert_near(dbias, expected[3], 1e-12)


@pytest.mark.parametrize("stride", [1, 2])
def test_im2col_agrees_with_the_definition(stride):
    rng = np.random.default_rng(0)
    x, weight, bias = images(rng, 3, 10, 8, 7), rng.standard_normal((4, 10, 3, 2)), rng.standard_normal(4)
    win = window("conv2d", x, (3, 2), stride, (1, 0), 1)
    (y, backward), (defined, defined_backward) = conv2d_by_columns(x, weight, bias, win), conv2d_by_taps(x, weight, bias, win, 1)
    dy = rng.standard_normal(y.shape)
    for ours, definition in zip((y, *backward(dy)), (defined, *defined_backward(dy)), strict=True):
        assert_near(ours, definition, 1e-12)


@pytest.mark.parametrize("block", [1, 2000, 10**6])
@pytest.mark.parametrize("padding", [0, 1, (2, 0), 3])
@pytest.mark.parametrize(("size", "layout"), [((8, 12), "nchw"), ((9, 7), "nhwc"), ((6, 10), "strided")])
def test_winograd_agrees_with_the_definition(monkeypatch, block, padding, size, layout):
    monkeypatch.setattr(winograd_module, "BLOCK", block)
    rng = np.random.default_rng(0)
    x, weight, bias = images(rng, 3, 5, *size, layout=layout), rng.standard_normal((4, 5, 3, 3)), rng.standard_normal(4)
    win = window("conv2d", x, (3, 3), 1, padding, 1)
    (y, backward), (defined, defined_backward) = conv2d_by_winograd(x, weight, bias, win), conv2d_by_taps(x, weight, bias, win, 1)
    dy = images(rng, *y.shape, layout=layout)
    for ours, definition in zip((y, *backward(dy)), (defined, *defined_backward(dy)), strict=True):
        assert_near(ours, definition, 1e-12)
    dx, dweight, _ = backward(dy, (False, True, True))
    assert dx is None
    assert_near(dweight, defined_backward(dy)[1], 1e-12)
    y_without, backward = conv2d_by_winograd(x, weight, None, win)
    assert_near(y_without + bias[:, None, None], defined, 1e-12)
    assert backward(dy)[2] is None


def test_winograd_takes_an_empty_batch():
    weight = np.ones((4, 5, 3, 3))
    win = window("conv2d", np.empty((0, 5, 8, 8)), (3, 3), 1, 1, 1)
    y, backward = conv2d_by_winograd(np.empty((0, 5, 8, 8)), weight, np.ones(4), win)
    dx, dweight, dbias = backward(np.empty((0, 4, 8, 8)))
    assert y.shape == (0, 4, 8, 8)
    assert dx.shape == (0, 5, 8, 8)
    assert not dweight.any()
    assert not dbias.any()


def test_winograds_transforms_turn_a_convolution_into_a_product():
    A, B, G = winograd_module.transforms()
    assert all(map(np.array_equal, (A, B, G), (winograd_module.A, winograd_module.B, winograd_module.G)))
    rng = np.random.default_rng(0)
    seen, kernel = rng.standard_normal((6, 6)), rng.standard_normal((3, 3))
    tile = A @ ((B @ seen.ravel()) * (G @ kernel.ravel()))
    assert_near(tile.reshape(1, 1, 4, 4), torch_conv2d(seen[None, None], kernel[None, None], None, np.ones((1, 1, 4, 4)))[0], 1e-13)


def test_winograd_is_chosen_for_wide_3x3_float32_convolutions():
    x, weight = np.zeros((1, 40, 9, 9), np.float32), np.zeros((48, 40, 3, 3), np.float32)

    def suits(x=x, weight=weight, stride=1, dilation=1):
        return suits_winograd(x, weight, window("conv2d", x, weight.shape[2:], stride, 1, dilation))

    assert suits()
    assert suits(weight=weight[:32])
    assert suits(x[..., :4])
    assert not suits(x.astype(np.float64))
    assert not suits(weight=weight[:31])
    assert not suits(weight=weight[:, :31], x=x[:, :31])
    assert not suits(weight=weight[..., :2])
    assert not suits(stride=(1, 2))
    assert not suits(dilation=2)
    assert not suits(x[..., :3])


@pytest.mark.parametrize(("channels", "outputs"), [(17, 24), (32, 48), (128, 64)])
def test_float32_is_nearly_as_accurate_as_torch(channels, outputs):
    rng = np.random.default_rng(0)
    x, weight = images(rng, 8, channels, 14, 14, dtype=np.float32), rng.standard_normal((outputs, channels, 3, 3))
    weight, bias = weight.astype(np.float32), rng.standard_normal(outputs).astype(np.float32)
    y, backward = conv2d(x, weight, bias, padding=1)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    exact = torch_conv2d(x, weight, bias, dy, padding=1)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    theirs = F.conv2d(*leaves, padding=1)
    theirs.backward(torch.tensor(dy))
    for ours, other, right in zip((y, *backward(dy)), (theirs, *(leaf.grad for leaf in leaves)), exact, strict=True):
        unit = max(np.abs(other.detach().numpy() - right).max(), np.finfo(np.float32).eps * np.abs(right).max())
        assert np.abs(ours - right).max() <= 16 * unit  # a quarter of the harness's tolerance


@pytest.mark.parametrize("kernel", [(2, 200), (200, 2), (47, 47)])
def test_max_pooling_takes_large_windows(kernel):
    x = np.arange(3 * 201 * 202, dtype=np.float64).reshape(1, 3, 201, 202)
    y, backward = max_pool2d(x, kernel, 7)
    leaf = torch.tensor(x, requires_grad=True)
    theirs = F.max_pool2d(leaf, kernel, 7)
    dy = np.random.default_rng(0).standard_normal(y.shape)
    theirs.backward(torch.tensor(dy))
    np.testing.assert_array_equal(y, theirs.detach().numpy())
    assert_near(backward(dy), leaf.grad.numpy(), 1e-12)


@pytest.mark.parametrize("layout", ["nchw", "nhwc", "strided"])
@pytest.mark.parametrize("options", [(2,), (3, 2, 1), ((2, 3), (1, 2)), (2, 2, 1), (2, 1, 1, 2), (3, 4)])
def test_max_pooling_gives_the_gradient_to_the_first_maximum(layout, options):
    rng = np.random.default_rng(0)
    x = images(rng, 3, 5, 9, 8, layout=layout)
    np.copyto(x, np.round(x))  # few distinct values: nearly every window has equal maxima
    y, backward = max_pool2d(x, *options)
    leaf = torch.tensor(x, requires_grad=True)
    theirs = F.max_pool2d(leaf, *options)
    dy = images(rng, *y.shape, layout=layout)
    theirs.backward(torch.tensor(dy))
    np.testing.assert_array_equal(y, theirs.detach())
    assert_near(backward(dy), leaf.grad, 1e-15)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_max_pooling_propagates_nan(layout):
    x = images(np.random.default_rng(0), 2, 3, 6, 8, layout=layout)
    x[0, 1, 2, 3] = x[1, 2, 0, 0] = x[1, 0, 5, 7] = np.nan
    y, _ = max_pool2d(x, 2)
    np.testing.assert_array_equal(y, F.max_pool2d(torch.tensor(x), 2))
    assert np.isnan(y).sum() == 3


def test_max_pooling_counts_more_than_256_taps():
    rng = np.random.default_rng(0)
    x = images(rng, 1, 2, 20, 34)
    y, backward = max_pool2d(x, (20, 17))
    leaf = torch.tensor(x, requires_grad=True)
    theirs = F.max_pool2d(leaf, (20, 17))
    dy = rng.standard_normal(y.shape)
    theirs.backward(torch.tensor(dy))
    assert_near(backward(dy), leaf.grad, 1e-15)


@pytest.mark.parametrize("op", ["relu", "max_pool2d", "cross_entropy"])
def test_blocks_and_threads_change_no_bit(monkeypatch, op):
    """Compare the values to the last bit, with the work cut in another way."""
    rng = np.random.default_rng(0)
    x, dy, labels = rng.standard_normal((7, 6, 8, 9)), rng.standard_normal((7, 6, 8, 9)), rng.integers(0, 6, (7, 8, 9))

    def run():
        if op == "relu":
            y, backward = relu(x)
            return y, backward(dy)
        if op == "max_pool2d":
            y, backward = max_pool2d(x, 3, 2, 1)
            return y, backward(dy[:, :, ::2, ::2][:, :, :4, :5])
        y, backward = cross_entropy(x, labels, label_smoothing=0.1)
        return y, backward(np.float64(3))[0]

    whole = run()
    monkeypatch.setattr(threads, "BLOCK", 100)
    monkeypatch.setattr(threads, "_chosen", 3)
    for cut, uncut in zip(run(), whole, strict=True):
        np.testing.assert_array_equal(cut, uncut)


def test_an_error_in_a_thread_reaches_the_caller():
    def work(part):
        if part.start:
            raise FloatingPointError("seen")

    with pytest.raises(FloatingPointError, match="seen"):
        threads.in_blocks(work, np.empty((8, threads.BLOCK)))


@pytest.mark.parametrize("offset", [0, 3e3])
def test_sums_in_float32_are_accurate(offset):
    """Sum 200,000 rows, and compare with the exact sum; the tolerance is the rounding of the sum itself."""
    rows = (np.random.default_rng(0).standard_normal((200_003, 5)) + offset).astype(np.float32)
    exact = rows.astype(np.float64).sum(axis=0)
    scale = np.finfo(np.float32).eps * max(np.abs(exact).max(), np.sqrt(len(rows)) * (1 + offset))
    assert np.abs(column_sums(rows) - exact).max() <= 4 * scale
    pixels = rows[:200_000].reshape(20, 100, 100, 5).transpose(0, 3, 1, 2)
    for layout in (pixels, np.ascontiguousarray(pixels), pixels[:, :, 1:-1, 1:-1]):
        exact = layout.astype(np.float64).sum(axis=(0, 2, 3))
        assert np.abs(channel_sums(layout) - exact).max() <= 4 * scale


def test_the_bias_gradient_of_linear_sums_every_row():
    rng = np.random.default_rng(0)
    x, weight, dy = rng.standard_normal((3, 301, 4)), rng.standard_normal((5, 4)), rng.standard_normal((3, 301, 5))
    _, backward = linear(x, weight, rng.standard_normal(5))
    assert_near(backward(dy)[2], dy.sum(axis=(0, 1)), 1e-13)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_takes_an_upstream_gradient_other_than_1(reduction):
    """Use another upstream gradient than 1, for which the gradient is prepared in the forward."""
    rng = np.random.default_rng(0)
    x, labels, weight = rng.standard_normal((7, 5, 3)), rng.integers(0, 5, (7, 3)), rng.random(5)
    loss, backward = cross_entropy(x, labels, weight, ignore_index=2, label_smoothing=0.1, reduction=reduction)
    dloss = rng.standard_normal(loss.shape)
    leaf = torch.tensor(x, requires_grad=True)
    options = dict(ignore_index=2, label_smoothing=0.1, reduction=reduction)
    theirs = F.cross_entropy(leaf, torch.tensor(labels), torch.tensor(weight), **options)
    theirs.backward(torch.tensor(dloss))
    assert_near(loss, theirs.detach(), 1e-13)
    assert_near(backward(np.asarray(dloss))[0], leaf.grad, 1e-13)


def test_relu_has_gradient_0_at_0():
    _, backward = relu(np.array([-1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(backward(np.ones(3)), [0, 0, 1])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dy_layout", ["nchw", "nhwc", "strided"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc", "strided", "repeated"])
def test_batch_norm_agrees_with_torch_in_every_memory_layout(layout, dy_layout, training):
    rng = np.random.default_rng(0)
    x = images(rng, 4, 3, 5, 6, layout="nchw" if layout == "repeated" else layout)
    if layout == "repeated":
        x = np.broadcast_to(x[:, :, :1], x.shape)
    weight, bias, mean, dy = (*rng.standard_normal((3, 3)), images(rng, *x.shape, layout=dy_layout))
    var = rng.random(3) + 0.5
    (y, _, _), backward = batch_norm(x, weight, bias, mean, var, training)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    theirs = F.batch_norm(leaves[0], torch.tensor(mean), torch.tensor(var), *leaves[1:], training=training)
    theirs.backward(torch.tensor(dy))
    assert_near(y, theirs.detach(), 1e-12)
    for ours, leaf in zip(backward(dy), leaves, strict=False):
        assert_near(ours, leaf.grad, 1e-12)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_batch_norm_is_accurate_far_from_zero(layout):
    """Use a mean of 1e4 standard deviations; there a one-pass variance or a careless mean in float32 fails."""
    rng = np.random.default_rng(0)
    x = images(rng, 16, 6, 24, 24, dtype=np.float32, layout=layout) + np.float32(1e4)
    weight, bias, dy = (rng.standard_normal(s).astype(np.float32) for s in (6, 6, x.shape))
    (y, _, _), backward = batch_norm(x, weight, bias, training=True)
    leaves = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in (x, weight, bias)]
    right = F.batch_norm(leaves[0], None, None, leaves[1], leaves[2], training=True)
    right.backward(torch.tensor(dy.astype(np.float64)))
    assert_near(y, right.detach(), 1e-3)
    for ours, leaf in zip(backward(dy), leaves, strict=False):
        assert_near(ours, leaf.grad, 1e-3)
