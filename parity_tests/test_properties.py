"""Convolution and pooling over geometries that Hypothesis draws."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from parity import assert_parity
from parity.inputs import Draw
from scratch.ops import adaptive_avg_pool2d, avg_pool2d, conv2d, max_pool2d

F = torch.nn.functional


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


def fits(size, kernel, padding, dilation=(1, 1)):
    return all(n + 2 * p >= d * (k - 1) + 1 for n, k, p, d in zip(size, kernel, padding, dilation, strict=True))


@settings(max_examples=60)
@given(
    batch=st.integers(1, 5),
    groups=st.integers(1, 3),
    per_group=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=pairs(1, 13),
    kernel=pairs(1, 4),
    stride=pairs(1, 3),
    padding=pairs(0, 3),
    dilation=pairs(1, 3),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_conv2d_agrees_with_torch(batch, groups, per_group, size, kernel, stride, padding, dilation, bias, seed):
    assume(fits(size, kernel, padding, dilation))
    draw = Draw(seed)
    inputs = {
        "x": draw.normal(batch, groups * per_group[0], *size),
        "weight": draw.normal(groups * per_group[1], per_group[0], *kernel),
        "bias": draw.normal(groups * per_group[1]) if bias else None,
    }
    assert_parity(conv2d, F.conv2d, inputs, stride=stride, padding=padding, dilation=dilation, groups=groups)


@settings(max_examples=60)
@given(
    leading=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=pairs(1, 13),
    kernel=pairs(1, 4),
    stride=pairs(1, 4),
    dilation=pairs(1, 3),
    data=st.data(),
    ties=st.booleans(),
)
def test_max_pool2d_agrees_with_torch(leading, size, kernel, stride, dilation, data, ties):
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    assume(fits(size, kernel, padding, dilation))
    draw = Draw(data.draw(st.integers(0, 99)))
    x = draw.grid(*leading, *size) if ties else draw.normal(*leading, *size)
    assert_parity(max_pool2d, F.max_pool2d, {"x": x}, kernel_size=kernel, stride=stride, padding=padding, dilation=dilation)


@settings(max_examples=60)
@given(
    leading=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=pairs(1, 13),
    kernel=pairs(1, 4),
    stride=st.none() | pairs(1, 4),
    data=st.data(),
    counted=st.booleans(),
)
def test_avg_pool2d_agrees_with_torch(leading, size, kernel, stride, data, counted):
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    assume(fits(size, kernel, padding))
    x = Draw(data.draw(st.integers(0, 99))).normal(*leading, *size)
    assert_parity(avg_pool2d, F.avg_pool2d, {"x": x}, kernel_size=kernel, stride=stride, padding=padding, count_include_pad=counted)


@settings(max_examples=40)
@given(size=pairs(1, 13), output_size=pairs(1, 9), seed=st.integers(0, 99))
def test_adaptive_avg_pool2d_agrees_with_torch(size, output_size, seed):
    assert_parity(adaptive_avg_pool2d, F.adaptive_avg_pool2d, {"x": Draw(seed).normal(3, 2, *size)}, output_size=output_size)


@settings(max_examples=30)
@given(size=pairs(1, 4), kernel=pairs(3, 9), padding=pairs(0, 1))
def test_both_backends_refuse_a_kernel_larger_than_the_image(size, kernel, padding):
    assume(not fits(size, kernel, padding))
    x, weight = np.zeros((2, 3, *size)), np.zeros((4, 3, *kernel))
    with pytest.raises(ValueError, match="does not fit images of"):
        conv2d(x, weight, padding=padding)
    with pytest.raises(RuntimeError):
        F.conv2d(torch.from_numpy(x), torch.from_numpy(weight), padding=padding)
