"""Someone's own optimisers, clipping and schedules: judged, located and explained like any layer."""

from functools import partial

import numpy as np
import pytest
import torch

from parity import ParityError, assert_parity
from parity.cases import matching
from parity.check import judge, reference_run_of
from parity.inputs import Draw
from parity.judging.verdict import Verdict
from parity.running.builders import builders
from parity.running.training_steps import OptimiserSteps
from scratch.optim import SGD, clip_grad_norm_
from scratch.optim.lr_scheduler import StepLR

BY_NAME = {case.name: case for name in ("optimisers", "clipping", "schedules") for case in matching(name)}
STARTS, GRADIENTS = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
INPUTS = {"parameters": list(STARTS), "gradients": [list(GRADIENTS), [GRADIENTS[1], None, GRADIENTS[0]]]}


class MyAdam:
    """Adam as many write it first: over one list of parameters, with a state of its own."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        self.param_groups = [{"params": list(params), "lr": lr}]
        self.betas, self.eps, self.state = betas, eps, {}

    def step(self):
        b1, b2 = self.betas
        for i, p in enumerate(self.param_groups[0]["params"]):
            if p.grad is not None:
                old = self.state.get(i) or {"step": 0, "exp_avg": np.zeros_like(p.data), "exp_avg_sq": np.zeros_like(p.data)}
                m, v = b1 * old["exp_avg"] + (1 - b1) * p.grad, b2 * old["exp_avg_sq"] + (1 - b2) * p.grad**2
                self.state[i] = {"step": old["step"] + 1, "exp_avg": m, "exp_avg_sq": v}
                p.data = p.data - self.param_groups[0]["lr"] * self.direction(m, v, old["step"] + 1)

    def direction(self, m, v, t):
        return (m / (1 - self.betas[0] ** t)) / (np.sqrt(v / (1 - self.betas[1] ** t)) + self.eps)

    def state_dict(self):
        return {"state": self.state, "param_groups": self.param_groups}


class Uncorrected(MyAdam):
    def direction(self, m, v, t):
        return m / (np.sqrt(v) + self.eps)


class ByAFactor(MyAdam):
    def direction(self, m, v, t):
        return 0.9 * super().direction(m, v, t)


class Spoiling(MyAdam):
    def step(self):
        super().step()
        for parameter in self.param_groups[0]["params"][:2]:
            if parameter.grad is not None:
                parameter.grad *= 2


class Forgetful(MyAdam):
    def state_dict(self):
        return {"state": {i: {"step": state["step"]} for i, state in self.state.items()}}


class Unwritten(MyAdam):
    def step(self):
        raise NotImplementedError("step is not written yet")


def judged(optimiser, name="adam", dtype="float64"):
    """Return the verdict on a class in place of the optimiser of a case."""
    case = BY_NAME[name]
    build = partial(OptimiserSteps, optimiser, case.config, find=lambda path: None)
    return judge(Verdict(name, case.family, dtype, "cpu", 0), build, reference_run_of(case, 0))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_someones_own_adam_is_right(dtype):
    assert judged(MyAdam, dtype=dtype).ok


def test_someones_own_adam_is_located_and_explained():
    verdict = judged(Uncorrected)
    (culprit,) = verdict.culprits
    assert (verdict.status, culprit.kind, culprit.phase) == ("mismatch", "Uncorrected", "step")
    assert culprit.cause == "does not correct the bias of the running means"
    assert culprit.source == "test_training_steps.py, Uncorrected"


def test_a_step_of_another_length_is_named():
    (culprit,) = judged(ByAFactor).culprits
    assert culprit.cause == "parameter 1 after step 1 needs a step 1.11111 times as long"


def test_a_gradient_must_stay_as_it_is():
    verdict = judged(Spoiling)
    assert {finding.message for finding in verdict.findings} >= {"the step changes its input gradients.0.1 in place"}
    assert verdict.culprits[0].phase == "step"


def test_the_state_is_compared():
    messages = [finding.message for finding in judged(Forgetful).findings]
    assert "exp_avg of parameter 0 after step 60 is missing: the reference has one of shape ()" in messages


def test_what_is_not_written_is_missing():
    assert judged(Unwritten).verdict == "missing"


def test_assert_parity_takes_an_optimiser():
    assert_parity(MyAdam, torch.optim.Adam, inputs=INPUTS, lr=0.01)
    assert_parity(SGD, torch.optim.SGD, inputs=INPUTS, lr=0.01, momentum=0.9)
    with pytest.raises(ParityError, match=r"^Uncorrected differs from torch's Adam: does not correct the bias .* \(float64\)"):
        assert_parity(Uncorrected, torch.optim.Adam, inputs=INPUTS, lr=0.01)


def test_assert_parity_takes_a_clipping_function():
    inputs = {"gradients": INPUTS["gradients"], "limits": np.array([0.5, 100.0])}
    assert_parity(clip_grad_norm_, torch.nn.utils.clip_grad_norm_, inputs=inputs)
    with pytest.raises(ParityError, match="ignores norm_type"):
        assert_parity(
            lambda parameters, limit, norm_type: clip_grad_norm_(parameters, limit),
            torch.nn.utils.clip_grad_norm_,
            inputs=inputs,
            norm_type=1.0,
        )


def test_assert_parity_says_what_an_optimiser_needs():
    with pytest.raises(ValueError, match=r"Adam does not run on these inputs: .*unexpected keyword argument 'weights'"):
        assert_parity(MyAdam, torch.optim.Adam, inputs={"weights": INPUTS["parameters"]})
    with pytest.raises(ValueError, match="StepLR is a schedule, expected an optimiser or a clipping function"):
        assert_parity(StepLR, torch.optim.lr_scheduler.StepLR, inputs={"rates": STARTS})


@pytest.mark.parametrize("name", [name for name, case in BY_NAME.items() if case.family == "schedules" and "betas" not in name])
def test_schedules_are_compared_closely(name):
    """The chains of torch's cosines lose some digits; the tolerance that this gives stays far below any mistake."""
    calibration = reference_run_of(BY_NAME[name], 0).calibration
    for tensor in calibration.unit:
        assert calibration.tolerance(tensor, "float64") <= 1e-11 * calibration.scale(tensor), tensor


def test_cases_are_hard():
    """Some gradients are 0 in places, some are None, one parameter has none, and the learning rate is 0 once."""
    inputs = BY_NAME["adam-groups"].inputs(Draw(0))
    by_parameter = list(zip(*inputs["gradients"], strict=True))
    assert all(gradient is None for gradient in by_parameter[-1])
    assert all(any(g is None for g in gradients) and any(g is not None for g in gradients) for gradients in by_parameter[:-1])
    assert any((g == 0).any() for gradients in by_parameter[:-1] for g in gradients if g is not None)
    assert (inputs["factors"] == 0).sum() == 1
    assert sorted(i for group in inputs["groups"] for i in group["params"]) == list(range(len(inputs["parameters"])))


def test_a_sides_steps_are_the_same_on_every_call():
    case = BY_NAME["cyclic-lr"]
    steps, inputs = builders(case)[0](), case.inputs(Draw(0))
    first, again = steps(**inputs), steps(**inputs)
    assert all(np.array_equal(first[name], again[name]) for name in first)
