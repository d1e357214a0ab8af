"""The parts of transformers beyond their cases: many shapes, hard rows, long ones, and bad input in one line."""

import numpy as np
import pytest
import torch

from parity import assert_parity
from parity.inputs import Draw
from scratch import layers, ops

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape)


# Normalisation of rows


@pytest.mark.parametrize(
    ("leading", "shape"), [((), (5,)), ((1,), (1,)), ((3, 1, 2), (2, 3)), ((2,), (3, 1, 4)), ((700,), (1000,))]
)
@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_rows_of_any_shape(name, leading, shape):
    ours, theirs = (getattr(library, name)(shape, eps=1e-4) for library in (layers, torch.nn))
    assert_parity(ours, theirs, {"x": normal(*leading, *shape)})


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_an_int_is_one_axis(name):
    assert getattr(layers, name)(7).normalized_shape == (7,)
    assert getattr(layers, name)([4, 7]).normalized_shape == (4, 7)


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_no_rows(name):
    y, backward = getattr(layers, name)(7)(np.zeros((0, 3, 7), np.float32))
    assert y.shape == backward(y).shape == (0, 3, 7)


@pytest.mark.parametrize("offset", [0, 1e2, 1e4])
def test_float32_rows_far_from_zero_are_as_accurate_as_torchs(offset):
    x = (offset + normal(40, 768)).astype(np.float32)
    rows = torch.from_numpy(x)
    exact, theirs = (torch.nn.functional.layer_norm(t, (768,)) for t in (rows.double(), rows))
    ours, _ = ops.layer_norm(x, normalized_shape=(768,))
    error, torchs_error = (np.abs(y - exact.numpy()).max() for y in (ours, theirs.numpy()))
    assert error <= 4 * max(torchs_error, np.finfo(np.float32).eps)


def test_the_hard_rows_are_hard():
    x = Draw(0).rows(5, 4, 70, axes=2).reshape(5, -1)
    assert np.allclose(x.std(axis=1), [3e-3, 1, 1.5, 1.5, 1.5], rtol=0.2)
    assert x.mean(axis=1)[1] > 9e3


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
    "RMSNorm": (lambda: layers.RMSNorm(0), "RMSNorm: expected a normalized_shape of positive sizes, got 0"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_said_in_one_line(what):
    call, message = BAD[what]
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
