"""Optimisers beyond their cases: layouts, clipping at the edges, training runs, states that either backend continues."""

import inspect
import math
from functools import partial

import numpy as np
import pytest
import torch

import reference.models
import scratch.models
import scratch.optim
from parity.cases import matching
from parity.check import judge, reference_run_of
from parity.judging.tolerance import measure
from parity.judging.verdict import Verdict, compare
from parity.running.problem import Problem, Run
from parity.running.trace import Trace
from parity.running.training_steps import OptimiserSteps
from parity.weights import get_state, set_state
from scratch.fast.threads import BLOCK
from scratch.module import Parameter
from scratch.ops import cross_entropy
from scratch.optim import SGD, Adam, AdamW, clip_grad_norm_, clip_grad_value_

TORCH_ONLY = {"foreach", "fused", "capturable", "differentiable"}
TRAININGS = ("-groups", "-long", "-resumed", "-scheduled", "-changed", "-no-eps")  # which have groups or steps of their own
CASES = {case.name: case for case in matching("optimisers") if not case.name.endswith(TRAININGS)}
OPTIMISERS = {name: (case.scratch.removeprefix("optim."), case.config) for name, case in CASES.items()}
every_optimiser = pytest.mark.parametrize(("name", "options"), OPTIMISERS.values(), ids=OPTIMISERS)
both_dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


def in_backend(library, array, dtype):
    array = np.array(array, dtype)
    return torch.from_numpy(array) if library is torch.optim else array


def make_parameters(library, starts, dtype):
    kind = torch.nn.Parameter if library is torch.optim else Parameter
    return [kind(in_backend(library, start, dtype)) for start in starts]


def arrays(values):
    """Return copies of the arrays that parameters or tensors hold."""
    return [np.array(v.data if isinstance(v, Parameter) else v.detach().numpy()) for v in values]


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_groups_may_be_added_one_by_one(name):
    rng = np.random.default_rng(2)
    starts, gradients = rng.standard_normal((2, 10, 3))
    whole, added = ([Parameter(start.copy()) for start in starts] for _ in range(2))
    kind = getattr(scratch.optim, name)
    first = [{"lr": 0.02}, {"weight_decay": 0.2}]
    expected = kind(
        [
            {"params": whole[:3], **first[0]},
            {"params": whole[3:6], **first[1]},
            {"params": whole[6:7], "maximize": True},
            {"params": whole[7:], "name": "head"},
        ],
        lr=0.01,
    )
    optimizer = kind([{"params": added[:3], **first[0]}, {"params": iter(added[3:6]), **first[1]}], lr=0.01)
    optimizer.add_param_group({"params": added[6], "maximize": True})
    optimizer.add_param_group({"params": added[7:], "name": "head"})
    for _ in range(3):
        for parameters, each in ((whole, expected), (added, optimizer)):
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            each.step()
    np.testing.assert_array_equal([p.data for p in added], [p.data for p in whole])
    assert not np.array_equal([p.data for p in added], starts)


@pytest.mark.parametrize(
    "layout",
    [np.asfortranarray, lambda a: np.repeat(a, 2, axis=1)[:, ::2], lambda a: a[::-1].copy()[::-1], lambda a: a.T.copy().T],
    ids=["fortran", "strided", "reversed", "transposed"],
)
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_layout_is_only_a_layout(name, layout):
    """The same numbers come out, in the arrays that were there, for any layout of parameter and gradient."""
    rng = np.random.default_rng(4)
    start, gradient = rng.standard_normal((2, 301, 250))
    options = dict(momentum=0.9, weight_decay=0.1) if name == "SGD" else {}
    expected, laid_out, both = Parameter(start.copy()), Parameter(layout(start.copy())), Parameter(layout(start.copy()))
    array = both.data
    expected.grad, laid_out.grad, both.grad = gradient, gradient, layout(gradient)
    optimizer = getattr(scratch.optim, name)([expected, laid_out, both], **options)
    for _ in range(3):
        optimizer.step()
    np.testing.assert_array_equal(laid_out.data, expected.data)
    np.testing.assert_array_equal(both.data, expected.data)
    assert both.data is array


