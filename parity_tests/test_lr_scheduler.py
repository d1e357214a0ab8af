"""Schedules beyond their cases: states that either backend continues, signatures, resumption, bad input."""

import inspect
import math
import warnings
from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest
import torch

import reference.optim
import scratch.optim
from parity.cases import matching
from parity.cases.schedules import STEPS, Halving
from parity.check import judge, reference_run_of
from parity.inputs import Draw
from parity.judging.verdict import Verdict
from parity.running.builders import builders
from parity.running.schedule_steps import ScheduleSteps
from parity.running.trace import to_numpy
from parity_tests.shared import assert_equal_up_to_rounding, assert_refused_in_one_line
from scratch.module import Parameter
from scratch.optim import lr_scheduler
from scratch.optim.lr_scheduler.scheduler import BOOKKEEPING

OURS, THEIRS = scratch.optim, torch.optim
BEGINS = (0.5, 2e-3, 30.0)  # the rates of three groups
CASES = [case for case in matching("schedules") if "optimiser" in case.inputs(Draw(0))]
OF_SGD = {case.name: case for case in CASES if not case.name.endswith(("-betas", "-restarted", "-epochs"))}


def sides_of(case):
    """Return both sides of a case by their library."""
    return dict(zip((OURS, THEIRS), (build() for build in builders(case)), strict=True))


def made(case, library, optimizer, **more):
    """Return the schedule of a case, with more options, for an optimiser of a library."""
    steps = sides_of(case)[library]
    return replace(steps, options={**steps.options, **more}).schedule(optimizer)


every_schedule = pytest.mark.parametrize("case", OF_SGD.values(), ids=OF_SGD)


@pytest.fixture(autouse=True)
def _without_torchs_advice():
    """Ignore torch's warning about the closed form of a schedule, which its own SequentialLR calls."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torch")
        yield


def an_optimizer(library, name, begins=BEGINS):
    groups = [
        {"params": [torch.nn.Parameter(torch.zeros(2).double()) if library is THEIRS else Parameter(np.zeros(2))], "lr": lr}
        for lr in begins
    ]
    return getattr(library, name)(groups, **({"momentum": 0.3} if name == "SGD" else {}))


def options_of(optimizer):
    """Return the learning rate and the momentum or the betas of every group."""
    return [(g["lr"], g["momentum"]) if "momentum" in g else (g["lr"], *g["betas"]) for g in optimizer.param_groups]


def walk(optimizer, scheduler, steps=STEPS):
    """Return the options of every group before every step."""
    seen = [options_of(optimizer)]
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        seen.append(options_of(optimizer))
        assert list(scheduler.get_last_lr()) == [group["lr"] for group in optimizer.param_groups]
    return np.array(seen)


def assert_same(ours, theirs):
    """Equal to what hundreds of roundings may do; near 0, on the scale of each group's options."""
    assert ours.shape == theirs.shape
    scale = np.abs(theirs).max(axis=0)
    assert (np.abs(ours - theirs) <= 1e-11 * np.abs(theirs) + 1e-15 * scale).all()


class Interrupted:
    """A schedule that is saved after some steps and continued from its state, each part in a library of its own."""

    def __init__(self, case, first, second, before, optimizer):
        self.case, self.second, self.before, self.taken = case, second, before, 0
        self.outer, self.library = optimizer, first
        self.inner = an_optimizer(first, type(optimizer).__name__, [group["lr"] for group in optimizer.param_groups])
        self.scheduler = made(case, first, self.inner)
        self.show()

    def step(self):
        if self.taken == self.before:
            self.resume()
        self.taken += 1
        self.inner.step()
        self.scheduler.step()
        self.show()

    def resume(self):
        state, options = self.scheduler.state_dict(), self.inner.state_dict()
        self.inner = an_optimizer(self.second, type(self.outer).__name__, begins=(1.0, 2.0, 3.0))
        self.scheduler = made(self.case, self.second, self.inner)
        self.scheduler.load_state_dict(state)
        self.inner.load_state_dict({"state": {}, "param_groups": options["param_groups"]})

    def get_last_lr(self):
        return self.scheduler.get_last_lr()

    def show(self):
        """Write the options of the groups to those that the harness looks at."""
        for outer, inner in zip(self.outer.param_groups, self.inner.param_groups, strict=True):
            outer.update({name: inner[name] for name in ("lr", "momentum", "betas") if name in inner})


