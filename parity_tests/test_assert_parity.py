"""assert_parity as a stranger would use it: on functions and modules that are none of ours."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from parity import ParityError, assert_parity
from scratch.layers import Linear, ReLU, Sequential

README = Path(__file__).parents[1] / "README.md"
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


def first_line(mine, theirs, error=ParityError, **inputs):
    """Return the first line of the message with which assert_parity fails."""
    with pytest.raises(error) as caught:
        assert_parity(mine, theirs, inputs=inputs)
    return str(caught.value).splitlines()[0]


def test_the_first_line_has_the_cause():
    def my_linear(x, weight, bias):
        return x @ weight.T + bias, lambda dy: (dy @ weight, dy.T @ x / 5, dy.sum(0))

    said = first_line(my_linear, torch.nn.functional.linear, x=X, weight=W, bias=B)
    cause = "grad weight needs the factor 5 = x.shape[0] = x.size / x.shape[1] = dy.shape[0]"
    assert said == f"my_linear differs from torch's linear: {cause} (float64)"
    assert f"    {said}\n" in README.read_text()


def test_the_first_line_has_the_worst_tensor_where_no_cause_is_certain():
    def reference(x):
        return torch.tanh(x) + 0.1 * x**3

    said = first_line(lambda x: (np.tanh(x), lambda dy: dy / np.cosh(x) ** 2), reference, x=X)
    assert said.startswith("<lambda> differs from reference: y is off by")
    assert said.endswith("(float64)")


def test_the_first_line_has_the_layer_to_blame():
    mine = Sequential(Linear(7, 5), ReLU(), Linear(5, 3))
    theirs = torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.Sigmoid(), torch.nn.Linear(5, 3))
    said = first_line(mine, theirs, x=X)
    assert said == "Sequential differs from torch's Sequential: 1 (ReLU) is wrong in its forward (float64)"


def test_the_first_line_says_what_does_not_run():
    def raises(x):
        raise KeyError("hidden")

    def unwritten(x):
        raise NotImplementedError("the forward of mine is not written")

    said = first_line(raises, torch.relu, x=X)
    assert said.startswith("raises cannot be compared with torch's relu: KeyError: 'hidden' (test_assert_parity.py:")
    assert first_line(unwritten, torch.relu, x=X) == "unwritten is not complete: the forward of mine is not written"


def test_a_reference_that_does_not_run_is_said_in_one_line():
    def reference(x, weight, bias):
        return torch.nn.functional.linear(x, weight.T, bias)

    with pytest.raises(ValueError, match=r"^reference does not run on these inputs: RuntimeError: .*, in reference\)$") as caught:
        assert_parity(my_linear, reference, inputs={"x": X, "weight": W, "bias": B})
    assert "\n" not in str(caught.value)
    said = first_line(my_linear, lambda x: x.nothing, ValueError, x=X)
    assert said.startswith("the reference does not run on these inputs: AttributeError: 'Tensor' object has no attribute 'nothing'")


def test_a_failure_goes_to_another_process():
    error = pickle.loads(pickle.dumps(ParityError("my_linear differs")))
    assert type(error) is ParityError
    assert str(error) == "my_linear differs"


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
