"""The harness under test: each planted fault must get the right verdict and the right culprit."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from parity.case import ParityCase
from parity.cases import CASES
from parity.check import check, describe, judge, reference_run_of
from parity.inputs import EPS32, Draw, jittered
from parity.judging.reference_run import ReferenceRun
from parity.judging.status import MARKS, Status
from parity.judging.tolerance import UNITS_ALLOWED, deviation, measure
from parity.judging.verdict import Verdict
from parity.report import as_json, explain, summary, worst_of
from parity.running.builders import builders, scratch_builder
from parity.running.pose import pose_case
from parity.running.problem import Problem
from parity.running.run_scratch import run_scratch
from parity.running.tensor_name import Kind, TensorName
from scratch.layers import Linear
from scratch.module import Module, Parameter

BY_NAME = {case.name: case for case in CASES}


def judged(name, plant, dtype="float64", seed=0):
    """Return the verdict on a case whose scratch side `plant` has changed."""
    case = BY_NAME[name]
    build_scratch = scratch_builder(case)

    def build():
        subject = build_scratch()
        return plant(subject) or subject

    return judge(Verdict(name, case.family, dtype, "cpu", seed), build, reference_run_of(case, seed))


def submodule(path, wrong):
    """Return a plant that replaces the forward of one submodule by wrong(forward)."""

    def plant(model):
        module = dict(model.named_modules())[path]
        module.forward = wrong(module.forward)

    return plant


def changed_value(change):
    """Return a forward whose value is changed by `change`."""

    def wrong(forward):
        def changed(*inputs):
            y, backward = forward(*inputs)
            return change(y), backward

        return changed

    return wrong


def changed_gradient(change):
    """Return a backward whose first gradient is changed by `change`."""

    def wrong(forward):
        def changed(*inputs):
            y, backward = forward(*inputs)
            return y, lambda dy: change(backward(dy))

        return changed

    return wrong


def test_nothing_planted_nothing_found():
    verdict = judged("mlp-deep", lambda model: None)
    assert verdict.ok
    assert verdict.culprits == []
    assert 0 < verdict.worst_ratio < 1
    assert verdict.tensors == 16  # y, the gradient of x, and those of seven weights and seven biases


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_wrong_backward_is_located_in_the_one_layer(dtype):
    verdict = judged("mlp-deep", submodule("layers.6", changed_gradient(lambda dx: dx * 1.01)), dtype)
    assert verdict.status == "mismatch"
    assert [(c.path, c.kind, c.phase) for c in verdict.culprits] == [("layers.6", "Linear", "backward")]
    # the six layers below inherit it through the gradient that reaches their outputs; those above are untouched
    assert verdict.inherited == 6
    assert all(finding.phase == "backward" for finding in verdict.findings)


def test_wrong_forward_is_located_in_the_one_layer():
    verdict = judged("mlp-deep", submodule("layers.6", changed_value(lambda y: y + 1e-7)))
    assert [(c.path, c.phase) for c in verdict.culprits] == [("layers.6", "forward")]
    assert verdict.inherited == 12  # all others: those above by its value, those below by the gradient


def test_two_culprits_are_both_named():
    def plant(model):
        submodule("layers.2", changed_gradient(lambda dx: -dx))(model)
        submodule("layers.9", changed_value(lambda y: y[::-1].copy()))(model)

    assert [(c.path, c.phase) for c in judged("mlp-deep", plant).culprits] == [("layers.2", "backward"), ("layers.9", "forward")]


def test_fault_of_the_container_itself():
    def plant(model):
        forward = model.forward
        model.forward = lambda x: (forward(x)[0], lambda dy: forward(x)[1](2 * dy))

    verdict = judged("mlp", plant)
    assert [(c.path, c.kind, c.phase) for c in verdict.culprits] == [("", "MLP", "backward")]
    assert "MLP, backward" in explain(verdict)


def test_missing_parameter_gradient():
    def forgetful(forward):
        def changed(x):
            y, backward = forward(x)

            def forget(dy, layer=forward.__self__):
                dx = backward(dy)
                layer.bias.grad = None
                return dx

            return y, forget

        return changed

    verdict = judged("mlp", submodule("layers.2", forgetful))
    assert [finding.message for finding in verdict.findings] == [
        "grad layers.2.bias is missing: the reference has one of shape (9,)"
    ]
    assert [(c.path, c.phase) for c in verdict.culprits] == [("layers.2", "backward")]


def test_parameters_that_share_one_gradient_array():
    def sharing(forward):
        def changed(*inputs):
            y, backward = forward(*inputs)

            def share(dy, cell=forward.__self__):
                gradients = backward(dy)
                cell.bias_hh.grad = cell.bias_ih.grad
                return gradients

            return y, share

        return changed

    verdict = judged("RNNCell", submodule("", sharing))
    assert [finding.message for finding in verdict.findings] == [
        "the backward returns grad bias_ih in the memory of grad bias_hh, expected a copy"
    ]
    assert [(c.path, c.phase) for c in verdict.culprits] == [("", "backward")]


def test_missing_input_gradient():
    verdict = judged("linear", lambda op: lambda x, w, b: (op(x, w, b)[0], lambda dy: (None, *op(x, w, b)[1](dy)[1:])))
    assert verdict.findings[0].message.startswith("grad x is missing")
    assert verdict.culprits[0].phase == "backward"


def test_unexpected_gradient():
    verdict = judged(
        "cross_entropy-mean", lambda op: lambda x, t: (op(x, t)[0], lambda dy: (op(x, t)[1](dy)[0], np.zeros(t.shape)))
    )
    assert verdict.findings[0].message.startswith("grad target of shape (13,) is not expected")


def test_wrong_dtype():
    plant = submodule("layers.3", changed_value(lambda y: y.astype(np.float64)))
    assert judged("mlp-deep", plant).ok
    verdict = judged("mlp-deep", plant, "float32")
    assert verdict.status == "error"  # the next layer takes no float64 beside its float32 weights
    assert "linear: expected one floating-point dtype, got x float64, weight float32" in verdict.message
    assert [(c.path, c.kind) for c in verdict.culprits] == [("layers.3", "Tanh")]
    verdict = judged("relu", lambda op: lambda x: (op(x)[0].astype(np.float64), op(x)[1]), "float32")
    assert [finding.message for finding in verdict.findings] == ["y is float64, expected float32"]


def test_wrong_shape():
    verdict = judged("relu", lambda op: lambda x: (op(x)[0][..., None], lambda dy: op(x)[1](dy[..., 0])))
    assert verdict.status in ("mismatch", "error")
    verdict = judged("relu", lambda op: lambda x: (op(x)[0][:-1], op(x)[1]))
    assert verdict.findings[0].message == "y has shape (4, 7, 3), expected (5, 7, 3)"


def test_nan():
    def poison(y):
        y = y.copy()
        y.flat[3] = np.nan
        return y

    verdict = judged("mlp-deep", submodule("layers.4", changed_value(poison)))
    assert verdict.culprits[0].path == "layers.4"
    assert any("NaN or infinite" in finding.message for finding in verdict.findings)
    assert verdict.worst_ratio == float("inf")
    assert json.loads(as_json([verdict], {}))["cases"][0]["worst_ratio"] is None  # JSON has no infinity


def test_swapped_axis():
    verdict = judged("softmax-axis1", lambda op: partial(op.func, dim=2))
    assert verdict.status == "mismatch"
    assert (verdict.culprits[0].kind, verdict.culprits[0].phase) == ("softmax", "forward")
    assert verdict.culprits[0].source == "scratch/ops/softmax.py, softmax"


def test_wrong_buffer():
    def biased(forward):
        def changed(x):
            out = forward(x)
            norm = forward.__self__
            norm.running_var.data = norm.running_var.data * 0.99
            return out

        return changed

    verdict = judged("cnn-deep", submodule("features.1", biased))
    assert [(c.path, c.kind, c.phase) for c in verdict.culprits] == [("features.1", "BatchNorm2d", "forward")]
    assert [finding.tensor for finding in verdict.findings] == ["buffer features.1.running_var"]


def test_culprit_among_dropouts_sees_the_same_mask():
    verdict = judged("mlp-dropout-batch-norm", submodule("layers.3", changed_value(lambda y: y * 0.999)))
    assert [(c.path, c.kind) for c in verdict.culprits] == [("layers.3", "Dropout")]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x: (x.__imul__(2), lambda dy: 2 * dy), "the forward changes its input x in place"),
        (lambda x: (np.maximum(x, 0), lambda dy: dy.__imul__(x > 0)), "the backward changes its gradient of y"),
    ],
)
def test_changing_what_was_given(wrong, message):
    verdict = judged("relu", lambda op: wrong)
    assert message in " ".join(finding.message for finding in verdict.findings)


def test_a_layer_that_changes_its_input_leaves_the_problem_as_it_was():
    def changing(layer):
        forward = layer.forward
        layer.forward = lambda x: forward(np.multiply(x, 1.5, out=x))
        return layer

    case = BY_NAME["Linear"]
    before = reference_run_of(case, 0).problem.inputs["x"].copy()
    assert not judged("Linear", changing).ok
    np.testing.assert_array_equal(reference_run_of(case, 0).problem.inputs["x"], before)


class Caching(Linear):
    """The classic mistake: what the backward needs is kept on the layer, where the next call overwrites it."""

    def forward(self, x):
        self.x = x
        y = x @ self.weight.data.T + self.bias.data

        def backward(dy):
            self.weight.accumulate(np.tensordot(dy, self.x, axes=((0, 1), (0, 1))))
            self.bias.accumulate(dy.sum((0, 1)))
            return dy @ self.weight.data

        return y, backward


def test_state_kept_on_the_layer_between_calls():
    verdict = judged("Linear", lambda layer: Caching(7, 11))
    assert {finding.tensor for finding in verdict.findings} - {""} == {"grad weight"}


def test_gradient_of_a_contiguous_copy_only():
    def assumes_contiguous(op):
        return lambda x, w, b: (op(x, w, b)[0], lambda dy: op(x, w, b)[1](np.lib.stride_tricks.as_strided(dy, dy.shape, (88, 8))))

    assert judged("linear", assumes_contiguous).status == "mismatch"


def raises(*inputs):
    raise KeyError("weights")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (raises, "KeyError: 'weights' (test_harness.py"),
        (lambda x: (np.maximum(x, 0), raises), "KeyError"),
        (lambda x: None, "it returned None, expected the pair (y, backward)"),
        (lambda x: (np.maximum(x, 0), lambda dy: (dy, dy)), "backward returned"),
    ],
    ids=["forward raises", "backward raises", "returns None", "wrong arity"],
)
def test_a_side_that_does_not_run_is_an_error_and_no_crash(wrong, message):
    verdict = judged("relu", lambda op: wrong)
    assert verdict.status in ("error", "mismatch")
    assert message in explain(verdict) or "not expected" in explain(verdict)


def cancelling(x):
    return (x + 1e6) ** 2 - 1e12 - 2e6 * x


def test_an_ill_conditioned_case_is_invalid_and_no_pass(monkeypatch):
    import reference.ops

    monkeypatch.setattr(reference.ops, "cancelling", cancelling, raising=False)
    case = ParityCase("cancelling", "ops.relu", lambda draw: {"x": draw.normal(5, 7, scale=1e-3)}, reference="ops.cancelling")
    verdict = check(case)
    assert verdict.status == "invalid"
    assert "choose inputs of better condition" in verdict.message


def test_a_reference_that_does_not_run_is_an_error():
    case = ParityCase("broken", "ops.relu", lambda draw: {"x": draw.integers(0, 2, 3).astype(object)}, reference="torch.relu")
    verdict = check(case)
    assert (verdict.status, verdict.ok) == ("error", False)
    assert "the reference did not run" in explain(verdict)


def test_unit_is_the_largest_of_its_three_parts():
    problem = Problem({"x": np.float64([1.0, 2.0])}, {}, (np.float64([1.0, 1.0]),))
    truth = {"y": np.float64([1.0, -4.0])}

    def run(error32, sensitivity):
        def tensors(other, dtype):
            moved = not np.array_equal(other.inputs["x"], problem.inputs["x"])
            return {"y": truth["y"] + (error32 if dtype == "float32" else sensitivity if moved else 0)}

        return measure(tensors, problem).unit["y"]

    assert run(0, 0) == EPS32 * 4
    assert run(1e-3, 0) == pytest.approx(1e-3)
    assert run(1e-3, 1e-2) == pytest.approx(1e-2)


def test_tolerance_scales_with_the_dtype():
    problem = Problem({"x": np.float64([1.0])}, {}, ())
    calibration = measure(lambda other, dtype: {"y": np.float64([2.0])}, problem)
    assert calibration.tolerance("y", "float32") == pytest.approx(UNITS_ALLOWED * EPS32 * 2)
    assert calibration.tolerance("y", "float64") == pytest.approx(UNITS_ALLOWED * np.finfo(np.float64).eps * 2)


def test_probes_keep_ties_and_zeros_and_move_the_rest():
    x = Draw(0).grid(7, 9)
    x[0] = Draw(1).normal(9)
    x[0, 0], x[0, 1] = x[0, 2], -0.0
    moved = [jittered(x, probe) for probe in (1, 2, 3)]
    for y in moved:
        assert np.array_equal(y == 0, x == 0)
        assert all(len(set(y[x == value])) == 1 for value in set(x.flat))
        relative = (y - x)[x != 0] / x[x != 0]
        assert 0.2 * EPS32 < np.abs(relative).max() <= EPS32 * (1 + 1e-6)
    assert not np.array_equal(moved[0], moved[1])
    labels = np.arange(3)
    assert jittered(labels, 1) is labels


def test_deviation_of_non_finite_numbers():
    truth = np.array([1.0, np.inf, np.nan])
    assert deviation(truth.copy(), truth) == 0
    assert deviation(np.array([1.5, np.inf, np.nan]), truth) == 0.5
    assert deviation(np.array([1.0, -np.inf, np.nan]), truth) == np.inf
    assert deviation(np.array([np.nan, np.inf, np.nan]), truth) == np.inf


def test_drawn_weights_are_scaled_by_a_part_of_their_names():
    case = BY_NAME["transformer-tied"]
    (_, build), scaled = builders(case), replace(case, scales={".linear2.": 0.25, "head.weight": 2, "source_embedding.": 2})
    plain, other = (pose_case(which, build, 0).state for which in (case, scaled))
    for name, array in plain.items():
        scale = 0.25 if ".linear2." in name else 2 if name.endswith(("embedding.weight", "head.weight")) else 1
        np.testing.assert_array_equal(other[name], scale * array, err_msg=name)


def test_a_run_leaves_both_sides_as_they_were():
    build_scratch, build_reference = builders(BY_NAME["cnn-deep"])
    problem = pose_case(BY_NAME["cnn-deep"], build_reference, 0)
    first, second = run_scratch(build_scratch, problem, "float64"), run_scratch(build_scratch, problem, "float64")
    assert first.tensors.keys() == second.tensors.keys()
    assert all(np.array_equal(first.tensors[name], second.tensors[name]) for name in first.tensors)
    assert torch.nn.functional.dropout.__module__ == "torch.nn.functional"  # no longer the trace's


def test_the_worst_seed_speaks_for_all():
    verdicts = [
        Verdict("a", "", "float64", "cpu", 0, tensors=3, worst_ratio=0.1),
        Verdict("a", "", "float64", "cpu", 1, tensors=3, worst_ratio=0.4),
    ]
    worst = worst_of(verdicts)
    assert (worst.seed, worst.tensors, worst.worst_ratio) == (1, 6, 0.4)
    failed = Verdict("b", "", "float64", "cpu", 0, status=Status.MISMATCH)
    assert summary([*verdicts, failed]) == "1 of 3 comparisons failed: 1 mismatch"


def test_describe_is_one_line_with_a_place():
    with pytest.raises(ValueError, match="first") as caught:
        raise ValueError("first\n  second")
    assert describe(caught.value).startswith("ValueError: first second (test_harness.py:")


NAMES = {
    "y": TensorName(Kind.OUTPUT, "y"),
    "y.1": TensorName(Kind.OUTPUT, "y.1"),
    "grad x": TensorName(Kind.GRADIENT, "x"),
    "parameter 2 after step 17": TensorName(Kind.OUTPUT, "parameter 2", step=17),
    "grad input 0": TensorName(Kind.GRADIENT, "input 0"),
    "buffer layers.1.running_mean": TensorName(Kind.BUFFER, "layers.1.running_mean"),
    "submodule layers.0 y": TensorName(Kind.SUBMODULE_OUTPUT, "layers.0", 0, "y"),
    "grad submodule layers.0#2 y.1": TensorName(Kind.SUBMODULE_GRADIENT, "layers.0", 2, "y.1"),
}


@pytest.mark.parametrize("text", NAMES)
def test_a_tensors_name_is_printed_and_parsed(text):
    assert TensorName.parse(text) == NAMES[text]
    assert str(NAMES[text]) == text
    assert NAMES[text].phase == ("backward" if text.startswith("grad ") else "forward")


def test_every_status_has_a_mark():
    assert set(MARKS) == set(Status)
    assert {status for status in Status if MARKS[status].fails} == {"mismatch", "invalid", "error", "not tried", "wrong"}


def test_shared_layer_is_compared_call_by_call():
    """One module applied twice before either backward runs, as DETR's norm is."""

    class Twice(Module):
        def __init__(self):
            self.inner = Linear(7, 7)

        def forward(self, x):
            h, first = self.inner(x)
            y, second = self.inner(h)
            return y, lambda dy: first(second(dy))

    class TorchTwice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(7, 7)

        def forward(self, x):
            return self.inner(self.inner(x))

    draw = Draw(0)
    state = {"inner.weight": draw.normal(7, 7), "inner.bias": draw.normal(7)}
    problem = Problem({"x": draw.normal(5, 7)}, state, (draw.normal(5, 7),))
    reference_run = ReferenceRun(TorchTwice, problem)
    assert judge(Verdict("twice", "", "float64", "cpu", 0), Twice, reference_run).ok

    class Overwriting(Parameter):
        def accumulate(self, gradient):
            self.grad = gradient

    def build():
        model = Twice()
        model.inner.weight = Overwriting(model.inner.weight.data)
        return model

    verdict = judge(Verdict("twice", "", "float64", "cpu", 0), build, reference_run)
    assert [finding.tensor for finding in verdict.findings] == ["", "grad inner.weight"]
    assert [(c.path, c.phase, c.cause) for c in verdict.culprits] == [
        ("inner", "backward", "the backward overwrites the gradient of weight, expected it to be added")
    ]
