"""Recurrent layers beyond their cases: many shapes, lengths, states carried over, and bad input."""

import numpy as np
import pytest

import reference.layers
from parity import assert_parity
from parity_tests.shared import assert_equal_up_to_rounding, assert_refused_in_one_line
from scratch import layers, ops

RNG = np.random.default_rng(0)
STATES = {"RNN": 1, "LSTM": 2, "GRU": 1}
every_layer = pytest.mark.parametrize("name", STATES)


def normal(*shape):
    return RNG.normal(size=shape)


def states_for(name, *shape):
    found = tuple(normal(*shape) for _ in range(STATES[name]))
    return found if len(found) > 1 else found[0]


@every_layer
@pytest.mark.parametrize(("T", "B", "I", "H"), [(1, 1, 1, 1), (1, 3, 2, 4), (5, 1, 3, 2), (30, 2, 1, 3), (3, 17, 5, 1)])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_layers_agree_with_torch_for_many_shapes(name, T, B, I, H, bidirectional):
    sizes = {"input_size": I, "hidden_size": H, "num_layers": 2, "bidirectional": bidirectional}
    inputs = {"x": normal(T, B, I), "hx": states_for(name, 4 if bidirectional else 2, B, H)}
    inputs["lengths"] = RNG.integers(1, T + 1, B)
    assert_parity(getattr(layers, name)(**sizes), getattr(reference.layers, name)(**sizes), inputs)


@every_layer
def test_full_lengths_equal_no_lengths(name):
    layer = getattr(layers, name)(3, 4, bidirectional=True).astype(np.float64)
    x = normal(6, 5, 3)
    (y, _), backward = layer(x)
    (with_lengths, _), _ = layer(x, None, np.full(5, 6))
    assert_equal_up_to_rounding(with_lengths, y, 1e-14)
    assert backward(normal(*y.shape), *(normal(2, 5, 4) for _ in range(STATES[name]))).shape == x.shape


@every_layer
def test_steps_beyond_a_length_have_no_effect(name):
    layer = getattr(layers, name)(3, 4, num_layers=2, bidirectional=True).astype(np.float64)
    x, lengths = normal(6, 5, 3), np.array([3, 6, 1, 5, 2])
    other = np.where(np.arange(6)[:, None, None] < lengths[:, None], x, 1e3)
    (y, final), _ = layer(x, None, lengths)
    (other_y, other_final), _ = layer(other, None, lengths)
    np.testing.assert_array_equal(y, other_y)
    np.testing.assert_array_equal(final, other_final)
    assert (y[np.arange(6)[:, None] >= lengths] == 0).all()


@every_layer
def test_two_halves_with_a_carried_state_equal_the_whole(name):
    layer = getattr(layers, name)(3, 4, num_layers=2).astype(np.float64)
    x = normal(9, 5, 3)
    (y, final), backward = layer(x)
    (first, state), first_backward = layer(x[:4])
    (second, other_final), second_backward = layer(x[4:], state)
    assert_equal_up_to_rounding(np.concatenate([first, second]), y, 1e-13)
    assert_equal_up_to_rounding(other_final, final, 1e-13)

    dy, dfinal = normal(*y.shape), [normal(2, 5, 4) for _ in range(STATES[name])]
    dx = backward(dy, *dfinal)
    whole = {key: p.grad.copy() for key, p in layer.named_parameters()}
    layer.zero_grad()
    dsecond, dstate, _ = second_backward(dy[4:], *dfinal)
    dfirst = first_backward(dy[:4], *(dstate if isinstance(dstate, tuple) else (dstate,)))
    np.testing.assert_allclose(np.concatenate([dfirst, dsecond]), dx, rtol=1e-11, atol=1e-14)
    for key, p in layer.named_parameters():
        np.testing.assert_allclose(p.grad, whole[key], rtol=1e-11, atol=1e-14)


@every_layer
@pytest.mark.parametrize("lengths", [None, np.array([6, 1, 4])])
def test_unused_final_states_need_no_upstream_gradient(name, lengths):
    layer = getattr(layers, name)(3, 4, num_layers=2, bidirectional=True).astype(np.float64)
    x, hx, gradients = normal(6, 3, 3), states_for(name, 4, 3, 4), []
    for dfinals in ([], [np.zeros((4, 3, 4))] * STATES[name]):
        (y, _), backward = layer(x, hx, lengths)
        dx, dhx, _ = backward(np.ones_like(y), *dfinals)
        gradients.append((dx, *(dhx if isinstance(dhx, tuple) else (dhx,)), *(p.grad for p in layer.parameters())))
        layer.zero_grad()
    for alone, with_zeros in zip(*gradients, strict=True):
        np.testing.assert_array_equal(alone, with_zeros)