class InterruptedSteps(ScheduleSteps):
    """The steps of a schedule that is interrupted, by itself rather than by the harness."""

    def __call__(self, rates, steps, optimiser, **interruptions):
        return super().__call__(rates, steps, optimiser)

    def schedule(self, optimizer):
        return self.target(optimizer)


@pytest.mark.parametrize("case", [case for case in CASES if case.name.endswith("-betas")], ids=attrgetter("name"))
@pytest.mark.parametrize("before", [1, 20, 57])
@pytest.mark.parametrize(("first", "second"), [(THEIRS, OURS), (OURS, THEIRS), (OURS, OURS)], ids=["to-ours", "to-theirs", "ours"])
def test_a_saved_state_continues_in_either_backend(case, before, first, second):
    ours = sides_of(case)[OURS]
    steps = InterruptedSteps(lambda optimizer: Interrupted(case, first, second, before, optimizer), {}, ours.find)
    verdict = judge(Verdict(case.name, "", "float64", "cpu", 0), lambda: steps, reference_run_of(case, 0), diagnose=False)
    assert verdict.ok, verdict.findings


@pytest.mark.parametrize("name", [name for name in OF_SGD if name != "sequential-lr"])
def test_states_have_the_twins_layout(name):
    """Compare the states of all but one: torch's cosine keeps, before its turn in a sequence, the rate of the schedule before."""
    states = []
    for library in (OURS, THEIRS):
        optimizer = an_optimizer(library, "SGD")
        scheduler = made(OF_SGD[name], library, optimizer)
        walk(optimizer, scheduler, 5)
        states.append(scheduler.state_dict())
    same_layout(*states)


def same_layout(ours, theirs):
    assert ours.keys() == theirs.keys() - BOOKKEEPING
    for name, value in ours.items():
        if name == "_schedulers":
            for pair in zip(value, theirs[name], strict=True):
                same_layout(*pair)
        elif name == "_last_lr" or isinstance(value, float):
            assert_equal_up_to_rounding(value, theirs[name], 1e-12)
        else:
            assert value == theirs[name], name


@every_schedule
def test_options_of_the_groups_are_the_twins(case):
    optimizers = [an_optimizer(library, "SGD") for library in (OURS, THEIRS)]
    for library, optimizer in zip((OURS, THEIRS), optimizers, strict=True):
        made(case, library, optimizer)
    for ours, theirs in zip(*(optimizer.param_groups for optimizer in optimizers), strict=True):
        added = ours.keys() - an_optimizer(OURS, "SGD").param_groups[0].keys()
        assert "initial_lr" in added
        assert added == theirs.keys() - an_optimizer(THEIRS, "SGD").param_groups[0].keys()
        assert {key: ours[key] for key in added} == pytest.approx({key: theirs[key] for key in added})


@pytest.mark.parametrize("name", [name for name in lr_scheduler.__all__ if name[0].isupper()])
def test_signature_is_the_twins(name):
    ours, theirs = (inspect.signature(getattr(library.lr_scheduler, name)).parameters for library in (OURS, THEIRS))
    expected = [p for p in theirs.values() if p.name not in BOOKKEEPING]
    assert [(p.name, p.default, p.kind) for p in ours.values()] == [(p.name, p.default, p.kind) for p in expected]


