"""Parameters, buffers and modules: the behaviour that layers and the harness rely on."""

import numpy as np
import pytest

from scratch.layers import BatchNorm1d, Dropout, Linear, ReLU, Sequential
from scratch.models import CNN, MLP
from scratch.module import Module, Parameter, apply, constant, state_mismatch, tap
from scratch.ops import cross_entropy, linear
from scratch.random import generator, manual_seed, use_generator


class Tied(Module):
    """Two layers that share one weight."""

    def __init__(self):
        self.encode = Linear(5, 5)
        self.decode = Linear(5, 5, bias=False)
        self.decode.weight = self.encode.weight
        self.extras = [ReLU(), Linear(5, 2)]


def test_names_come_from_attributes_and_lists():
    model = Tied()
    assert [path for path, _ in model.named_modules()] == ["", "encode", "decode", "extras.0", "extras.1"]
    assert [name for name, _ in model.named_parameters()] == ["encode.weight", "encode.bias", "extras.1.weight", "extras.1.bias"]
    assert list(model.state_dict()) == ["encode.weight", "encode.bias", "decode.weight", "extras.1.weight", "extras.1.bias"]


def test_tied_weights_stay_tied_after_loading():
    model = Tied()
    model.load_state_dict({name: np.full(array.shape, 2.0) for name, array in model.state_dict().items()})
    assert model.encode.weight is model.decode.weight
    assert model.decode.weight.data.dtype == np.float32


def test_train_and_eval_reach_every_submodule():
    model = Sequential(Linear(3, 3), Sequential(Dropout(), BatchNorm1d(3)))
    assert all(not module.training for _, module in model.eval().named_modules())
    assert all(module.training for _, module in model.train().named_modules())


def test_astype_casts_floats_only_and_drops_gradients():
    model = BatchNorm1d(3)
    model.weight.grad = np.ones(3)
    model.astype(np.float64)
    assert model.weight.data.dtype == model.running_var.data.dtype == np.float64
    assert model.num_batches_tracked.data.dtype == np.int64
    assert model.weight.grad is None


def test_gradients_accumulate_until_they_are_zeroed():
    model = MLP(5, [7], 3).astype(np.float64)
    x, dy = np.random.default_rng(0).normal(size=(2, 4, 5)), np.ones((4, 3))
    once = []
    for part in x:
        model.zero_grad()
        model(part)[1](dy)
        once.append([parameter.grad for parameter in model.parameters()])
    model.zero_grad()
    calls = [model(part)[1] for part in x]  # both forwards run before either backward
    for backward in calls:
        backward(dy)
    for parameter, first, second in zip(model.parameters(), *once, strict=True):
        assert np.array_equal(parameter.grad, first + second)
    model.zero_grad()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_constant_inputs_have_no_gradient_and_change_no_others():
    rng = np.random.default_rng(0)
    model = CNN(1, (8, 9), 3, channels=(4,), hidden=6).astype(np.float64)
    x, labels = rng.normal(size=(5, 1, 8, 9)), rng.integers(0, 3, 5)

    def gradients():
        model.zero_grad()
        logits, backward = model(x)
        _, loss_backward = cross_entropy(logits, labels)
        dx = backward(loss_backward(np.float64(1))[0])
        return dx, [parameter.grad for parameter in model.parameters()]

    dx, expected = gradients()
    with constant(x):
        no_dx, found = gradients()
    assert dx.shape == x.shape
    assert no_dx is None
    assert all(np.allclose(a, b, rtol=1e-12, atol=1e-14) for a, b in zip(found, expected, strict=True))


def test_constant_blocks_add_up_and_end():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(5, 7)), rng.normal(size=(3, 7))

    def missing():
        gradients = apply(linear, x, weight, None)[1](np.ones((5, 3)))
        return [gradient is None for gradient in gradients]

    with constant(x), constant(weight):
        assert missing()[0]
    with constant(x):
        with constant(weight):
            pass
        assert missing() == [True, False]
    assert missing() == [False, False]


def test_an_observer_stops_after_its_block():
    seen = []

    def observer(module, *inputs):
        seen.append(module)
        return module.forward(*inputs)

    layer = Linear(3, 2)
    with tap(observer):
        layer(np.ones((1, 3), np.float32))
    layer(np.ones((1, 3), np.float32))
    assert seen == [layer]


def test_a_module_used_twice_has_one_set_of_parameters():
    layer = Linear(3, 3)
    model = Sequential(layer, ReLU(), layer)
    assert [path for path, _ in model.named_modules()] == ["", "0", "1"]
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_needs_skips_unneeded_gradients():
    rng = np.random.default_rng(0)
    x, weight, bias, dy = rng.normal(size=(5, 7)), rng.normal(size=(3, 7)), rng.normal(size=3), rng.normal(size=(5, 3))
    full = linear(x, weight, bias)[1](dy)
    dx, dweight, dbias = linear(x, weight, bias)[1](dy, (False, True, True))
    assert dx is None
    assert np.array_equal(dweight, full[1])
    assert np.array_equal(dbias, full[2])


def test_apply_returns_array_gradients_and_stores_parameter_gradients():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(5, 7)), Parameter(rng.normal(size=(3, 7)))
    y, backward = apply(linear, x, weight, None)
    dx = backward(np.ones_like(y))
    assert dx.shape == x.shape
    assert weight.grad.shape == weight.data.shape
    bias = rng.normal(size=3)
    _, backward = apply(linear, x, weight, bias)
    dx, dbias = backward(np.ones_like(y))
    assert dbias.shape == bias.shape


def test_every_mismatch_of_a_state_is_listed_in_order():
    shapes = {"weight": (2, 3), "bias": (2,), "scale": (5,)}
    state = {"weight": np.zeros((3, 2)), "bias": np.zeros(4), "offset": np.zeros(5), "extra": 0}
    assert state_mismatch(shapes, state) == (
        "bias has shape (4,), expected (2,); missing scale; unexpected extra; unexpected offset; "
        "weight has shape (3, 2), expected (2, 3); its transpose would fit"
    )


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3,\), expected that of its parameter, \(2, 3\)"):
        Parameter(np.zeros((2, 3))).accumulate(np.zeros(3))


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        Module()(np.zeros(3))


def test_a_block_sets_the_current_generator():
    rng = np.random.default_rng(1)
    with use_generator(rng):
        assert generator() is rng
    assert generator() is not rng
    manual_seed(3)
    first = generator().random(4)
    manual_seed(3)
    assert np.array_equal(first, generator().random(4))


def test_dropout_keeps_the_mean_and_zeroes_its_share():
    manual_seed(0)
    y, backward = Dropout(0.3)(np.ones((200, 500)))
    assert abs((y == 0).mean() - 0.3) < 0.01
    assert abs(y.mean() - 1) < 0.01
    assert np.array_equal(backward(np.ones_like(y)), y)
    x = np.ones((3, 4))
    assert Dropout(0.3).eval()(x)[0] is x