@every_optimiser
def test_gradients_stay_as_they_are(name, options):
    rng = np.random.default_rng(5)
    gradient = rng.standard_normal((4, 3))
    gradient.flags.writeable = False
    parameters = [Parameter(rng.standard_normal((4, 3))) for _ in range(3)]
    optimizer = getattr(scratch.optim, name)(parameters, **options)
    before = gradient.copy()
    for _ in range(3):
        parameters[0].grad = parameters[1].grad = gradient
        optimizer.step()
        assert parameters[0].grad is gradient
    np.testing.assert_array_equal(gradient, before)
    assert not any(np.shares_memory(array, gradient) for state in optimizer.state.values() for array in state.values())
    assert parameters[2] not in {p for p, state in optimizer.state.items() if state}
    optimizer.zero_grad()
    assert [p.grad for p in parameters] == [None] * 3


def test_arrays_without_numbers():
    parameter = Parameter(np.zeros((0, 3)))
    parameter.grad = np.zeros((0, 3))
    SGD([parameter], momentum=0.9).step()
    AdamW([parameter]).step()
    assert clip_grad_norm_([parameter], 1.0) == clip_grad_norm_([parameter], 1.0, math.inf) == 0


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_signature_is_the_twins(name):
    ours, theirs = (inspect.signature(getattr(library, name)).parameters for library in (scratch.optim, torch.optim))
    expected = {key: (p.kind, p.default) for key, p in theirs.items() if key not in TORCH_ONLY}
    assert {key: (p.kind, p.default) for key, p in ours.items()} == expected
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert [p for p in ours if ours[p].kind == positional] == [p for p in theirs if theirs[p].kind == positional]


# Clipping


def clipped(clip, dtype, gradients, *args):
    """Return the result of clip(parameters, *args) and the gradients that it leaves; the first parameter has none."""
    library = scratch.optim if clip.__module__.startswith("scratch") else torch.optim
    parameters = make_parameters(library, [np.zeros(2), *(np.zeros(g.shape) for g in gradients)], dtype)
    for parameter, gradient in zip(parameters[1:], gradients, strict=True):
        parameter.grad = in_backend(library, gradient, dtype)
    total = clip(iter(parameters), *args)
    assert parameters[0].grad is None
    grads = [parameter.grad for parameter in parameters[1:]]
    if library is scratch.optim:
        assert {(type(g), g.dtype) for g in grads} == {(np.ndarray, np.dtype(dtype))}
        return total, [np.array(g, np.float64) for g in grads]
    return None if total is None else total.item(), arrays(grads)


@both_dtypes
def test_one_parameter_alone_is_clipped(dtype):
    gradient = np.random.default_rng(8).standard_normal((2, BLOCK + 7)).astype(np.float32)
    parameter = Parameter(np.zeros_like(gradient))
    parameter.grad = np.asfortranarray(gradient)
    assert clip_grad_norm_(parameter, 2.0) == pytest.approx(np.linalg.norm(gradient.astype(np.float64)))
    clip_grad_value_(parameter, 1e-4)
    assert np.abs(parameter.grad).max() == np.float32(1e-4)


def test_float32_gradients_whose_squares_overflow_or_vanish():
    """Clip them as in float64; the norm that torch computes in float32 is inf or 0."""
    for scale in (1e25, 1e-30):
        gradient = (scale * np.random.default_rng(9).standard_normal(50)).astype(np.float32)
        norm, (grad,) = clipped(clip_grad_norm_, np.float32, [gradient], 1e-3)
        norm64, (grad64,) = clipped(torch.nn.utils.clip_grad_norm_, np.float64, [gradient], 1e-3)
        assert norm == pytest.approx(norm64)
        np.testing.assert_allclose(grad, grad64, rtol=1e-6)


def test_gradients_that_are_not_finite():
    for bad in (math.inf, math.nan):
        ours, theirs = ([np.array([1.0, bad]), np.array(2.0)] for _ in range(2))
        with np.errstate(invalid="ignore"):
            norm, grads = clipped(clip_grad_norm_, np.float64, ours, 1.0)
        expected_norm, expected = clipped(torch.nn.utils.clip_grad_norm_, np.float64, theirs, 1.0)
        np.testing.assert_equal((norm, grads), (expected_norm, expected))