@every_layer
def test_the_two_biases_do_not_share_a_gradient_array(name):
    layer = getattr(layers, name)(3, 4)
    (y, _), backward = layer(normal(5, 2, 3).astype(np.float32))
    backward(np.ones_like(y), *(np.ones((1, 2, 4), np.float32) for _ in range(STATES[name])))
    layer.bias_ih_l0.grad *= 0
    assert layer.bias_hh_l0.grad.any()


@every_layer
def test_dropout_draws_a_new_mask_only_in_training(name):
    layer = getattr(layers, name)(3, 50, num_layers=2, dropout=0.5)
    x = normal(4, 8, 3).astype(np.float32)
    (first, _), _ = layer(x)
    (second, _), _ = layer(x)
    assert not np.array_equal(first, second)
    (first, _), _ = layer.eval()(x)
    (second, _), _ = layer(x)
    np.testing.assert_array_equal(first, second)


@every_layer
def test_dropout_of_1_hides_the_input_from_the_next_layer(name):
    layer = getattr(layers, name)(3, 4, num_layers=2, dropout=1.0).astype(np.float64)
    (y, _), _ = layer(normal(5, 2, 3))
    (other, _), _ = layer(normal(5, 2, 3))
    np.testing.assert_array_equal(y, other)


BAD = {
    "sizes": (lambda: layers.LSTM(0, 4), "LSTM: expected positive sizes and a proj_size below hidden_size, got input_size 0"),
    "projection": (lambda: layers.LSTM(3, 4, proj_size=4), "proj_size 4"),
    "negative projection": (lambda: layers.LSTM(3, 4, proj_size=-1), "proj_size -1"),
    "dropout": (lambda: layers.GRU(3, 4, dropout=1.5), "GRU: dropout is 1.5, expected a probability, 0 to 1"),
    "negative dropout": (lambda: layers.GRU(3, 4, dropout=-0.5), "GRU: dropout is -0.5, expected a probability, 0 to 1"),
    "nonlinearity": (
        lambda: layers.RNN(3, 4, nonlinearity="relo")(normal(5, 2, 3)),
        "nonlinearity is 'relo', expected one of tanh",
    ),
    "input size": (lambda: layers.LSTM(3, 4)(normal(5, 2, 7)), "LSTM: expected x (T, B, 3), got (5, 2, 7)"),
    "input axes": (lambda: layers.LSTM(3, 4, batch_first=True)(normal(5, 3)), "LSTM: expected x (B, T, 3), got (5, 3)"),
    "state": (
        lambda: layers.GRU(3, 4)(normal(5, 2, 3), normal(2, 2, 4)),
        "GRU: expected states of shape [(1, 2, 4)], got [(2, 2, 4)]",
    ),
    "a pair for one state": (
        lambda: layers.GRU(3, 4)(normal(5, 2, 3), (normal(1, 2, 4), normal(1, 2, 4))),
        "GRU: expected states of shape [(1, 2, 4)], got [(1, 2, 4), (1, 2, 4)]",
    ),
    "one state for a pair": (
        lambda: layers.LSTM(3, 4)(normal(5, 2, 3), normal(1, 2, 4)),
        "LSTM: expected states of shape [(1, 2, 4), (1, 2, 4)], got [(1, 2, 4)]",
    ),
    "no step": (
        lambda: layers.RNN(3, 4)(normal(0, 2, 3)),
        "RNN: expected sequences of at least one step, got x of shape (0, 2, 3)",
    ),
    "no length": (
        lambda: layers.GRU(3, 4)(normal(5, 2, 3), None, np.array([5, 0])),
        "GRU: expected lengths from 1 to 5, got 0 to 5; leave empty ones out",
    ),
    "length beyond T": (
        lambda: layers.GRU(3, 4)(normal(5, 2, 3), None, np.array([6, 1])),
        "GRU: expected lengths from 1 to 5, got 1 to 6",
    ),
    "one length": (lambda: layers.GRU(3, 4)(normal(5, 2, 3), None, np.array([5])), "GRU: expected lengths, 2 whole numbers, got"),
    "float lengths": (
        lambda: layers.GRU(3, 4)(normal(5, 2, 3), None, np.array([5.0, 1.0])),
        "GRU: expected lengths, 2 whole numbers, got",
    ),
    "rising counts": (
        lambda: ops.gru(normal(3, 2, 3), normal(2, 4), normal(12, 3), normal(12, 4), counts=np.array([2, 1, 2])),
        "gru: counts rise, expected equal or falling numbers; sort the sequences, the longest first",
    ),
    "counts beyond B": (
        lambda: ops.gru(normal(3, 2, 3), normal(2, 4), normal(12, 3), normal(12, 4), counts=np.array([3, 2, 1])),
        "gru: counts go from 3 to 1, expected numbers from 2 (all rows) down to 0",
    ),
    "counts below 0": (
        lambda: ops.gru(normal(3, 2, 3), normal(2, 4), normal(12, 3), normal(12, 4), counts=np.array([2, 2, -1])),
        "gru: counts go from 2 to -1, expected numbers from 2",
    ),
    "too few counts": (
        lambda: ops.gru(normal(3, 2, 3), normal(2, 4), normal(12, 3), normal(12, 4), counts=np.array([2, 1])),
        "gru: expected counts, 3 whole numbers, got int64 of shape (2,)",
    ),
    "float counts": (
        lambda: ops.gru(normal(3, 2, 3), normal(2, 4), normal(12, 3), normal(12, 4), counts=np.array([2.0, 1.0, 1.0])),
        "gru: expected counts, 3 whole numbers, got float64 of shape (3,)",
    ),
    "gates": (
        lambda: ops.lstm(normal(3, 2, 3), normal(2, 4), normal(2, 4), normal(15, 3), normal(15, 4)),
        "lstm: expected x (T, B, I), weight_ih (4 H, I) and weight_hh (4 H, H), got (3, 2, 3), (15, 3) and (15, 4)",
    ),
    "weight_ih": (
        lambda: ops.rnn(normal(3, 2, 3), normal(2, 4), normal(4, 5), normal(4, 4)),
        "rnn: expected weight_ih of shape (4, 3), got (4, 5)",
    ),
    "weight_hh": (
        lambda: ops.rnn(normal(3, 2, 3), normal(2, 4), normal(4, 3), normal(5, 4)),
        "rnn: expected weight_hh of shape (4, 4), got (5, 4)",
    ),
    "x of two axes": (
        lambda: ops.rnn(normal(3, 3), normal(2, 4), normal(4, 3), normal(4, 4)),
        "rnn: expected x (T, B, I), weight_ih (1 H, I) and weight_hh (1 H, H), got (3, 3), (4, 3) and (4, 4)",
    ),
    "weight_ih of one axis": (
        lambda: ops.gru(normal(3, 2, 3), normal(2, 4), normal(12), normal(12, 4)),
        "gru: expected x (T, B, I), weight_ih (3 H, I) and weight_hh (3 H, H), got (3, 2, 3), (12,) and (12, 4)",
    ),
    "weight_hh of one axis": (
        lambda: ops.gru(normal(3, 2, 3), normal(2, 4), normal(12, 3), normal(12)),
        "gru: expected x (T, B, I), weight_ih (3 H, I) and weight_hh (3 H, H), got (3, 2, 3), (12, 3) and (12,)",
    ),
    "no step of an op": (
        lambda: ops.lstm(normal(0, 2, 3), normal(2, 4), normal(2, 4), normal(16, 3), normal(16, 4)),
        "lstm: expected at least one step, got x of shape (0, 2, 3)",
    ),
    "narrow weight_hh": (
        lambda: ops.rnn(normal(3, 2, 3), normal(2, 5), normal(4, 3), normal(4, 5)),
        "rnn: expected weight_hh of shape (4, 4), got (4, 5)",
    ),
    "narrow weight_hh of a GRU": (
        lambda: ops.gru(normal(3, 2, 3), normal(2, 5), normal(12, 3), normal(12, 5)),
        "gru: expected weight_hh of shape (12, 4), got (12, 5)",
    ),
    "no projection": (
        lambda: ops.lstm(normal(3, 2, 3), normal(2, 2), normal(2, 4), normal(16, 3), normal(16, 2)),
        "lstm: expected weight_hh of shape (16, 4), got (16, 2)",
    ),
    "weight_hr": (
        lambda: ops.lstm(normal(3, 2, 3), normal(2, 2), normal(2, 4), normal(16, 3), normal(16, 2), weight_hr=normal(4, 2)),
        "lstm: expected weight_hr of shape (2, 4), got (4, 2)",
    ),
    "bias": (
        lambda: ops.rnn(normal(3, 2, 3), normal(2, 4), normal(4, 3), normal(4, 4), normal(4), normal(5)),
        "rnn: expected bias_hh of shape (4,), got (5,)",
    ),
    "h0": (
        lambda: ops.rnn(normal(3, 2, 3), normal(3, 4), normal(4, 3), normal(4, 4)),
        "rnn: expected h0 of shape (2, 4), got (3, 4)",
    ),
    "c0": (
        lambda: ops.lstm(normal(3, 2, 3), normal(2, 4), normal(2, 5), normal(16, 3), normal(16, 4)),
        "lstm: expected c0 of shape (2, 4), got (2, 5)",
    ),
    "cell": (lambda: layers.LSTMCell(3, 0), "LSTMCell: expected positive sizes, got 3 and 0"),
    "token": (lambda: ops.embedding(np.array([0, 9]), normal(9, 2)), "embedding: number 9 is out of range: expected 0 to 8"),
    "negative token": (lambda: ops.embedding(np.array([0, -1]), normal(9, 2)), "embedding: number -1 is out of range"),
    "float tokens": (lambda: ops.embedding(np.array([0.0]), normal(9, 2)), "embedding: expected whole numbers and weight (V, E)"),
    "table": (lambda: ops.embedding(np.array([0]), normal(9)), "got int64 and a weight of shape (9,)"),
    "padding": (
        lambda: ops.embedding(np.array([0]), normal(9, 2), 9),
        "embedding: padding_idx is 9, expected -9 to 8, or None",
    ),
    "Embedding": (lambda: layers.Embedding(9, 0), "Embedding: expected positive sizes, got 9 and 0"),
    "Embedding padding": (lambda: layers.Embedding(9, 2, padding_idx=9), "Embedding: padding_idx is 9, expected one of the 9"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])