@pytest.mark.parametrize(
    "name", [name for name, case in OF_SGD.items() if "sequential" not in name and case.inputs(Draw(0))["steps"] == STEPS]
)
def test_last_epoch_resumes_without_a_state(name):
    optimizer = an_optimizer(OURS, "SGD")
    whole = walk(optimizer, made(OF_SGD[name], OURS, optimizer), 90)
    optimizer = an_optimizer(OURS, "SGD")
    walk(optimizer, made(OF_SGD[name], OURS, optimizer), 40)
    resumed = made(OF_SGD[name], OURS, optimizer, last_epoch=39)
    assert resumed.last_epoch == 40
    assert_same(walk(optimizer, resumed, 50), whole[40:])


def test_restarts_within_an_epoch():
    walks = []
    for library in (OURS, THEIRS):
        optimizer = an_optimizer(library, "SGD")
        scheduler = library.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=3, T_mult=2)
        seen = []
        for epoch in (0.0, 0.25, 0.5, 2.75, 3.0, 4.5, None, 8.9, 9, 10.25, None, None, 1.5):
            scheduler.step(epoch)
            seen.append([scheduler.last_epoch, *scheduler.get_last_lr()])
        walks.append(np.array(seen, float))
    assert_same(*walks)


def test_a_rate_set_by_hand_holds_until_the_next_step():
    optimizer = an_optimizer(OURS, "SGD")
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.param_groups[0]["lr"] = 7.0
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.25


def test_objects_keep_their_attributes_and_functions_are_not_saved():
    for make in (
        lambda optimizer, factor: lr_scheduler.LambdaLR(optimizer, [factor, lambda step: 1.0, factor]),
        lambda optimizer, factor: lr_scheduler.CyclicLR(optimizer, 0.1, 0.2, scale_fn=factor),
    ):
        saved = make(an_optimizer(OURS, "SGD"), Halving(5)).state_dict()
        factor = Halving(9)
        make(an_optimizer(OURS, "SGD"), factor).load_state_dict(saved)
        assert factor.every == 5
    saved = lr_scheduler.LambdaLR(an_optimizer(OURS, "SGD"), [Halving(5), lambda step: 1.0, Halving(7)]).state_dict()
    assert saved["lr_lambdas"] == [{"every": 5}, None, {"every": 7}]


# Warm-ups


@pytest.mark.parametrize("name", ["linear_warm_up", "warm_up_cosine", "noam"])
def test_signature_of_a_warm_up_is_the_references(name):
    ours, theirs = (
        inspect.signature(getattr(factors, name)).parameters for factors in (lr_scheduler, reference.optim.lr_scheduler)
    )
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


def test_a_warm_up_begins_with_a_part_and_ends_with_the_whole():
    factor = lr_scheduler.linear_warm_up(4)
    assert [factor(step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_a_cosine_after_a_warm_up_is_torchs_cosine():
    optimizer = an_optimizer(THEIRS, "SGD")
    scheduler = THEIRS.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.0)
    factor = lr_scheduler.warm_up_cosine(10, 60)
    theirs = walk(optimizer, scheduler, 50)[:, 0, 0] / BEGINS[0]
    np.testing.assert_allclose([factor(step) for step in range(10, 61)], theirs, atol=1e-14)
    assert [factor(step) for step in (0, 4, 9)] == [0.1, 0.5, 1.0]
    assert factor(60) == factor(500) == 0


def test_noam_is_the_papers_rate():
    """Section 5.3, whose steps count from 1: d_model^-0.5 min(step^-0.5, step warmup_steps^-1.5)."""
    factor = lr_scheduler.noam(512, 4000)
    rates = np.array([factor(step) for step in range(20_000)])
    assert rates.argmax() == 3999
    assert rates[3999] == pytest.approx((512 * 4000) ** -0.5)
    assert rates[0] == pytest.approx(rates[3999] / 4000)
    assert rates[15_999] == pytest.approx(rates[3999] / 2)


# A model is moved alike


@pytest.mark.parametrize("what", ["one-cycle-lr-default", "cyclic-lr-halving", "sequential-lr-restarts"])
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_parameters_move_alike(name, what):
    gradients = np.random.default_rng(0).standard_normal((80, 3, 2))
    paths = []
    for library in (OURS, THEIRS):
        optimizer = an_optimizer(library, name)
        scheduler = made(OF_SGD[what], library, optimizer)
        parameters = [group["params"][0] for group in optimizer.param_groups]
        for gradient in gradients:
            for parameter, grad in zip(parameters, gradient, strict=True):
                parameter.grad = grad if library is OURS else torch.from_numpy(grad.copy())
            optimizer.step()
            scheduler.step()
            paths.append([to_numpy(parameter.data).copy() for parameter in parameters])
    ours, theirs = np.array(paths).reshape(2, 80, 6)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)


