"""assert_parity as a stranger would use it: on functions and modules that are none of ours."""

import numpy as np
import pytest
import torch

from parity import ParityError, assert_parity
from scratch.layers import Linear

RNG = np.random.default_rng(0)
X, W, B = RNG.normal(size=(5, 7)), RNG.normal(size=(3, 7)), RNG.normal(size=3)


def my_linear(x, weight, bias):
    return x @ weight.T + bias, lambda dy: (dy @ weight, dy.T @ x, dy.sum(0))


def test_a_right_function_passes():
    assert_parity(my_linear, torch.nn.functional.linear, inputs={"x": X, "weight": W, "bias": B})


def test_a_wrong_gradient_is_named():
    def forgets_transpose(x, weight, bias):
        return x @ weight.T + bias, lambda dy: (dy @ weight, dy.T @ x, dy.mean(0))

    with pytest.raises(ParityError) as caught:
        assert_parity(forgets_transpose, torch.nn.functional.linear, inputs={"x": X, "weight": W, "bias": B})
    message = str(caught.value)
    assert "forgets_transpose, backward: error" in message
    assert "grad bias is off by" in message
    assert "grad weight" not in message


def test_options_reach_both_sides():
    def my_leaky_relu(x, negative_slope):
        slope = np.where(x > 0, 1, negative_slope).astype(x.dtype)
        return x * slope, lambda dy: dy * slope

    assert_parity(my_leaky_relu, torch.nn.functional.leaky_relu, inputs={"x": X}, negative_slope=0.3)


def test_integers_and_constants_have_no_gradient():
    def my_cross_entropy(x, labels, weight):
        rows = np.arange(len(x))
        p = np.exp(x - x.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        w = weight[labels]

        def backward(dy):
            onehot = np.zeros_like(p)
            onehot[rows, labels] = 1
            return (p - onehot) * (w / w.sum())[:, None] * dy, None, None

        return -(w * np.log(p[rows, labels])).sum() / w.sum(), backward

    inputs = {"x": X, "labels": RNG.integers(0, 7, 5), "weight": RNG.uniform(0.5, 2, 7)}
    assert_parity(my_cross_entropy, torch.nn.functional.cross_entropy, inputs, constants=("weight",))
    with pytest.raises(ValueError, match="constants names 'w', expected one of the inputs: x, labels, weight"):
        assert_parity(my_cross_entropy, torch.nn.functional.cross_entropy, inputs, constants=("w",))


def test_modules_share_their_weights():
    assert_parity(Linear(7, 3), torch.nn.Linear(7, 3), inputs={"x": X})
    with pytest.raises(ValueError, match="a module takes no options, got bias"):
        assert_parity(Linear(7, 3), torch.nn.Linear(7, 3), inputs={"x": X}, bias=True)


def test_float32_can_be_judged_alone():
    def loses_digits(x):
        return np.sin(x.astype(np.float32)).astype(x.dtype), lambda dy: dy * np.cos(x)

    assert_parity(loses_digits, torch.sin, inputs={"x": X}, dtypes=("float32",))
    with pytest.raises(ParityError, match="y is off by"):
        assert_parity(loses_digits, torch.sin, inputs={"x": X})


def test_several_outputs_take_several_gradients():
    def my_min_max(x):
        low, high = x.argmin(1), x.argmax(1)
        rows = np.arange(len(x))

        def backward(dmin, dmax):
            dx = np.zeros_like(x)
            dx[rows, low] += dmin
            dx[rows, high] += dmax
            return dx

        return (x[rows, low], x[rows, high]), backward

    assert_parity(my_min_max, lambda x: (x.min(1).values, x.max(1).values), inputs={"x": X})