def test_a_shared_gradient_is_clipped_once_for_each():
    gradient = np.array([3.0, 4.0])
    parameters = [Parameter(np.zeros(2)), Parameter(np.zeros(2))]
    parameters[0].grad = parameters[1].grad = gradient
    clip_grad_norm_(parameters, 1.0)
    for parameter in parameters:
        np.testing.assert_allclose(parameter.grad, gradient / math.sqrt(50), rtol=1e-6)
    np.testing.assert_array_equal(gradient, [3.0, 4.0])
    assert clip_grad_norm_([Parameter(np.zeros(2))], 1.0) == 0


# Training

MODELS = {
    "mlp": ("MLP", dict(in_features=6, hidden=(11, 9), out_features=5, activation="tanh"), (13, 6)),
    "cnn": ("CNN", dict(in_channels=2, image_size=(8, 7), classes=5, channels=(3, 5), hidden=11), (13, 2, 8, 7)),
}
TRAINING = {
    "sgd": ("SGD", dict(lr=0.2)),
    "sgd-nesterov": ("SGD", dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-2)),
    "adam": ("Adam", dict(lr=3e-3, weight_decay=1e-2)),
    "adamw": ("AdamW", dict(lr=3e-3, weight_decay=0.1)),
}


def factor(step):
    """Return a factor of the learning rate that warms up and falls again."""
    return min(step / 5, 1) * (0.55 + 0.45 * math.cos(math.pi * step / 60))


def train(library, model_name, config, optimiser_name, options, problem, dtype):
    """Return the loss and the parameters after each step; gradients are clipped to a norm that some of them exceed."""
    ours = library is scratch.optim
    model = getattr((scratch if ours else reference).models, model_name)(**config)
    model = model.astype(dtype) if ours else model.to(getattr(torch, dtype))
    set_state(model, problem.state)
    parameters = list(model.parameters())
    optimizer = getattr(library, optimiser_name)(parameters, **options)
    history = []
    for step in range(50):
        x, target = (problem.inputs[name][step % 4] for name in ("images", "targets"))
        optimizer.zero_grad()
        for group in optimizer.param_groups:
            group["lr"] = options["lr"] * factor(step + 1)
        x = in_backend(library, x, dtype)
        if ours:
            logits, model_backward = model(x)
            loss, loss_backward = cross_entropy(logits, target)
            model_backward(loss_backward(np.ones_like(loss))[0])
            clip_grad_norm_(parameters, 0.8)
        else:
            loss = torch.nn.functional.cross_entropy(model(x), torch.from_numpy(target))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 0.8)
        optimizer.step()
        history.append([loss.item(), *arrays(parameters)])
    names = ["loss", *(name for name, _ in model.named_parameters())]
    return {name: np.array(steps, dtype) for name, steps in zip(names, zip(*history, strict=True), strict=True)}


@pytest.mark.parametrize(("optimiser_name", "options"), TRAINING.values(), ids=TRAINING)
@pytest.mark.parametrize(("model_name", "config", "shape"), MODELS.values(), ids=MODELS)
def test_training_runs_stay_together(model_name, config, shape, optimiser_name, options):
    """Compare 50 steps from the same weights by the tolerance that torch's own runs show."""
    rng = np.random.default_rng(10)
    weights = {
        name: rng.uniform(-1, 1, array.shape).astype(np.float32).astype(np.float64) / max(1, array[0].size) ** 0.5
        for name, array in get_state(getattr(reference.models, model_name)(**config)).items()
    }
    images = rng.standard_normal((4, *shape)).astype(np.float32).astype(np.float64)
    problem = Problem({"images": images, "targets": rng.integers(0, 5, (4, shape[0]))}, weights, ())
    run = partial(train, model_name=model_name, config=config, optimiser_name=optimiser_name, options=options)
    calibration = measure(lambda posed, dtype: run(torch.optim, problem=posed, dtype=dtype), problem)
    for dtype in ("float64", "float32"):
        findings, _ = compare(Run(run(scratch.optim, problem=problem, dtype=dtype), Trace()), calibration, dtype)
        assert not findings, dtype
    losses = calibration.truth["loss"]
    assert losses[-4:].mean() < 0.95 * losses[:4].mean(), "the loss has to fall for this to say anything"


