"""The building blocks of transformers beyond their cases: many shapes, difficult rows, late positions, bad input."""

import math

import numpy as np
import pytest
import torch

import reference.layers
from parity import assert_parity
from parity.inputs import Draw
from parity_tests.shared import assert_equal_up_to_rounding, assert_refused_in_one_line
from scratch import layers, ops
from scratch.ops.sinusoidal_positions import sinusoidal_table

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape)


# Normalisation of rows


@pytest.mark.parametrize(
    ("leading", "shape"), [((), (5,)), ((1,), (1,)), ((3, 1, 2), (2, 3)), ((2,), (3, 1, 4)), ((700,), (1000,))]
)
@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_normalised_rows_of_any_shape_agree_with_torch(name, leading, shape):
    ours, theirs = (getattr(library, name)(shape, eps=1e-4) for library in (layers, torch.nn))
    assert_parity(ours, theirs, {"x": normal(*leading, *shape)})


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_an_int_means_one_normalised_axis(name):
    assert getattr(layers, name)(7).normalized_shape == (7,)
    assert getattr(layers, name)([4, 7]).normalized_shape == (4, 7)


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_normalisation_takes_an_empty_batch(name):
    y, backward = getattr(layers, name)(7)(np.zeros((0, 3, 7), np.float32))
    assert y.shape == backward(y).shape == (0, 3, 7)


@pytest.mark.parametrize("offset", [0, 1e2, 1e4])
def test_float32_rows_far_from_zero_are_as_accurate_as_torch(offset):
    x = (offset + normal(40, 768)).astype(np.float32)
    rows = torch.from_numpy(x)
    exact, theirs = (torch.nn.functional.layer_norm(t, (768,)) for t in (rows.double(), rows))
    ours, _ = ops.layer_norm(x, normalized_shape=(768,))
    error, torchs_error = (np.abs(y - exact.numpy()).max() for y in (ours, theirs.numpy()))
    assert error <= 4 * max(torchs_error, np.finfo(np.float32).eps)


def test_difficult_rows_have_small_spread_or_large_mean():
    x = Draw(0).rows(5, 4, 70, axes=2).reshape(5, -1)
    assert np.allclose(x.std(axis=1), [3e-3, 1, 1.5, 1.5, 1.5], rtol=0.2)
    assert x.mean(axis=1)[1] > 9e3


# Positions


def test_sinusoids_agree_with_the_paper():
    table = sinusoidal_table(np.arange(50), 8)
    for i in range(4):
        angles = np.arange(50) / 10000 ** (2 * i / 8)
        np.testing.assert_allclose(table[:, 2 * i], np.sin(angles), atol=1e-13)
        np.testing.assert_allclose(table[:, 2 * i + 1], np.cos(angles), atol=1e-13)


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_scores_depend_only_on_the_distance(interleaved):
    query, key = normal(1, 10), normal(1, 10)

    def score(m, n):
        turned = (ops.rotary(x, np.array([at]), interleaved=interleaved)[0] for x, at in ((query, m), (key, n)))
        return np.vdot(*turned)

    assert np.isclose(score(3, 10), score(1003, 1010))
    assert np.isclose(score(0, 0), np.vdot(query, key))
    assert not np.isclose(score(3, 10), score(3, 11))


def test_both_rotary_layouts_agree_after_reordering():
    x, positions = normal(5, 8), np.arange(5)
    halves = [0, 2, 4, 6, 1, 3, 5, 7]
    of_halves, interleaved = ops.rotary(x[:, halves], positions)[0], ops.rotary(x, positions, interleaved=True)[0]
    assert_equal_up_to_rounding(of_halves, interleaved[:, halves], 1e-15)


@pytest.mark.parametrize("positions", [np.arange(5), np.arange(5)[None, None], np.arange(15).reshape(3, 1, 5), np.array([7])])
@pytest.mark.parametrize("op", ["rotary", "sinusoidal_positions"])
def test_positions_broadcast_over_the_batch(op, positions):
    x = normal(3, 2, 5, 4)
    whole, _ = getattr(ops, op)(x, np.broadcast_to(positions, (3, 2, 5)))
    np.testing.assert_array_equal(getattr(ops, op)(x, positions)[0], whole)


