"""The contract of every op and module: inputs are plain arrays, upstream gradients look like the value."""

import inspect
import re

import numpy as np
import pytest
import torch

import scratch.ops
from parity.cases import CASES
from parity.check import reference_run_of
from parity.running import nested
from parity.running.builders import builders
from parity.running.problem import copied
from parity_tests.shared import assert_refused_in_one_line
from scratch.contract import op
from scratch.layers import LSTM, Linear
from scratch.module import Module

FIRST_CASES = {case.scratch: case for case in reversed(CASES) if case.has_backward}
LOSSES = [
    case
    for case in CASES
    if case.scratch.startswith(("ops.", "layers.")) and case.scratch.lower().endswith(("loss", "entropy", "logits"))
]
X, WEIGHT = np.ones((3, 5), np.float32), np.ones((4, 5), np.float32)


class Metres(np.ndarray):
    """A subclass of an array, which may compute in other ways."""


def wrong_versions(dy):
    """Yield upstream gradients that differ from `dy` in shape, dtype or type; NumPy would broadcast many of them."""
    yield from (dy[None], dy[..., None], np.broadcast_to(dy, (2, *dy.shape)), dy.astype(np.float32), torch.from_numpy(dy))
    if dy.ndim:
        yield from (dy.tolist(), dy[0], dy.sum(), 1.0, np.concatenate([dy, dy]), dy.reshape(-1, 1))
        yield from (version for version in (dy[:1], dy.T, dy[..., :1], dy.ravel()) if version.shape != dy.shape)


@pytest.mark.parametrize("target", FIRST_CASES)
def test_a_backward_refuses_upstream_gradients_unlike_its_value(target):
    case = FIRST_CASES[target]
    problem = reference_run_of(case, 0).problem
    subject = builders(case)[0]()
    if isinstance(subject, Module):
        subject.astype(np.float64).load_state_dict(problem.state)
    inputs = nested.map_leaves(copied, dict(problem.inputs)).values()
    y, backward = subject(*inputs)
    for place, dy in enumerate(problem.cotangents):
        for wrong in wrong_versions(dy):
            upstream = [*problem.cotangents[:place], wrong, *problem.cotangents[place + 1 :]]
            with pytest.raises(ValueError, match=re.escape(f"float64 {dy.shape}, got ")) as caught:
                backward(*upstream)
            assert "expected an upstream gradient like y" in str(caught.value)
    if isinstance(subject, Module):
        assert all(parameter.grad is None for parameter in subject.parameters())
    if problem.cotangents:
        with pytest.raises(ValueError, match="upstream gradient"):
            backward(*problem.cotangents, *(np.ones(1) for leaf in nested.leaves("y", y)))
        backward(*problem.cotangents)  # a refused call leaves the backward usable


@pytest.mark.parametrize("name", scratch.ops.__all__)
def test_every_op_keeps_the_contract(name):
    assert inspect.unwrap(getattr(scratch.ops, name)) is not getattr(scratch.ops, name)