# Bad input


def on(make):
    """Return the schedule of an optimiser with three groups and a momentum."""
    return lambda: make(an_optimizer(OURS, "SGD"))


class NoMomentum(scratch.optim.SGD):
    """An optimiser without anything to cycle."""

    def __init__(self, params):
        super().__init__(params)
        del self.defaults["momentum"]


def of_two_optimisers():
    first, second = an_optimizer(OURS, "SGD"), an_optimizer(OURS, "SGD")
    lr_scheduler.SequentialLR(first, [lr_scheduler.StepLR(second, 3)], [])


def nested(optimizer):
    inner = lr_scheduler.SequentialLR(optimizer, [lr_scheduler.StepLR(optimizer, 3)], [])
    return lr_scheduler.SequentialLR(optimizer, [inner], [])


def with_milestones(*milestones):
    def make(optimizer):
        parts = [lr_scheduler.StepLR(optimizer, 3) for _ in range(3)]
        return lr_scheduler.SequentialLR(optimizer, parts, list(milestones))

    return on(make)


def beyond_the_last_step():
    optimizer = an_optimizer(OURS, "SGD")
    scheduler = lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=3)
    for _ in range(4):
        scheduler.step()


def with_another_group():
    optimizer = an_optimizer(OURS, "SGD")
    scheduler = lr_scheduler.StepLR(optimizer, 3)
    optimizer.add_param_group({"params": [Parameter(np.zeros(2))]})
    scheduler.step()


def loaded(make, **changes):
    """Load a state with some of its values set, or left out where they are None."""
    state = make(an_optimizer(OURS, "SGD")).state_dict() | changes
    make(an_optimizer(OURS, "SGD")).load_state_dict({name: value for name, value in state.items() if value is not None})


def step_lr(optimizer):
    return lr_scheduler.StepLR(optimizer, 3)


def sequential(optimizer):
    return lr_scheduler.SequentialLR(optimizer, [step_lr(optimizer), step_lr(optimizer)], [5])