@pytest.mark.parametrize("positions", [np.arange(5), np.arange(15).reshape(3, 1, 5), np.array([[[2]]])])
def test_learned_positions_broadcast_over_the_batch(positions):
    ours, theirs = (library.LearnedPositions(17, 4) for library in (layers, reference.layers))
    assert_parity(ours, theirs, {"x": normal(3, 2, 5, 4), "positions": positions})


def test_rotary_is_accurate_in_float32_at_late_positions():
    x = normal(2, 40, 64).astype(np.float32)
    positions = np.arange(1_000_000, 1_000_040)
    np.testing.assert_allclose(ops.rotary(x, positions)[0], ops.rotary(x.astype(np.float64), positions)[0], atol=2e-6)


def test_distant_buckets_begin_at_powers_of_the_root_of_2():
    """Check 32 buckets in both directions up to 128: eight hold one distance each, the others begin at 8, 8 √2, 16, ..."""
    begins = [0, 1, 2, 3, 4, 5, 6, 7, *(math.ceil(8 * 2 ** (j / 2) - 1e-9) for j in range(8))]
    before, _ = ops.relative_position_bucket(-np.array(begins))
    assert before.tolist() == list(range(16))
    just_before, _ = ops.relative_position_bucket(-np.array(begins[1:]) + 1)
    assert just_before.tolist() == list(range(15))
    after, _ = ops.relative_position_bucket(np.array([1, 7, 8, 127, 128, 10_000]))
    assert after.tolist() == [17, 23, 24, 31, 31, 31]


def test_causal_buckets_put_later_keys_at_distance_0():
    buckets, backward = ops.relative_position_bucket(np.array([3, 1, 0, -1, -15, -16, -500]), bidirectional=False)
    assert buckets.tolist() == [0, 0, 0, 1, 15, 16, 31]
    assert backward(buckets) is None


# Feed-forward blocks


def test_feed_forward_has_only_the_parameters_it_needs():
    plain, gated = layers.FeedForward(4, 8, bias=False), layers.FeedForward(4, 8, gated=True)
    assert list(plain.state_dict()) == ["linear1.weight", "linear2.weight"]
    assert [name for name in gated.state_dict() if name.endswith("weight")] == ["linear1.weight", "gate.weight", "linear2.weight"]


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "gelu_tanh", "silu"])
@pytest.mark.parametrize("gated", [False, True])
def test_feed_forward_agrees_with_torch_for_every_activation(activation, gated):
    ours, theirs = (library.FeedForward(6, 5, activation, gated=gated) for library in (layers, reference.layers))
    assert_parity(ours, theirs, {"x": normal(4, 6)})


# Bad input