# States


def to_arrays(state_dict):
    """Return a torch.optim state with arrays in place of its tensors."""
    state = {i: {name: v.numpy().copy() for name, v in entry.items()} for i, entry in state_dict["state"].items()}
    return {"state": state, "param_groups": state_dict["param_groups"]}


def to_tensors(state_dict):
    """Return a scratch.optim state with tensors in place of its arrays."""
    state = {i: {name: torch.from_numpy(v.copy()) for name, v in entry.items()} for i, entry in state_dict["state"].items()}
    return {"state": state, "param_groups": state_dict["param_groups"]}


def converted(state_dict, source, target):
    if source is target:
        return state_dict
    return to_arrays(state_dict) if source is torch.optim else to_tensors(state_dict)


class Interrupted:
    """An optimiser that is saved after 20 steps and continued from its state, each part in a library of its own."""

    def __init__(self, name, first, second, params, **options):
        self.name, self.first, self.second, self.taken = name, first, second, 0
        self.outer = list(params)
        self.dtype = self.outer[0].data.dtype
        self.make(first, options)

    def make(self, library, options):
        self.library, self.inner = library, make_parameters(library, [p.data for p in self.outer], self.dtype)
        groups = [{"params": self.inner[:4]}, {"params": self.inner[4:]}]
        self.optimizer = getattr(library, self.name)(groups, **options)

    @property
    def param_groups(self):
        return self.optimizer.param_groups

    def step(self):
        self.taken += 1
        for outer, inner in zip(self.outer, self.inner, strict=True):
            inner.grad = None if outer.grad is None else in_backend(self.library, outer.grad, self.dtype)
        self.optimizer.step()
        for outer, array in zip(self.outer, arrays(self.inner), strict=True):
            outer.data = array
        if self.taken == 20:
            saved = self.optimizer.state_dict()
            self.make(self.second, {})  # its options come with the state
            self.optimizer.load_state_dict(converted(saved, self.first, self.second))

    def state_dict(self):
        return converted(self.optimizer.state_dict(), self.library, scratch.optim)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("first", "second"),
    [(torch.optim, scratch.optim), (scratch.optim, torch.optim), (scratch.optim, scratch.optim)],
    ids=["torch-to-scratch", "scratch-to-torch", "scratch-to-scratch"],
)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_saved_state_continues_in_either_backend(case, first, second, dtype):
    interrupted = partial(Interrupted, case.scratch.removeprefix("optim."), first, second)
    steps = OptimiserSteps(interrupted, case.config, None)
    verdict = judge(Verdict(case.name, "", dtype, "cpu", 0), lambda: steps, reference_run_of(case, 0), diagnose=False)
    assert verdict.ok, verdict.findings


@every_optimiser
def test_states_have_the_twins_layout(name, options):
    """The same groups, numbers, names, shapes and dtypes; what only torch knows is kept for it."""
    shapes = [(2,), (3, 4), ()]
    dicts = []
    for library in (scratch.optim, torch.optim):
        parameters = make_parameters(library, [np.ones(shape) for shape in shapes], np.float32)
        optimizer = getattr(library, name)([{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.5}], **options)
        for parameter, shape in zip(parameters[1:], shapes[1:], strict=True):
            parameter.grad = in_backend(library, np.ones(shape), np.float32)
        optimizer.step()
        dicts.append(optimizer.state_dict())
    ours, theirs = dicts[0], to_arrays(dicts[1])

    def layout(state_dict):
        return {i: {name: (v.shape, v.dtype) for name, v in entry.items()} for i, entry in state_dict["state"].items()}

    assert layout(ours) == layout(theirs)
    known = [{key: value for key, value in group.items() if key not in TORCH_ONLY} for group in theirs["param_groups"]]
    assert ours["param_groups"] == known

    parameters = make_parameters(scratch.optim, [np.ones(shape) for shape in shapes], np.float32)
    restored = getattr(scratch.optim, name)([{"params": parameters[:1]}, {"params": parameters[1:]}])
    restored.load_state_dict(theirs)
    assert restored.state_dict()["param_groups"] == theirs["param_groups"]


