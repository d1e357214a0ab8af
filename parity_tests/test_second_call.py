"""The second call, on numbers that need all digits of float64, and arrays in shared memory: each planted fault is found."""

import numpy as np
import pytest

from parity.cases import CASES
from parity.check import judge, reference_run_of
from parity.inputs import Draw, with_all_digits
from parity.judging.verdict import Verdict
from parity.running.builders import scratch_builder
from scratch.ops import linear

BY_NAME = {case.name: case for case in CASES}


def judged(name, plant, dtype="float64"):
    """Return the verdict on a case with a twin made by `plant` from the right one."""
    case, build = BY_NAME[name], scratch_builder(BY_NAME[name])
    return judge(Verdict(name, case.family, dtype, "cpu", 0), lambda: plant(build()), reference_run_of(case, 0))


def test_numbers_with_all_digits():
    x = Draw(0).normal(7, 9)
    x[0] = [0, 1, -1, 2, np.inf, np.nan, -0.0, 1e6, 0.5]
    y = with_all_digits(x)
    whole = x == np.rint(x)
    np.testing.assert_array_equal(y[whole], x[whole])
    moved = ~whole & np.isfinite(x)
    assert (y[moved].astype(np.float32) != y[moved]).all()
    np.testing.assert_allclose(y[moved], x[moved], rtol=2e-7)
    labels = np.arange(3)
    assert with_all_digits(labels) is labels


CASTS = {
    "an input": ("linear", lambda op: lambda x, w, b: op(x.astype(np.float32).astype(x.dtype), w, b)),
    "a weight": ("linear", lambda op: lambda x, w, b: op(x, w.astype(np.float32).astype(w.dtype), b)),
    "an upstream gradient": (
        "linear",
        lambda op: lambda x, w, b: (op(x, w, b)[0], lambda dy: op(x, w, b)[1](dy.astype(np.float32).astype(dy.dtype))),
    ),
}


@pytest.mark.parametrize("what", CASTS)
def test_cast_to_float32_is_found(what):
    verdict = judged(*CASTS[what])
    assert verdict.status == "mismatch"
    assert "need all digits of float64" in verdict.note
    assert "to the precision of float32" in verdict.culprits[0].cause


def test_cast_of_a_weight_is_found_in_its_layer():
    def plant(model):
        layer = dict(model.named_modules())["layers.6"]
        forward = layer.forward

        def with_weight_cast(x):
            (y, backward), weight = forward(x), layer.weight.data
            return y + x @ (weight.astype(np.float32) - weight).T, backward

        layer.forward = with_weight_cast
        return model

    verdict = judged("mlp-deep", plant)
    assert [culprit.path for culprit in verdict.culprits] == ["layers.6"]
    assert "need all digits of float64" in verdict.note


def test_object_that_keeps_its_first_value_is_found():
    def plant(op):
        kept = []

        def keeping(x, weight, bias):
            y, backward = op(x, weight, bias)
            kept.append(y)
            return kept[0].copy(), backward

        return keeping

    verdict = judged("linear", plant)
    assert verdict.status == "mismatch"
    assert verdict.message == "only its second call is wrong: it keeps something from the first"


def in_place_backward(x, weight, bias):
    y, backward = linear(x, weight, bias)

    def overwriting(dy):
        gradients = backward(dy)
        y[...] = 0
        return gradients

    return y, overwriting


def gradient_in_its_input(x, weight, bias):
    y, backward = linear(x, weight, bias)

    def into_x(dy):
        dx, *others = backward(dy)
        x[...] = dx
        return x, *others

    return y, into_x


def one_array_for_two(x, weight, bias):
    y, backward = linear(x, weight, bias)

    def packed(dy):
        dx, dweight, dbias = backward(dy)
        both = np.concatenate([dweight.ravel(), dbias])
        return dx, both[: weight.size].reshape(weight.shape), both[weight.size - bias.size : weight.size]

    return y, packed


def reused_buffer():
    buffers = {}

    def into_buffer(x, weight, bias):
        y, backward = linear(x, weight, bias)
        buffer = buffers.setdefault(y.dtype, np.zeros_like(y))
        np.copyto(buffer, y)
        return buffer, backward

    return into_buffer


SHARED = {
    reused_buffer(): "a second call changes y, which the forward has returned, in place",
    in_place_backward: "the backward changes y, which the forward has returned, in place",
    gradient_in_its_input: "the backward returns grad x in the memory of input x, expected a copy",
    one_array_for_two: "the backward returns grad weight in the memory of grad bias, expected a copy",
}


@pytest.mark.parametrize("twin", SHARED)
def test_result_in_the_memory_of_another_array_is_found(twin):
    verdict = judged("linear", lambda op: twin)
    assert SHARED[twin] in [finding.message for finding in verdict.findings]


def random_value(x, weight, bias):
    y, backward = linear(x, weight, bias)
    return y + np.random.default_rng().normal(size=y.shape).astype(y.dtype), backward


def memory_never_set(x, weight, bias):
    y, backward = linear(x, weight, bias)
    garbage = np.empty_like(y)
    garbage[:-1] = y[:-1]
    return garbage, backward


@pytest.mark.parametrize("twin", [random_value, memory_never_set])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_other_numbers_on_the_same_inputs_have_that_cause(twin, dtype):
    verdict = judged("linear", lambda op: twin, dtype)
    assert verdict.culprits[0].cause.startswith("it gives other numbers on the same inputs")


def test_value_in_the_memory_of_a_weight_is_found():
    def plant(layer):
        forward = layer.forward

        def into_bias(x):
            y, backward = forward(x)
            return np.broadcast_to(layer.bias.data, y.shape), backward

        layer.forward = into_bias
        return layer

    messages = [finding.message for finding in judged("Linear", plant).findings]
    assert "the forward returns y in the memory of parameter bias, expected a copy" in messages


def test_packed_gradients_in_parts_of_one_array_are_right():
    def parts(x, weight, bias):
        y, backward = linear(x, weight, bias)

        def packed(dy):
            dx, dweight, dbias = backward(dy)
            both = np.concatenate([dweight, dbias[:, None]], axis=1)
            return dx, both[:, :-1], both[:, -1]

        return y, packed

    assert judged("linear", lambda op: parts).ok