def test_padding_idx_may_be_negative():
    for padding_idx in (-9, -1):
        layer = layers.Embedding(9, 2, padding_idx)
        assert not layer.weight.data[padding_idx].any()
        assert (layer.weight.data != 0).any(axis=1).sum() == 8


def test_embedding_takes_an_empty_batch_and_any_padding_row():
    y, backward = ops.embedding(np.zeros((0, 3), int), normal(9, 2))
    assert y.shape == (0, 3, 2)
    assert not backward(y)[1].any()
    for padding_idx, padded, other in ((-1, 8, 1), (-9, 0, 1), (8, 8, 0), (0, 0, 8)):
        _, backward = ops.embedding(np.array([8, 1, 0]), normal(9, 2), padding_idx)
        dweight = backward(np.ones((3, 2)))[1]
        assert not dweight[padded].any()
        assert dweight[other].all()


@pytest.mark.parametrize(("op", "gates", "states"), [("rnn", 1, 1), ("lstm", 4, 2), ("gru", 3, 1)])
def test_an_input_may_need_no_gradient(op, gates, states):
    arrays = normal(5, 2, 3), *(normal(2, 4) for _ in range(states)), normal(gates * 4, 3), normal(gates * 4, 4)
    (y, *_), backward = getattr(ops, op)(*arrays)
    dys = normal(*y.shape), *(normal(2, 4) for _ in range(states))
    whole = backward(*dys)
    for needs in ((False, *[True] * 7), (True, *[False] * 7)):
        dx, *others = backward(*dys, needs)
        assert (dx is not None) == needs[0]
        for gradient, expected in zip(others, whole[1:], strict=True):
            assert gradient is None if expected is None else np.array_equal(gradient, expected)


@pytest.mark.parametrize(("op", "gates", "states"), [("rnn", 1, 1), ("lstm", 4, 2), ("gru", 3, 1)])
@pytest.mark.parametrize("given", [0, 1])
def test_a_missing_bias_equals_a_bias_of_0(op, gates, states, given):
    arrays = normal(5, 2, 3), *(normal(2, 4) for _ in range(states)), normal(gates * 4, 3), normal(gates * 4, 4)
    bias, zeros = normal(gates * 4), np.zeros(gates * 4)
    alone, backward = getattr(ops, op)(*arrays, *((bias, None) if given == 0 else (None, bias)))
    both, whole = getattr(ops, op)(*arrays, *((bias, zeros) if given == 0 else (zeros, bias)))
    dys = [normal(*y.shape) for y in alone]
    place = 3 + states
    for one, other in zip((*alone, backward(*dys)[place + given]), (*both, whole(*dys)[place + given]), strict=True):
        assert_equal_up_to_rounding(one, other, 1e-13)
    assert backward(*dys)[place + 1 - given] is None


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell", "Embedding"])
def test_layers_may_have_size_1(name):
    assert getattr(layers, name)(1, 1).state_dict()