def stepped(name, **options):
    """Return an optimiser of two parameters after one step."""
    parameters = [Parameter(np.ones((2, 3))), Parameter(np.ones(4))]
    for parameter in parameters:
        parameter.grad = np.full(parameter.data.shape, 0.5)
    optimizer = getattr(scratch.optim, name)(parameters, **options)
    optimizer.step()
    return optimizer


def test_loading_copies():
    saved = stepped("Adam").state_dict()
    before = saved["state"][0]["exp_avg"].copy()
    optimizer = stepped("Adam")
    optimizer.load_state_dict(saved)
    optimizer.step()
    np.testing.assert_array_equal(saved["state"][0]["exp_avg"], before)
    assert saved["state"][0]["step"] == 1
    assert optimizer.state_dict()["state"][0]["step"] == 2


def test_loading_casts_to_the_parameters():
    optimizer = AdamW([Parameter(np.ones((2, 3), np.float32)), Parameter(np.ones(4, np.float32))])
    optimizer.load_state_dict(stepped("AdamW").state_dict())
    assert {a.dtype for state in optimizer.state.values() for a in state.values()} == {np.dtype(np.float32)}


def test_the_count_of_steps_stays_float32_as_in_torch():
    optimizer = stepped("Adam")
    optimizer.load_state_dict(stepped("Adam").state_dict())
    assert {state["step"].dtype for state in optimizer.state.values()} == {np.dtype(np.float32)}


def test_groups_are_loaded_and_checked_one_by_one():
    def two_groups(amsgrad):
        first, second = Parameter(np.ones(2)), Parameter(np.ones(3))
        first.grad, second.grad = np.ones(2), np.ones(3)
        optimizer = Adam([{"params": [first]}, {"params": [second], "amsgrad": amsgrad}])
        optimizer.step()
        return optimizer

    saved = two_groups(amsgrad=True).state_dict()
    optimizer = two_groups(amsgrad=False)
    optimizer.load_state_dict(saved)
    assert [group["amsgrad"] for group in optimizer.param_groups] == [False, True]
    saved["param_groups"][1]["lr"] = -1.0
    with pytest.raises(ValueError, match=r"lr is -1\.0"):
        optimizer.load_state_dict(saved)


def test_an_empty_state_is_that_of_a_parameter_without_one():
    saved = stepped("Adam").state_dict()
    saved["state"][1] = {}
    optimizer = stepped("Adam")
    optimizer.load_state_dict(saved)
    assert list(optimizer.state_dict()["state"]) == [0]


def damage(state_dict, *path, value=None):
    """Set or, without a value, delete what lies at a path."""
    *upper, last = path
    for key in upper:
        state_dict = state_dict[key]
    if value is None:
        del state_dict[last]
    else:
        state_dict[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("state",), None, r"expected a state of \"state\" and \"param_groups\", got \['param_groups'\]"),
        (("param_groups",), [], r"groups of \[\] parameters, expected \[2\]"),
        (("param_groups", 0, "params"), [0], r"groups of \[1\] parameters, expected \[2\]"),
        (("param_groups", 0, "lr"), -1.0, "lr is -1.0, expected at least 0"),
        (
            ("param_groups", 0, "decoupled_weight_decay"),
            False,
            "decoupled_weight_decay is False in a group, expected True; use Adam",
        ),
        (("state", 2), {}, "parameter 2 is in no group"),
        (("state", 1, "exp_avg"), None, "missing exp_avg of parameter 1"),
        (("state", 1, "momentum_buffer"), np.ones(4), "unexpected momentum_buffer of parameter 1"),
        (("state", 0, "exp_avg"), np.ones((3, 2)), r"exp_avg of parameter 0 has shape \(3, 2\), expected \(2, 3\)"),
        (("state", 0, "step"), np.ones(1), r"step of parameter 0 has shape \(1,\), expected \(\)"),
    ],
    ids=lambda value: None if isinstance(value, str) or not isinstance(value, tuple) else "-".join(map(str, value)),
)
def test_a_state_that_does_not_fit_changes_nothing(path, value, message):
    optimizer, untouched, state_dict = stepped("AdamW"), stepped("AdamW"), stepped("AdamW", lr=0.5).state_dict()
    damage(state_dict, *path, value=value)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state_dict)
    assert optimizer.param_groups[0]["lr"] == 1e-3
    optimizer.step()
    untouched.step()
    for ours, expected in zip(optimizer.param_groups[0]["params"], untouched.param_groups[0]["params"], strict=True):
        np.testing.assert_array_equal(ours.data, expected.data)


