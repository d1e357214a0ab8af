"""Edges of the allowed inputs: smallest sizes, last values of options, defaults, empty arrays."""

import math

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from parity import assert_parity
from parity.inputs import Draw
from parity_tests.shared import assert_equal_up_to_rounding
from scratch import layers, models, ops
from scratch.fast.normal_cdf import normal_cdf
from scratch.optim import clip_grad_norm_
from scratch.random import generator, use_generator

F = torch.nn.functional


def normal(*shape):
    return Draw(0).normal(*shape)


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_softmax_uses_the_last_axis_by_default(op):
    x = normal(5, 3, 4)
    assert np.array_equal(getattr(ops, op)(x)[0], getattr(ops, op)(x, 2)[0])


def test_flatten_joins_all_but_the_first_axis_by_default():
    assert ops.flatten(normal(3, 5, 2, 7))[0].shape == (3, 70)
    assert ops.flatten(normal(3, 5), 1, 1)[0].shape == (3, 5)


def test_flatten_turns_a_number_into_one_element():
    y, backward = ops.flatten(np.array(2.5), 0)
    assert y.tolist() == [2.5]
    assert backward(np.ones(1)).shape == ()
    assert ops.softmax(np.array(2.5), 0)[0] == 1


@pytest.mark.parametrize("ignored_value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_an_ignored_row_has_no_effect(ignored_value, smoothing):
    x = np.array([[2.0, 1.0], [1.0, 3.0], [0.5, 0.5]])
    target, broken = np.array([0, 1, -100]), x.copy()
    broken[2] = ignored_value
    for given in (broken, np.where(np.arange(2) == 0, broken, x)):
        with np.errstate(invalid="ignore"):
            loss, backward = ops.cross_entropy(given, target, label_smoothing=smoothing)
        clean, clean_backward = ops.cross_entropy(x, target, label_smoothing=smoothing)
        assert loss == clean
        assert np.array_equal(backward(np.float64(1))[0], clean_backward(np.float64(1))[0])
        assert ops.nll_loss(given, target)[0] == ops.nll_loss(x, target)[0]


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_steps_after_the_end_of_a_sequence_have_no_effect(name):
    T, B, I, H, gates = 3, 2, 3, 4, {"rnn": 1, "gru": 3, "lstm": 4}[name]
    x, counts = normal(T, B, I), np.array([2, 1, 1])
    broken = x.copy()
    broken[1:, 1] = np.nan
    states = [normal(B, H)] * (2 if name == "lstm" else 1)
    weights = normal(gates * H, I), normal(gates * H, H)
    results = []
    for given in (x, broken):
        (y, *ends), backward = getattr(ops, name)(given, *states, *weights, counts=counts)
        results.append([y, *ends, *(g for g in backward(np.ones_like(y), *map(np.ones_like, ends)) if g is not None)])
    for clean, found in zip(*results, strict=True):
        assert np.array_equal(clean, found)


@pytest.mark.parametrize("name", ["masked_mean", "masked_max"])
def test_masked_pooling_ignores_steps_beyond_the_lengths(name):
    x = np.array([[[1.0], [3.0], [np.nan]]])
    y, backward = getattr(ops, name)(x, np.array([2]))
    assert y == {"masked_mean": 2, "masked_max": 3}[name]
    assert backward(np.full((1, 1), np.inf))[0][0, 2] == 0


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e300, -1e300, 700.0, -700.0])


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "sigmoid", "tanh", "silu"])
def test_activations_agree_with_torch_at_extreme_numbers(name):
    leaf = torch.from_numpy(SPECIAL.copy()).requires_grad_()
    theirs = getattr(F, name)(leaf)
    theirs.backward(torch.ones_like(theirs))
    with np.errstate(all="ignore"):
        y, backward = getattr(ops, name)(SPECIAL)
        dx = backward(np.ones_like(SPECIAL))
    np.testing.assert_allclose(y, theirs.detach().numpy(), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits"])
def test_losses_agree_with_torch_at_extreme_numbers(name):
    x, target = (grid.ravel().copy() for grid in np.meshgrid(SPECIAL, SPECIAL))
    leaves = [torch.from_numpy(array.copy()).requires_grad_() for array in (x, target)]
    theirs = getattr(F, name)(*leaves, reduction="none")
    theirs.backward(torch.ones_like(theirs))
    with np.errstate(all="ignore"):
        y, backward = getattr(ops, name)(x, target, reduction="none")
        gradients = backward(np.ones_like(x))
    np.testing.assert_allclose(y, theirs.detach().numpy(), rtol=1e-9, atol=1e-15)
    for found, leaf in zip(gradients, leaves, strict=False):
        np.testing.assert_allclose(found, leaf.grad.numpy(), rtol=1e-9, atol=1e-15)


def test_an_infinite_upstream_gradient_does_not_spread():
    _, backward = ops.relu(np.array([1.0, -1.0]))
    assert backward(np.array([np.inf, np.inf])).tolist() == [np.inf, 0]
    _, backward = ops.max_pool2d(np.arange(8.0).reshape(1, 2, 4), 2)
    assert backward(np.array([[[np.inf, 1.0]]])).tolist() == [[[0, 0, 0, 0], [0, np.inf, 0, 1]]]


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("number", [np.nan, -np.inf])
def test_max_pooling_of_nan_and_infinity_agrees_with_torch(number, padding):
    x = np.full((1, 1, 4, 4), -np.inf)
    x[0, 0, 2:, 2:] = [[1, 2], [3, 4]]
    x[0, 0, 1, 2], x[0, 0, 2, 3] = number, number
    leaf = torch.from_numpy(x.copy()).requires_grad_()
    theirs = F.max_pool2d(leaf, 3, 1, padding)
    dy = normal(*theirs.shape)
    theirs.backward(torch.from_numpy(dy))
    y, backward = ops.max_pool2d(x, 3, 1, padding)
    assert np.array_equal(y, theirs.detach().numpy(), equal_nan=True)
    assert_equal_up_to_rounding(backward(dy), leaf.grad.numpy(), 1e-12)


def test_infinity_outside_a_region_has_no_effect():
    x = np.ones((1, 4, 4))
    x[0, 0, 0] = np.inf
    with np.errstate(invalid="ignore"):
        assert ops.adaptive_avg_pool2d(x, 2)[0].tolist() == [[[np.inf, 1], [1, 1]]]
        corners = ops.box_convert(np.array([[np.inf, 1.0, 2.0, 3.0]]), "cxcywh", "xyxy")[0]
        table = ops.interpolate_positions(np.where(np.arange(9)[None, :, None] == 0, np.inf, 1.0), (3, 3), (6, 6))[0]
    assert corners.tolist() == [[np.inf, -0.5, np.inf, 2.5]]
    assert np.isfinite(table.reshape(6, 6)[5]).all()


EMPTY_MODELS = {
    "CNN": (lambda: models.CNN(1, (8, 8), 3, channels=(2,), hidden=4), (1, 8, 8)),
    "AlexNet": (lambda: models.AlexNet(3, 1, width=2, hidden=4), (1, 63, 63)),
    "VGG": (lambda: models.VGG(11, classes=3, in_channels=1, width=2, hidden=4), (1, 32, 32)),
    "ViT": (lambda: models.ViT(1, 8, 4, 3, 6, 1, 2, 8), (1, 8, 8)),
    "ResNet": (lambda: models.ResNet(10, 3, 1, width=2, small_images=True).eval(), (1, 8, 8)),
    "UNet": (lambda: models.UNet(1, 3, 1, 2).eval(), (1, 8, 8)),
    "MLP": (lambda: models.MLP(5, [4], 3), (5,)),
}


@pytest.mark.parametrize("name", EMPTY_MODELS)
def test_models_take_an_empty_batch(name):
    make, shape = EMPTY_MODELS[name]
    model, x = make(), np.zeros((0, *shape), np.float32)
    y, backward = model(x)
    dx = backward(np.zeros_like(y))
    assert len(y) == 0
    assert dx.shape == x.shape
    assert {y.dtype, dx.dtype} == {np.dtype(np.float32)}
    assert all(p.grad is not None and p.grad.shape == p.data.shape and not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("op", ["cross_entropy", "nll_loss"])
def test_losses_without_rows_agree_with_torch(op, reduction):
    nothing, labels = np.zeros((0, 7)), np.zeros(0, int)
    loss, backward = getattr(ops, op)(nothing, labels, reduction=reduction)
    theirs = getattr(F, op)(torch.from_numpy(nothing), torch.from_numpy(labels), reduction=reduction)
    assert np.array_equal(loss, theirs.item(), equal_nan=True)
    assert backward(np.float64(1))[0].shape == (0, 7)


@pytest.mark.parametrize("op", ["cross_entropy", "nll_loss"])
def test_losses_take_a_single_class(op):
    inputs = {"input": normal(4, 1), "target": np.array([0, -100, 0, 0])}
    if op == "nll_loss":
        assert_parity(ops.nll_loss, F.nll_loss, inputs)
    loss, backward = getattr(ops, op)(*inputs.values())
    assert np.isfinite(loss)
    assert backward(np.float64(1))[0][1] == 0


@pytest.mark.parametrize("smoothing", [0, 1])
def test_label_smoothing_of_0_and_1_agrees_with_torch(smoothing):
    inputs = {"input": normal(5, 7), "target": np.arange(5)}
    assert_parity(ops.cross_entropy, F.cross_entropy, inputs, label_smoothing=float(smoothing))


def test_losses_return_a_gradient_for_each_input():
    x, labels = normal(5, 7), np.arange(5)
    for loss, target in (
        (layers.CrossEntropyLoss(), labels),
        (layers.NLLLoss(), labels),
        (layers.BCEWithLogitsLoss(), np.ones((5, 7))),
        (layers.MSELoss(), x),
    ):
        assert len(loss(x, target)[1](np.float64(1))) == 2, loss


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_dropout_takes_probabilities_0_and_1(p):
    x, keep = normal(5, 7), Draw(1).booleans(5, 7)
    assert np.array_equal(layers.Dropout(p)(x)[0], (1 - p) * x)
    assert np.array_equal(ops.dropout(x, keep, p)[0], (1 - p) * x * keep)


def test_batch_norm_takes_two_values_a_channel_when_training():
    x, mean, var = normal(2, 5), normal(5), Draw(0).positive(5)

    def in_training(x):
        (y, _, _), backward = ops.batch_norm(x, training=True)
        return y, lambda dy: backward(dy)[0]

    assert_parity(in_training, lambda x: F.batch_norm(x, None, None, training=True), {"x": x})
    (y, _, _), _ = ops.batch_norm(x[:1], None, None, mean, var)
    assert np.allclose(y, (x[:1] - mean) / np.sqrt(var + 1e-5))


def test_a_cumulative_average_starts_with_the_first_batch():
    x = normal(6, 5)
    norm = layers.BatchNorm1d(5, momentum=None).astype(np.float64)
    norm.eval()(x)
    norm.train()(x)
    assert np.allclose(norm.running_mean.data, x.mean(axis=0))
    assert np.allclose(norm.running_var.data, x.var(axis=0, ddof=1))


@pytest.mark.parametrize(
    ("name", "sizes", "x"),
    [("Linear", (1, 1), normal(3, 1)), ("Conv2d", (1, 1, 1), normal(2, 1, 3, 4)), ("BatchNorm1d", (1,), normal(5, 1))],
)
def test_layers_may_have_one_feature(name, sizes, x):
    assert_parity(getattr(layers, name)(*sizes), getattr(torch.nn, name)(*sizes), {"x": x})


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "silu", "gelu", "sigmoid", "tanh"])
@pytest.mark.parametrize("number", [-1.5, 0.0, 2.0])
def test_activations_take_a_single_number(name, number):
    assert_parity(getattr(ops, name), getattr(F, name), {"x": np.array(number)})


