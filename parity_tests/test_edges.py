"""The edges of what is allowed: the smallest sizes, the last values of an option, defaults, nothing at all."""

import math

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from parity import assert_parity
from parity.inputs import Draw
from scratch import layers, models, ops
from scratch.ops.normal_cdf import normal_cdf
from scratch.optim import clip_grad_norm_
from scratch.random import generator, use_generator

F = torch.nn.functional


def normal(*shape):
    return Draw(0).normal(*shape)


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_softmax_runs_along_the_last_axis_by_default(op):
    x = normal(5, 3, 4)
    assert np.array_equal(getattr(ops, op)(x)[0], getattr(ops, op)(x, 2)[0])


def test_flatten_joins_all_but_the_first_axis_by_default():
    assert ops.flatten(normal(3, 5, 2, 7))[0].shape == (3, 70)
    assert ops.flatten(normal(3, 5), 1, 1)[0].shape == (3, 5)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("op", ["cross_entropy", "nll_loss"])
def test_no_labels(op, reduction):
    nothing, labels = np.zeros((0, 7)), np.zeros(0, int)
    loss, backward = getattr(ops, op)(nothing, labels, reduction=reduction)
    theirs = getattr(F, op)(torch.from_numpy(nothing), torch.from_numpy(labels), reduction=reduction)
    assert np.array_equal(loss, theirs.item(), equal_nan=True)
    assert backward(np.float64(1))[0].shape == (0, 7)


@pytest.mark.parametrize("op", ["cross_entropy", "nll_loss"])
def test_one_class(op):
    inputs = {"input": normal(4, 1), "target": np.array([0, -100, 0, 0])}
    if op == "nll_loss":
        assert_parity(ops.nll_loss, F.nll_loss, inputs)
    loss, backward = getattr(ops, op)(*inputs.values())
    assert np.isfinite(loss)
    assert backward(np.float64(1))[0][1] == 0


@pytest.mark.parametrize("smoothing", [0, 1])
def test_smoothing_of_nothing_and_of_everything(smoothing):
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
def test_dropout_of_nothing_and_of_everything(p):
    x, keep = normal(5, 7), Draw(1).booleans(5, 7)
    assert np.array_equal(layers.Dropout(p)(x)[0], (1 - p) * x)
    assert np.array_equal(ops.dropout(x, keep, p)[0], (1 - p) * x * keep)


def test_batch_norm_takes_two_values_a_channel_when_training_and_one_otherwise():
    x, mean, var = normal(2, 5), normal(5), Draw(0).positive(5)

    def in_training(x):
        (y, _, _), backward = ops.batch_norm(x, training=True)
        return y, lambda dy: backward(dy)[0]

    assert_parity(in_training, lambda x: F.batch_norm(x, None, None, training=True), {"x": x})
    (y, _, _), _ = ops.batch_norm(x[:1], None, None, mean, var)
    assert np.allclose(y, (x[:1] - mean) / np.sqrt(var + 1e-5))


def test_an_average_starts_with_the_first_batch():
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
def test_layers_of_one_feature(name, sizes, x):
    assert_parity(getattr(layers, name)(*sizes), getattr(torch.nn, name)(*sizes), {"x": x})


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "silu", "gelu", "sigmoid", "tanh"])
@pytest.mark.parametrize("number", [-1.5, 0.0, 2.0])
def test_activations_of_one_number(name, number):
    assert_parity(getattr(ops, name), getattr(F, name), {"x": np.array(number)})


def test_the_normal_distribution_function_in_float32():
    """gelu's values can be large: what is wrong with its cdf near 0 would be lost behind them."""
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
def test_softmax_of_long_axes(op, shape, dim):
    x = normal(*shape)
    dim = dim if dim < x.ndim else 0
    ours, backward = getattr(ops, op)(x, dim)
    theirs = getattr(F, op)(torch.from_numpy(x).requires_grad_(), dim)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-11)
    dy = normal(*shape)
    leaf = torch.from_numpy(x).requires_grad_()
    getattr(F, op)(leaf, dim).backward(torch.from_numpy(dy))
    np.testing.assert_allclose(backward(dy), leaf.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dy", [0.0, 2.0, -1.0])
def test_the_gradient_of_a_loss_scales_with_what_it_is_given_and_may_be_asked_for_twice(dy):
    loss, backward = ops.cross_entropy(normal(5, 7), np.arange(5))
    once = backward(np.ones_like(loss))[0].copy()
    for _ in range(2):
        assert np.allclose(backward(np.float64(dy))[0], dy * once, rtol=1e-14, atol=0)


@pytest.mark.parametrize("op", ["avg_pool2d", "max_pool2d"])
def test_pooling_of_one_image(op):
    options = {"count_include_pad": False} if op == "avg_pool2d" else {}
    assert_parity(getattr(ops, op), getattr(F, op), {"x": normal(5, 9, 7)}, kernel_size=(3, 2), stride=2, padding=1, **options)


def test_adaptive_pooling_of_one_image():
    assert_parity(ops.adaptive_avg_pool2d, F.adaptive_avg_pool2d, {"x": normal(5, 9, 7)}, output_size=(4, 3))


def test_the_smallest_images_for_a_model():
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
def test_no_gradients_to_clip(norm_type):
    assert clip_grad_norm_([], 1.0, norm_type) == 0