# Bad inputs


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: SGD([p], lr=-1), "SGD: lr is -1, expected at least 0"),
        (lambda p: SGD([p], lr=math.nan), "SGD: lr is nan"),
        (lambda p: SGD([p], momentum=-0.9), "SGD: momentum is -0.9"),
        (lambda p: SGD([p], weight_decay=-0.1), "SGD: weight_decay is -0.1"),
        (lambda p: SGD([p], nesterov=True), "nesterov needs momentum above 0 and dampening 0, got 0 and 0"),
        (lambda p: SGD([p], momentum=0.9, dampening=0.1, nesterov=True), "dampening 0, got 0.9 and 0.1"),
        (lambda p: Adam([p], lr=-1), "Adam: lr is -1"),
        (lambda p: AdamW([p], eps=-1e-8), "AdamW: eps is -1e-08"),
        (lambda p: AdamW([p], weight_decay=-1), "AdamW: weight_decay is -1"),
        (lambda p: Adam([p], betas=(1.0, 0.9)), r"Adam: betas are \(1.0, 0.9\), expected each at least 0 and below 1"),
        (lambda p: Adam([p], betas=(0.9, -0.1)), "Adam: betas are"),
        (lambda p: AdamW([{"params": [p], "lr": -1}]), "AdamW: lr is -1"),
        (lambda p: AdamW([{"params": [p], "decoupled_weight_decay": False}]), "use Adam"),
        (lambda p: SGD([]), r"SGD: got no parameters; an iterator such as model.parameters\(\) serves only once"),
        (lambda p: SGD(iter([])), "SGD: got no parameters"),
        (lambda p: SGD([p, p]), "SGD: a parameter came twice"),
        (lambda p: SGD([{"params": p}, {"params": [p]}]), "SGD: a parameter came twice"),
        (lambda p: SGD([p.data]), r"SGD: expected Parameters, got ndarray; pass model.parameters\(\)"),
        (lambda p: SGD([("weight", p)]), "SGD: expected Parameters, got tuple"),
        (lambda p: SGD([{"lr": 0.1}]), r"expected a group \{\"params\": \[...\], ...\}, got \{'lr': 0.1\}"),
        (lambda p: SGD([{"params": []}, p]), "SGD: expected a group"),
        (lambda p: SGD([p]).add_param_group({"params": [p]}), "SGD: a parameter came twice"),
        (lambda p: clip_grad_norm_([p], -1.0), "expected max_norm >= 0 and norm_type > 0, got -1.0 and 2.0"),
        (lambda p: clip_grad_norm_([p], math.nan), "got nan and 2.0"),
        (lambda p: clip_grad_norm_([p], 1.0, 0), "got 1.0 and 0"),
        (lambda p: clip_grad_value_([p], -1.0), "clip_value is -1.0, expected at least 0"),
    ],
)
def test_bad_options_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(Parameter(np.ones(3)))


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
@pytest.mark.parametrize("grad", [np.ones(3), np.ones((2, 3), np.float32)], ids=["shape", "dtype"])
def test_a_gradient_that_does_not_fit_is_refused(name, grad):
    parameter = Parameter(np.ones((2, 3)))
    parameter.grad = grad
    with pytest.raises(ValueError, match=r"grad has shape .* its parameter \(2, 3\) and float64; after Module.astype"):
        getattr(scratch.optim, name)([parameter]).step()
    np.testing.assert_array_equal(parameter.data, np.ones((2, 3)))


def test_a_state_of_another_dtype_is_refused():
    optimizer = stepped("Adam")
    parameter = optimizer.param_groups[0]["params"][0]
    parameter.data, parameter.grad = parameter.data.astype(np.float32), parameter.grad.astype(np.float32)
    with pytest.raises(ValueError, match=r"Adam: exp_avg has shape .* and dtype float64, its parameter .* and float32"):
        optimizer.step()
