"""Ties that rounding decides: right code is not failed for them, and no wrong formula is pardoned."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from parity.check import judge
from parity.inputs import Draw
from parity.judging import kinks
from parity.judging.kinks import MOST_TRIED, near_ties
from parity.judging.reference_run import ReferenceRun
from parity.judging.verdict import Verdict
from parity.report import as_json, explain, summary, worst_of
from parity.running.pose import pose
from scratch.layers import MaxPool2d, ReLU, Sequential
from scratch.module import Module
from scratch.ops import max_pool2d, relu

F = torch.nn.functional
NEAR = 5e-8  # from a tie: less than a rounding of float32 of the largest number, and more than one of its neighbours


def near_zero(count=1):
    """Numbers of which some are nearly zero, where a ReLU has its kink, and some zero, where it has its rule."""
    x = Draw(0).normal(5, 7)
    x[1, :3] = 0
    x[2, :count] = NEAR * np.arange(1, count + 1) / count
    return np.float64(np.float32(x))


def near_maxima():
    """Images of which one window has two nearly equal maxima and one has two equal ones."""
    x = Draw(1).normal(2, 3, 4, 6)
    x[0, 0, :2, :2] = -1
    x[0, 0, 0, 0], x[0, 0, 1, 1] = 0.01, 0.01 + NEAR
    x[1, 2, :2, :2] = 0.5
    return np.float64(np.float32(x))


def off(op, sign=-1, rounding=np.float32):
    """An op whose input is off by a rounding of its largest number, in the dtype `rounding` as honest float32 code is."""

    def rounded(x):
        eps = np.finfo(rounding).eps * np.abs(x).max() if x.dtype == rounding else 0
        y, backward = op((x + sign * eps * (np.abs(x) < 0.1)).astype(x.dtype))
        return y, backward

    return rounded


pool, torch_pool = partial(max_pool2d, kernel_size=2), partial(F.max_pool2d, kernel_size=2)


def less_of_the_second(x):
    """Max-pooling in which float32 loses what the second of the nearly equal numbers is larger by."""
    x = x.copy()
    x[0, 0, 1, 1] -= 4 * np.finfo(np.float32).eps if x.dtype == np.float32 else 0
    return pool(x)


def judged(ours, theirs, x, dtype="float32"):
    reference_run = ReferenceRun(lambda: theirs, pose(lambda: theirs, {"x": x}, {}, (), 0))
    return judge(Verdict("twin", "", dtype, "cpu", 0), lambda: ours, reference_run)


def test_a_relu_that_rounding_decides_otherwise_agrees_with_a_note():
    verdict = judged(off(relu), torch.relu, near_zero())
    assert (verdict.status, verdict.findings, verdict.culprits) == ("ok", [], [])
    assert verdict.worst_ratio < 1
    assert verdict.note == "agrees with the other choice at a tie that float32 rounding decides: relu (5.0e-08 apart)"


def test_a_maximum_that_rounding_decides_otherwise_agrees_with_a_note():
    verdict = judged(less_of_the_second, torch_pool, near_maxima())
    assert verdict.ok
    assert verdict.note.endswith("decides: max_pool2d (5.0e-08 apart)")


def test_several_ties_are_decided_one_after_the_other():
    verdict = judged(off(relu), torch.relu, near_zero(3))
    assert verdict.ok
    assert "other choice at 3 ties" in verdict.note


def test_the_place_is_named():
    class Off(Module):
        def forward(self, x):
            return off(relu)(x)

    theirs = torch.nn.Sequential(torch.nn.MaxPool2d(2), torch.nn.ReLU())
    x = np.repeat(np.repeat(near_zero()[None, None], 2, axis=2), 2, axis=3)
    ours = Sequential(MaxPool2d(2), Off())
    verdict = judged(ours, theirs, x)
    assert verdict.ok
    assert verdict.note.endswith("decides: relu in 1 (5.0e-08 apart)")
    assert judged(Sequential(MaxPool2d(2), ReLU()), theirs, x).note == ""


def wrong_gradient(op, change):
    def wrong(x):
        y, backward = op(x)
        return y, lambda dy: change(x, dy, backward(dy)).astype(x.dtype)

    return wrong


def last_of_equal(x):
    y, backward = pool(x[..., ::-1, ::-1])
    return y[..., ::-1, ::-1], lambda dy: backward(dy[..., ::-1, ::-1])[..., ::-1, ::-1]


WRONG = {
    "a slope at zero": (wrong_gradient(relu, lambda x, dy, dx: dy * (x >= 0)), torch.relu, near_zero()),
    "a slope at zero, and a tie": (wrong_gradient(off(relu), lambda x, dy, dx: np.where(x == 0, dy, dx)), torch.relu, near_zero()),
    "a constant": (wrong_gradient(relu, lambda x, dy, dx: 1.001 * dx), torch.relu, near_zero()),
    "a constant, and a tie": (wrong_gradient(off(relu), lambda x, dy, dx: 1.001 * dx), torch.relu, near_zero()),
    "half of what is at the tie": (
        wrong_gradient(relu, lambda x, dy, dx: np.where(np.abs(x) < 1e-6, dx / 2, dx)),
        torch.relu,
        near_zero(),
    ),
    "a number far from any tie": (wrong_gradient(relu, lambda x, dy, dx: dx * (x < x.max())), torch.relu, near_zero()),
    "the last of equal maxima": (last_of_equal, torch_pool, near_maxima()),
    "the value": (lambda x: (relu(x)[0] + 1e-3, relu(x)[1]), torch.relu, near_zero()),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("ours", "theirs", "x"), WRONG.values(), ids=WRONG)
def test_no_wrong_formula_is_pardoned(ours, theirs, x, dtype):
    verdict = judged(ours, theirs, x, dtype)
    if dtype == "float64" and ours is WRONG["the last of equal maxima"][0]:
        assert near_ties(ReferenceRun(lambda: theirs, pose(lambda: theirs, {"x": x}, {}, (), 0)), "float32")
    assert verdict.status == "mismatch"
    assert verdict.note == ""


def test_what_float32_may_decide_float64_may_not():
    assert judged(off(relu, rounding=np.float64), torch.relu, near_zero(), "float64").ok
    decided = wrong_gradient(relu, lambda x, dy, dx: dy * (x > 1e-7))
    assert judged(decided, torch.relu, near_zero(), "float32").ok
    assert judged(decided, torch.relu, near_zero(), "float64").status == "mismatch"


def test_a_wrong_value_costs_no_further_run(monkeypatch):
    monkeypatch.setattr(kinks, "_run", lambda *arguments: pytest.fail("the reference runs again"))
    assert judged(*WRONG["the value"]).status == "mismatch"


def test_a_wrong_gradient_costs_so_many_runs_and_no_more(monkeypatch):
    x, runs, run = near_zero(), [], kinks._run
    x = np.concatenate([x, np.float64(np.float32(NEAR * np.linspace(0.1, 1, 70).reshape(10, 7)))])
    monkeypatch.setattr(kinks, "_run", lambda *arguments: runs.append(1) or run(*arguments))
    assert judged(wrong_gradient(relu, lambda x, dy, dx: 1.001 * dx), torch.relu, x).status == "mismatch"
    assert len(runs) == 1 + MOST_TRIED


DECISIONS = {
    "relu": torch.relu,
    "in place": lambda x: torch.relu_(x * 1),
    "leaky": lambda x: F.leaky_relu(x, 0.3),
    "elu": lambda x: F.elu(x, 2.0),
    "abs": torch.abs,
    "l1": lambda x: F.l1_loss(x, torch.zeros_like(x)),
    "clamp": lambda x: x.clamp(0, 9),
    "clamp from above": lambda x: x.clamp(max=0),
    "hardtanh": lambda x: F.hardtanh(x + 1),
    "threshold": lambda x: F.threshold(x, 0, 0),
    "maximum": lambda x: torch.maximum(x, torch.zeros(x.shape[1], dtype=x.dtype)),
    "minimum": lambda x: torch.minimum(torch.zeros((), dtype=x.dtype), x),
    "amax": lambda x: torch.stack([x, 0 * x]).amax(0),
    "max": lambda x: torch.stack([0 * x, x]).max(dim=0).values,
    "min": lambda x: torch.stack([x, 0 * x], 1).min(1)[0],
    "a mask": lambda x: x * (x > 0),
    "another mask": lambda x: torch.where(x.detach() <= 0, 0, x),
    "rnn": lambda x: torch.rnn_relu_cell(
        x, torch.zeros(5, 7, dtype=x.dtype), torch.eye(7, dtype=x.dtype), torch.eye(7, dtype=x.dtype)
    ),
    "pooling": lambda x: F.max_pool2d(torch.stack([x, 0 * x], 1).reshape(1, 1, -1, 7), (4, 1), (2, 1), (1, 0), 1),
}


@pytest.mark.parametrize("decide", DECISIONS.values(), ids=DECISIONS)
def test_every_op_with_a_kink_is_seen_and_can_be_decided_otherwise(decide):
    x = near_zero()
    reference_run = ReferenceRun(lambda: decide, pose(lambda: decide, {"x": x}, {}, (), 0))
    ties = near_ties(reference_run, "float32")
    assert [round(abs(tie.distance), 10) for tie in ties] == [NEAR] * len(ties) != []
    moved = [kinks._run([tie], reference_run, "float32")[0]["grad x"] != reference_run.calibration.truth["grad x"] for tie in ties]
    assert np.argwhere(np.any(moved, axis=0)).tolist() == [[2, 0]]


def test_a_constant_of_the_reference_is_itself_again_afterwards():
    constant = torch.from_numpy(near_zero())
    decide = lambda x: x * (constant > 0)  # noqa: E731
    reference_run = ReferenceRun(lambda: decide, pose(lambda: decide, {"x": Draw(3).normal(5, 7)}, {}, (), 0))
    (tie,) = near_ties(reference_run, "float32")
    moved = kinks._run([tie], reference_run, "float32")[0]["y"]
    assert np.argwhere(moved != reference_run.calibration.truth["y"]).tolist() == [[2, 0]]
    assert np.array_equal(constant, near_zero())


def test_nothing_is_near_a_tie_where_all_are_exact():
    x = Draw(0).grid(3, 5, 9, 11)
    for theirs in (torch.relu, torch.abs, partial(F.max_pool2d, kernel_size=3, stride=2, padding=1, dilation=1)):
        reference_run = ReferenceRun(lambda theirs=theirs: theirs, pose(lambda theirs=theirs: theirs, {"x": x}, {}, (), 0))
        assert near_ties(reference_run, "float32") == []


def test_the_note_is_in_every_report():
    verdict = judged(off(relu), torch.relu, near_zero())
    assert f"note      {verdict.note}" in explain(verdict)
    assert json.loads(as_json([verdict], {}))["cases"][0]["note"] == verdict.note
    assert summary([verdict]).endswith("; 1 with a note")
    plain = replace(verdict, note="", worst_ratio=0.9)
    assert worst_of([plain, replace(verdict, seed=3)]).note.startswith("on seed 3, agrees with the other choice")
    assert not summary([replace(verdict, note="")]).endswith("note")


def test_a_reference_that_no_dispatch_mode_can_watch_is_judged_as_before(monkeypatch):
    def unwatched(*arguments):
        raise NotImplementedError("no dispatch")

    monkeypatch.setattr(kinks, "_run", unwatched)
    assert judged(off(relu), torch.relu, near_zero()).status == "mismatch"