BAD = {
    "optimizer": (
        lambda: lr_scheduler.StepLR(an_optimizer(THEIRS, "SGD"), 3),
        "StepLR: expected an optimiser of scratch.optim, got SGD",
    ),
    "last_epoch": (on(lambda o: lr_scheduler.StepLR(o, 3, last_epoch=-2)), "StepLR: last_epoch is -2, expected the number of the"),
    "no initial_lr": (on(lambda o: lr_scheduler.StepLR(o, 3, last_epoch=5)), "StepLR: no initial_lr in a group; to resume, first"),
    "step_size": (on(lambda o: lr_scheduler.StepLR(o, 0)), "StepLR: step_size is 0, expected a whole number"),
    "fractional step_size": (on(lambda o: lr_scheduler.StepLR(o, 2.5)), "StepLR: step_size is 2.5, expected a whole number"),
    "gamma": (on(lambda o: lr_scheduler.StepLR(o, 3, -0.1)), "StepLR: gamma is -0.1, expected 0 to inf"),
    "milestone": (
        on(lambda o: lr_scheduler.MultiStepLR(o, [3, -1])),
        "MultiStepLR: milestone is -1, expected a whole number of at",
    ),
    "gamma at milestones": (on(lambda o: lr_scheduler.MultiStepLR(o, [3], -1.0)), "MultiStepLR: gamma is -1.0, expected 0 to inf"),
    "factor": (on(lambda o: lr_scheduler.ConstantLR(o, 1.5)), "ConstantLR: factor is 1.5, expected 0 to 1"),
    "constant total": (on(lambda o: lr_scheduler.ConstantLR(o, total_iters=0)), "ConstantLR: total_iters is 0, expected a whole"),
    "start_factor": (on(lambda o: lr_scheduler.LinearLR(o, -0.5)), "LinearLR: start_factor is -0.5, expected 0 to 1"),
    "end_factor": (on(lambda o: lr_scheduler.LinearLR(o, 0.5, 1.5)), "LinearLR: end_factor is 1.5, expected 0 to 1"),
    "linear total": (on(lambda o: lr_scheduler.LinearLR(o, total_iters=0)), "LinearLR: total_iters is 0, expected a whole number"),
    "exponential gamma": (on(lambda o: lr_scheduler.ExponentialLR(o, math.nan)), "ExponentialLR: gamma is nan, expected 0 to inf"),
    "polynomial total": (on(lambda o: lr_scheduler.PolynomialLR(o, 0)), "PolynomialLR: total_iters is 0, expected a whole number"),
    "power": (on(lambda o: lr_scheduler.PolynomialLR(o, 5, -1.0)), "PolynomialLR: power is -1.0, expected 0 to inf"),
    "lambdas": (on(lambda o: lr_scheduler.LambdaLR(o, [abs])), "LambdaLR: expected a function as lr_lambda, or one for each of 3"),
    "no lambda": (on(lambda o: lr_scheduler.LambdaLR(o, 0.5)), "LambdaLR: expected a function as lr_lambda, or one for each of 3"),
    "T_max": (on(lambda o: lr_scheduler.CosineAnnealingLR(o, 0)), "CosineAnnealingLR: T_max is 0, expected a whole number"),
    "T_0": (
        on(lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0)),
        "CosineAnnealingWarmRestarts: T_0 is 0, expected a whole",
    ),
    "T_mult": (on(lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 1.5)), "T_mult is 1.5, expected a whole number"),
    "epoch": (
        on(lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3).step(-0.5)),
        "CosineAnnealingWarmRestarts: epoch is -0.5, expected at least 0",
    ),
    "cyclic rates": (
        on(lambda o: lr_scheduler.CyclicLR(o, [0.1, 0.2], 1.0)),
        "CyclicLR: base_lr has 2 values, expected one, or one for each of 3 groups",
    ),
    "highest rates": (
        on(lambda o: lr_scheduler.CyclicLR(o, 0.1, [1.0])),
        "CyclicLR: max_lr has 1 values, expected one, or one for",
    ),
    "up": (on(lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, 0)), "CyclicLR: step_size_up is 0, expected a whole number"),
    "down": (
        on(lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, 5, 0)),
        "CyclicLR: step_size_down is 0, expected a whole number of at",
    ),
    "mode": (
        on(lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, mode="square")),
        "CyclicLR: mode is 'square', expected one of triangular",
    ),
    "scale_mode": (
        on(lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, scale_mode="steps")),
        "CyclicLR: scale_mode is 'steps', expected one of cycle, iterations",
    ),
    "momentum": (
        on(lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, base_momentum=1.5)),
        "CyclicLR: base_momentum is 1.5, expected 0 to 1",
    ),
    "momentums": (on(lambda o: lr_scheduler.OneCycleLR(o, 1.0, 9, max_momentum=[0.5])), "OneCycleLR: max_momentum has 1 values"),
    "no momentum": (
        lambda: lr_scheduler.OneCycleLR(NoMomentum([Parameter(np.zeros(2))]), 0.1, 9),
        "OneCycleLR: NoMomentum has no momentum; set cycle_momentum=False",
    ),
    "total_steps": (
        on(lambda o: lr_scheduler.OneCycleLR(o, 0.1, 0)),
        "OneCycleLR: total_steps is 0, expected a whole number of at",
    ),
    "no steps": (on(lambda o: lr_scheduler.OneCycleLR(o, 0.1)), "OneCycleLR: expected total_steps, or epochs and steps_per_epoch"),
    "no epochs": (on(lambda o: lr_scheduler.OneCycleLR(o, 0.1, steps_per_epoch=5)), "OneCycleLR: expected total_steps, or epochs"),
    "epochs": (on(lambda o: lr_scheduler.OneCycleLR(o, 0.1, None, 0, 5)), "OneCycleLR: epochs is 0, expected a whole number"),
    "pct_start": (on(lambda o: lr_scheduler.OneCycleLR(o, 0.1, 9, pct_start=1.5)), "OneCycleLR: pct_start is 1.5, expected 0 to 1"),
    "strategy": (
        on(lambda o: lr_scheduler.OneCycleLR(o, 0.1, 9, anneal_strategy="sin")),
        "OneCycleLR: anneal_strategy is 'sin', expected one of cos, linear",
    ),
    "one-cycle rates": (
        on(lambda o: lr_scheduler.OneCycleLR(o, [0.1], 9)),
        "OneCycleLR: max_lr has 1 values, expected one, or one",
    ),
    "beyond the last step": (beyond_the_last_step, "OneCycleLR: step 4 is beyond total_steps, 3; make a new schedule"),
    "one more group": (with_another_group, "StepLR: the optimiser has 4 groups, it had 3; make a new schedule"),
    "no schedulers": (
        on(lambda o: lr_scheduler.SequentialLR(o, [], [])),
        "SequentialLR: expected one or more schedulers of its own",
    ),
    "two optimisers": (of_two_optimisers, "SequentialLR: expected one or more schedulers of its own optimiser"),
    "nested": (on(nested), "SequentialLR: expected one or more schedulers of its own optimiser, none of them a SequentialLR"),
    "milestones": (
        with_milestones(5),
        "SequentialLR: expected rising milestones, one fewer than the 3 schedulers, got [5]",
    ),
    "falling milestones": (with_milestones(5, 4), "SequentialLR: expected rising milestones, one fewer than the 3 schedulers"),
    "equal milestones": (with_milestones(5, 5), "SequentialLR: expected rising milestones, one fewer than the 3 schedulers"),
    "missing state": (lambda: loaded(step_lr, gamma=None), "the state does not fit StepLR: missing gamma"),
    "unexpected state": (lambda: loaded(step_lr, T_max=5), "the state does not fit StepLR: unexpected T_max"),
    "states of schedulers": (
        lambda: loaded(sequential, _schedulers=[{}]),
        "the state does not fit SequentialLR: expected the states of 2 schedulers",
    ),
    "warm-up": (
        lambda: lr_scheduler.linear_warm_up(0),
        "linear_warm_up: warm_up_steps is 0, expected a whole number of at least 1",
    ),
    "cosine total": (
        lambda: lr_scheduler.warm_up_cosine(10, 10),
        "warm_up_cosine: total_steps is 10, expected a whole number of at least 11",
    ),
    "lowest": (lambda: lr_scheduler.warm_up_cosine(1, 10, 1.5), "warm_up_cosine: lowest is 1.5, expected 0 to 1"),
    "d_model": (lambda: lr_scheduler.noam(0, 5), "noam: d_model is 0, expected a whole number"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_said_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])


def test_a_state_that_does_not_fit_changes_nothing():
    scheduler = step_lr(an_optimizer(OURS, "SGD"))
    state = scheduler.state_dict() | {"last_epoch": 7, "unknown": 1}
    with pytest.raises(ValueError, match="unexpected unknown"):
        scheduler.load_state_dict(state)
    assert scheduler.last_epoch == 0
