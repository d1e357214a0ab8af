"""No verdict, culprit or cause hangs on a last digit: all stay as they are where those of both sides are moved."""

import numpy as np
import pytest
import torch

from parity.calibrate import vacuous
from parity.cases import CASES
from parity.check import DTYPES, check, judge
from parity.inputs import Draw
from parity.judging.reference_run import ReferenceRun
from parity.judging.tolerance import Calibration
from parity.judging.verdict import Verdict, compare
from parity.running.pose import pose
from parity.running.problem import Run
from parity_tests.faults import FAMILIES, FAULTS
from parity_tests.faults import judge as judge_fault
from parity_tests.last_digits import moved_last_digits
from parity_tests.shared import assert_found
from scratch.layers import Linear
from scratch.module import Module

QUICK = [fault for family in ("basics", "activations", "losses", "recurrent", "boxes") for fault in FAMILIES[family][::8]]
X, C = Draw(0).normal(5, 7), np.random.default_rng(1).normal(size=(5, 7))


@pytest.mark.parametrize("fault", QUICK, ids=[fault.name for fault in QUICK])
def test_a_fault_has_the_same_culprit_and_cause(fault):
    with moved_last_digits(0):
        assert_found(judge_fault(fault, fault.cases[0]))


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS[::30], ids=[fault.name for fault in FAULTS[::30]])
def test_a_fault_of_any_family_has_the_same_culprit_and_cause(fault):
    test_a_fault_has_the_same_culprit_and_cause(fault)


@pytest.mark.parametrize("case", CASES[::20], ids=[case.name for case in CASES[::20]])
def test_right_code_agrees(case):
    with moved_last_digits(0):
        assert [check(case, dtype).status for dtype in DTYPES] == ["ok", "ok"]


def judged(ours, theirs, inputs, dtype="float64", state=None):
    reference_run = ReferenceRun(lambda: theirs, pose(lambda: theirs, inputs, state or {}, (), 0))
    return judge(Verdict("twin", "", dtype, "cpu", 0), lambda: ours, reference_run)


def causes(*arguments, **options):
    return [culprit.cause for culprit in judged(*arguments, **options).culprits]


def nothing(x):
    """Zeros, by way of a sum that rounding keeps from being exact."""
    return ((x + C.astype(x.dtype)) - x) - C.astype(x.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_zeros_may_be_reached_by_another_sum(dtype):
    assert nothing(X.astype(dtype)).any()
    assert judged(lambda x: (nothing(x), nothing), lambda x: x * 0, {"x": X}, dtype).ok
    wrong = lambda x: (nothing(x) + x.dtype.type(1e-3), nothing)  # noqa: E731
    assert judged(wrong, lambda x: x * 0, {"x": X}, dtype).status == "mismatch"
    assert judged(lambda x: (nothing(x) + 1e-12, nothing), lambda x: x * 0, {"x": X}).status == "mismatch"


def test_small_numbers_are_no_zeros():
    ours, theirs = lambda x: ((x, 1.01e-20 * x), lambda a, b: a + 1.01e-20 * b), lambda x: (x * 1, 1e-20 * x)
    assert [finding.tensor for finding in judged(ours, theirs, {"x": X}).findings] == ["y.1"]


def test_zeros_are_no_factor_and_no_term():
    ours = lambda x, h: (x * h, lambda dy: (np.sin(dy), dy * x))  # noqa: E731
    assert causes(ours, lambda x, h: x * h, {"x": X, "h": 0 * X}) == [""]
    ours = lambda x, h: (np.sin(x), lambda dy: (dy, dy))  # noqa: E731
    assert causes(ours, lambda x, h: x + h, {"x": X, "h": 0 * X}) == [""]


def test_zero_everywhere_is_so_to_rounding():
    assert causes(lambda x: (nothing(x), lambda dy: dy), lambda x: x * 1, {"x": X}) == ["y is zero everywhere"]


def test_half_precision_is_so_to_rounding():
    halved = (C + X).astype(np.float16) - C
    assert causes(lambda x: (halved + C, lambda dy: dy), lambda x: x + torch.from_numpy(C), {"x": X}) == [
        "y holds numbers of float16 precision in float64"
    ]


def test_the_place_of_zeros_is_found_where_they_are_zero_to_rounding():
    there = np.arange(35).reshape(5, 7) % 3 == 0
    c = torch.from_numpy(C)

    def theirs(x):
        return torch.where(torch.from_numpy(there), (x - x.detach()) + ((c + 1) - c) - 1, x)

    ours = lambda x: (np.where(there, 0.3 + nothing(x), x), lambda dy: dy)  # noqa: E731
    assert causes(ours, theirs, {"x": X}) == [f"y differs only where y is 0 ({there.sum()} of 35 values)"]


def test_equal_errors_keep_their_order():
    truth = {name: np.ones(3) for name in ("a", "b")}
    calibration = Calibration(truth, dict.fromkeys(truth, 1e-7))
    for a, b in ((0.5, 0.5 + 1e-15), (0.5 + 1e-15, 0.5)):
        findings, _ = compare(Run({"a": truth["a"] + a, "b": truth["b"] + b}, None), calibration, "float64")
        assert [finding.tensor for finding in findings] == ["a", "b"]


def test_lost_digits_are_recognised_beside_zeros():
    def naive(x):
        y = (e := np.exp(x)) / (1 + e)
        return (y, nothing(x)), lambda dy, other: dy * (s := 0.5 * np.tanh(0.5 * x) + 0.5) * (1 - s) + nothing(other)

    with np.errstate(all="ignore"):
        (cause,) = causes(naive, lambda x: (torch.sigmoid(x), x * 0), {"x": 100 * X}, "float32")
    assert cause.endswith("float64 agrees: digits or range are lost in float32, the formula is right")


def test_versions_that_are_equal_but_for_rounding_prove_nothing_vacuous():
    constant = {"y": 1 + np.finfo(float).eps * np.arange(6.0).reshape(2, 3), "square": np.eye(3) + 1e-16 * X[:3, :3]}
    assert vacuous(Calibration(constant, {"y": 1e-7, "square": 1e-7})) == []


def test_an_overwritten_gradient_is_seen_whatever_its_numbers():
    class Overwritten(Linear):
        def forward(self, x):
            def backward(dy):
                self.weight.grad, self.bias.grad = (dy.T @ x) * 0, dy.sum(0)
                return dy @ self.weight.data

            return x @ self.weight.data.T + self.bias.data, backward

    class Unused(torch.nn.Linear):
        def forward(self, x):
            return torch.nn.functional.linear(x, self.weight.detach(), self.bias) + 0 * self.weight.sum()

    state = {"weight": Draw(2).normal(3, 7), "bias": Draw(3).normal(3)}
    messages = [finding.message for finding in judged(Overwritten(7, 3), Unused(7, 3), {"x": X}, state=state).findings]
    assert messages == [f"the backward overwrites the gradient of {name}, expected it to be added" for name in ("weight", "bias")]


def test_a_gradient_of_zero_may_be_added():
    class Right(Module):
        def __init__(self):
            self.inner = Linear(7, 3)

        def forward(self, x):
            return self.inner(x)

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(7, 3)

        def forward(self, x):
            return self.inner(x)

    state = {"inner.weight": Draw(2).normal(3, 7), "inner.bias": Draw(3).normal(3)}
    assert judged(Right(), Theirs(), {"x": X}, state=state).ok