def test_the_normal_cdf_is_accurate_in_float32():
    """Test the cdf by itself: gelu's values can be large and hide an error near 0."""
    x = np.linspace(-8, 8, 1 << 17, dtype=np.float32)
    cdf = np.empty_like(x)
    normal_cdf(cdf, x)
    assert np.abs(cdf - ndtr(x.astype(np.float64))).max() < 1.2e-7
    assert (np.diff(cdf) >= 0).all()
    far = np.array([-np.inf, -3e38, 3e38, np.inf], np.float32)
    normal_cdf(cdf[:4], far)
    assert cdf[:4].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("dim", [0, -1, 1])
@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape", [(300_000,), (1, 300_001), (2, 150_001), (3, 2, 70_001)])
def test_softmax_of_long_axes_agrees_with_torch(op, shape, dim):
    x = normal(*shape)
    dim = dim if dim < x.ndim else 0
    ours, backward = getattr(ops, op)(x, dim)
    theirs = getattr(F, op)(torch.from_numpy(x).requires_grad_(), dim)
    assert_equal_up_to_rounding(ours, theirs.detach().numpy(), 1e-11)
    dy = normal(*shape)
    leaf = torch.from_numpy(x).requires_grad_()
    getattr(F, op)(leaf, dim).backward(torch.from_numpy(dy))
    np.testing.assert_allclose(backward(dy), leaf.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dy", [0.0, 2.0, -1.0])
def test_a_loss_gradient_scales_with_dy_and_may_be_repeated(dy):
    loss, backward = ops.cross_entropy(normal(5, 7), np.arange(5))
    once = backward(np.ones_like(loss))[0].copy()
    for _ in range(2):
        assert np.allclose(backward(np.float64(dy))[0], dy * once, rtol=1e-14, atol=0)


@pytest.mark.parametrize("op", ["avg_pool2d", "max_pool2d"])
def test_pooling_takes_a_single_image(op):
    options = {"count_include_pad": False} if op == "avg_pool2d" else {}
    assert_parity(getattr(ops, op), getattr(F, op), {"x": normal(5, 9, 7)}, kernel_size=(3, 2), stride=2, padding=1, **options)


def test_adaptive_pooling_takes_a_single_image():
    assert_parity(ops.adaptive_avg_pool2d, F.adaptive_avg_pool2d, {"x": normal(5, 9, 7)}, output_size=(4, 3))


def test_a_model_takes_the_smallest_images_that_fit():
    logits, _ = models.CNN(1, (8, 9), 3, channels=(2, 3, 4))(normal(2, 1, 8, 9).astype(np.float32))
    assert logits.shape == (2, 3)
    with pytest.raises(ValueError, match="7x9 are too small for 3 blocks"):
        models.CNN(1, (7, 9), 3, channels=(2, 3, 4))


@pytest.mark.parametrize(
    ("make", "bound"),
    [
        (lambda: layers.Linear(50, 400), 50**-0.5),
        (lambda: layers.Conv2d(6, 400, (3, 5), groups=2), 45**-0.5),
    ],
    ids=["Linear", "Conv2d"],
)
def test_initial_weights_reach_their_bound(make, bound):
    with use_generator(np.random.default_rng(0)):
        weight = make().weight.data
        assert generator().random() > 0
    assert bound * 0.999 < weight.max() <= bound
    assert -bound <= weight.min() < -bound * 0.999


@pytest.mark.parametrize("norm_type", [1, 2, math.inf])
def test_clipping_takes_an_empty_list(norm_type):
    assert clip_grad_norm_([], 1.0, norm_type) == 0