BAD = {
    "layer_norm shape": (
        lambda: ops.layer_norm(normal(3, 7), normalized_shape=(6,)),
        "layer_norm: expected an x whose last axes are normalized_shape, got (3, 7) and (6,)",
    ),
    "layer_norm axes": (lambda: ops.layer_norm(normal(7), normalized_shape=(3, 7)), "got (7,) and (3, 7)"),
    "layer_norm of nothing": (lambda: ops.layer_norm(normal(3, 7), normalized_shape=()), "got (3, 7) and ()"),
    "layer_norm of no numbers": (lambda: ops.layer_norm(normal(3, 0), normalized_shape=(0,)), "got (3, 0) and (0,)"),
    "layer_norm weight": (
        lambda: ops.layer_norm(normal(3, 7), normal(1), normalized_shape=(7,)),
        "layer_norm: expected weight of shape (7,), got (1,)",
    ),
    "layer_norm bias": (
        lambda: ops.layer_norm(normal(3, 7), None, normal(7, 1), normalized_shape=(7,)),
        "layer_norm: expected bias of shape (7,), got (7, 1)",
    ),
    "rms_norm shape": (lambda: ops.rms_norm(normal(3, 7), normalized_shape=(3,)), "rms_norm: expected an x whose last axes are"),
    "rms_norm weight": (
        lambda: ops.rms_norm(normal(3, 7), normal(6), normalized_shape=(7,)),
        "rms_norm: expected weight of shape (7,), got (6,)",
    ),
    "LayerNorm": (lambda: layers.LayerNorm((3, 0)), "LayerNorm: expected a normalized_shape of positive sizes, got (3, 0)"),
    "LayerNorm of no axes": (lambda: layers.LayerNorm(()), "LayerNorm: expected a normalized_shape of positive sizes, got ()"),
    "rotary width": (lambda: ops.rotary(normal(5, 7), np.arange(5)), "rotary: expected x (..., T, D) with an even D, got (5, 7)"),
    "rotary positions": (
        lambda: ops.rotary(normal(3, 5, 8), np.arange(4)),
        "rotary: expected positions (T,) or (..., T) for x (..., T, D), got (4,) and (3, 5, 8)",
    ),
    "too many axes of positions": (lambda: ops.rotary(normal(5, 8), np.ones((5, 8), int)), "got (5, 8) and (5, 8)"),
    "sinusoidal positions": (
        lambda: ops.sinusoidal_positions(normal(3, 5, 8), np.ones((2, 5), int)),
        "sinusoidal_positions: expected positions (T,) or (..., T) for x (..., T, D), got (2, 5) and (3, 5, 8)",
    ),
    "learned positions": (
        lambda: layers.LearnedPositions(9, 8)(normal(3, 5, 8).astype(np.float32), np.arange(4)),
        "LearnedPositions: expected positions (T,) or (..., T) for x (..., T, D), got (4,) and (3, 5, 8)",
    ),
    "learned width": (
        lambda: layers.LearnedPositions(9, 8)(normal(5, 1).astype(np.float32)),
        "LearnedPositions: expected x (..., T, 8), got (5, 1)",
    ),
    "learned dtypes": (
        lambda: layers.LearnedPositions(9, 8)(normal(5, 8)),
        "LearnedPositions: expected one floating-point dtype, got x float64, weight float32",
    ),
    "more positions than vectors": (
        lambda: layers.LearnedPositions(4, 8)(normal(5, 8).astype(np.float32)),
        "embedding: number 4 is out of range: expected 0 to 3",
    ),
    "odd buckets": (
        lambda: ops.relative_position_bucket(np.arange(3), num_buckets=9),
        "relative_position_bucket: expected signed whole numbers, num_buckets of at least 4, even if bidirectional, and a "
        "max_distance above 2, got int64, 9 and 128",
    ),
    "one bucket": (
        lambda: ops.relative_position_bucket(np.arange(3), bidirectional=False, num_buckets=1),
        "num_buckets of at least 2, even if bidirectional",
    ),
    "no far buckets": (
        lambda: ops.relative_position_bucket(np.arange(3), num_buckets=32, max_distance=8),
        "and a max_distance above 8, got int64, 32 and 8",
    ),
    "float distances": (lambda: ops.relative_position_bucket(normal(3)), "expected signed whole numbers, num_buckets"),
    "RelativePositionBias": (
        lambda: layers.RelativePositionBias(3, 128, 4)(np.arange(3), np.arange(3)),
        "relative_position_bucket: expected signed whole numbers",
    ),
    "unsigned distances": (
        lambda: ops.relative_position_bucket(np.arange(3, dtype=np.uint8)),
        "relative_position_bucket: expected signed whole numbers",
    ),
    "RelativePositionBias of unsigned positions": (
        lambda: layers.RelativePositionBias(32, 128, 4)(np.arange(3, dtype=np.uint8), np.arange(3)),
        "RelativePositionBias: expected signed whole numbers, got queries uint8 and keys int64",
    ),
    "RelativePositionBias heads": (lambda: layers.RelativePositionBias(32, 128, 0), "expected positive sizes, got 32 and 0"),
    "RelativePositionBias positions": (
        lambda: layers.RelativePositionBias(32, 128, 4)(np.arange(3), np.ones((2, 3), int)),
        "RelativePositionBias: expected positions (L,) and (S,), got (3,) and (2, 3)",
    ),
    "FeedForward activation": (
        lambda: layers.FeedForward(4, 8, "swish"),
        "activation is 'swish', expected one of relu, leaky_relu",
    ),
    "FeedForward width": (
        lambda: layers.FeedForward(4, 0),
        "Linear: expected positive widths, got in_features 4 and out_features 0",
    ),
    "FeedForward dropout": (lambda: layers.FeedForward(4, 8, dropout=1.5), "Dropout: p is 1.5, expected a probability, 0 to 1"),
    "RMSNorm": (lambda: layers.RMSNorm(0), "RMSNorm: expected a normalized_shape of positive sizes, got 0"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])