@pytest.mark.parametrize(
    ("x", "got"),
    [
        (X.tolist(), "got list; convert it with np.asarray(...)"),
        (torch.ones(3, 5), "got torch.Tensor; convert it with .detach().cpu().numpy()"),
        (np.ma.masked_array(X, X > 0), "got numpy.ma.MaskedArray; fill it with .filled(value)"),
        (X.view(Metres), f"got {Metres.__module__}.Metres; convert it with np.asarray(...)"),
        (1.0, "got float; convert it with np.asarray(...)"),
        (None, "got None"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_input_that_is_no_plain_array_is_refused(x, got):
    assert_refused_in_one_line(lambda: scratch.ops.linear(x, WEIGHT), f"linear: expected x to be a NumPy array, {got}")
    assert_refused_in_one_line(lambda: scratch.ops.linear(x=x, weight=WEIGHT), f"linear: expected x to be a NumPy array, {got}")
    assert_refused_in_one_line(lambda: Linear(5, 4)(x), f"Linear: expected x to be a NumPy array, {got}")
    assert_refused_in_one_line(lambda: LSTM(5, 4)(x), f"LSTM: expected x to be a NumPy array, {got}")


def test_an_optional_array_may_be_none_but_no_list():
    assert scratch.ops.linear(X, WEIGHT, None)[0].shape == (3, 4)
    assert scratch.ops.linear(X, WEIGHT, bias=None)[0].shape == (3, 4)
    assert_refused_in_one_line(
        lambda: scratch.ops.linear(X, WEIGHT, bias=[1.0]), "linear: expected bias to be a NumPy array, got list"
    )
    assert_refused_in_one_line(lambda: scratch.ops.linear(X, WEIGHT, [1.0]), "linear: expected bias to be a NumPy array, got list")


def test_a_memory_mapped_file_is_a_valid_array(tmp_path):
    np.save(tmp_path / "x.npy", X)
    y, backward = scratch.ops.linear(np.load(tmp_path / "x.npy", mmap_mode="r"), WEIGHT)
    assert type(y) is np.ndarray
    np.testing.assert_array_equal(y, scratch.ops.linear(X, WEIGHT)[0])
    assert backward(y)[0].shape == X.shape


def test_a_python_number_is_a_valid_gradient_of_a_loss():
    loss, backward = scratch.ops.mse_loss(X, 0 * X)
    for dy in (1, 1.0, np.float32(1), np.ones((), np.float32)):
        dinput, _ = backward(dy)
        assert dinput.dtype == np.float32
        np.testing.assert_array_equal(dinput, backward(np.ones_like(loss))[0])
    assert_refused_in_one_line(
        lambda: backward(np.float64(1)), "mse_loss: expected an upstream gradient like y, float32 (), got float64 ()"
    )
    assert_refused_in_one_line(lambda: backward(None), "mse_loss: expected an upstream gradient like y, float32 (), got None")


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.name)
def test_the_upstream_gradient_of_a_loss_is_1_by_default(case):
    problem = reference_run_of(case, 0).problem

    def called():
        loss = builders(case)[0]()
        if isinstance(loss, Module):
            loss.astype(np.float64).load_state_dict(problem.state)
        return loss(*nested.map_leaves(copied, dict(problem.inputs)).values())

    y, backward = called()
    numbers = y if isinstance(y, tuple) else (y,)
    if any(number.shape for number in numbers):
        assert_refused_in_one_line(backward, "without its upstream gradient, an array like y, float64 (")
        return
    expected = called()[1](*(np.ones_like(number) for number in numbers))
    for gradient, one in zip(backward(), expected, strict=True):
        np.testing.assert_array_equal(gradient, one)


def test_a_backward_without_gradients_takes_anything():
    mask, backward = scratch.ops.causal_mask(3)
    assert backward(np.ones((2, 2))) is None
    assert mask.shape == (3, 3)


def first(value):
    """Return the first of several values, or the only one."""
    return value[0] if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "batch_norm", "group_norm", "softmax"])
def test_float16_is_computed_in_float32(name):
    rng = np.random.default_rng(0)
    x = (300 * rng.normal(size=(3, 4, 5))).astype(np.float16)  # the squares exceed the range of float16
    options = {"layer_norm": {"normalized_shape": (5,)}, "rms_norm": {"normalized_shape": (5,)}, "group_norm": {"num_groups": 2}}
    options |= {"batch_norm": {"training": True}, "softmax": {}}
    function = getattr(scratch.ops, name)
    (y, backward), (wide, wide_backward) = function(x, **options[name]), function(x.astype(np.float32), **options[name])
    y, wide = (value[0] if isinstance(value, tuple) else value for value in (y, wide))
    dy = rng.normal(size=y.shape).astype(np.float16)
    dx, wide_dx = (
        value[0] if isinstance(value, tuple) else value for value in (backward(dy), wide_backward(dy.astype(np.float32)))
    )
    assert y.dtype == dx.dtype == np.float16
    np.testing.assert_array_equal(y, wide.astype(np.float16))
    np.testing.assert_array_equal(dx, wide_dx.astype(np.float16))


def test_float16_and_float32_cannot_be_mixed():
    assert_refused_in_one_line(
        lambda: scratch.ops.linear(X.astype(np.float16), WEIGHT), "expected one floating-point dtype, got x float16, weight float32"
    )


def test_an_op_keeps_its_name_and_docstring():
    @op
    def double(x):
        """Return twice x."""
        return 2 * x, lambda dy: 2 * dy

    assert (double.__name__, double.__doc__) == ("double", "Return twice x.")
    y, backward = double([1])  # arguments without annotations are not checked
    assert y == [1, 1]
    assert backward(3) == 6


def test_a_users_module_need_not_return_a_pair():
    class Half(Module):
        def forward(self, x):
            return x

    class Forward(Module):
        def forward(self, x):
            return x, None

    assert Half()(3) == 3
    assert Forward()(X)[1] is None
