"""scratch.optim against torch.optim: replayed gradients, clipping, training runs and states that either continues."""

import inspect
import math

import numpy as np
import pytest
import torch

import reference.models
import scratch.models
import scratch.optim
from parity.weights import get_state, set_state
from scratch.fast.threads import BLOCK
from scratch.module import Parameter
from scratch.ops import cross_entropy
from scratch.optim import SGD, Adam, AdamW, clip_grad_norm_, clip_grad_value_

EPS = {np.float32: np.finfo(np.float32).eps, np.float64: np.finfo(np.float64).eps}
TORCH_ONLY = {"foreach", "fused", "capturable", "differentiable"}
STEPS = 60

OPTIMISERS = {
    "sgd": ("SGD", {}),
    "sgd-decay": ("SGD", dict(lr=0.02, weight_decay=0.3)),
    "sgd-decay-maximize": ("SGD", dict(lr=0.02, weight_decay=0.3, maximize=True)),
    "sgd-momentum": ("SGD", dict(lr=0.05, momentum=0.8)),
    "sgd-dampening": ("SGD", dict(lr=0.05, momentum=0.8, dampening=0.4, weight_decay=0.1)),
    "sgd-nesterov": ("SGD", dict(lr=0.05, momentum=0.8, nesterov=True)),
    "sgd-nesterov-decay-maximize": ("SGD", dict(lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.1, maximize=True)),
    "adam": ("Adam", {}),
    "adam-decay": ("Adam", dict(lr=0.02, betas=(0.7, 0.95), eps=1e-5, weight_decay=0.1)),
    "adam-decay-maximize": ("Adam", dict(lr=0.02, weight_decay=0.1, maximize=True)),
    "adam-decoupled": ("Adam", dict(lr=0.02, weight_decay=0.1, decoupled_weight_decay=True)),
    "adam-amsgrad": ("Adam", dict(lr=0.02, betas=(0.8, 0.6), weight_decay=0.1, amsgrad=True)),
    "adam-without-means": ("Adam", dict(betas=(0.0, 0.0), eps=1e-2)),
    "adamw": ("AdamW", {}),
    "adamw-decay": ("AdamW", dict(lr=0.02, betas=(0.7, 0.95), eps=1e-5, weight_decay=0.3)),
    "adamw-amsgrad-maximize": ("AdamW", dict(lr=0.02, betas=(0.8, 0.6), amsgrad=True, maximize=True)),
}
every_optimiser = pytest.mark.parametrize(("name", "options"), OPTIMISERS.values(), ids=OPTIMISERS)
both_dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


def gradients_to_replay(shape, scale, rng, steps=STEPS):
    """Gradients of a scale; some are exactly 0, and every tenth is missing, as for a layer that was not used."""
    sizes = scale * 10.0 ** rng.uniform(-0.5, 0.5, steps)
    dense = [(size * rng.standard_normal(shape) * (rng.random(shape) < 0.9)).astype(np.float32) for size in sizes]
    absent = rng.random(steps) < 0.1
    return [None if missing else gradient for missing, gradient in zip(absent, dense, strict=True)]


def parameters_to_move(rng, lr):
    """Pairs of a start and the gradients replayed on it, for gradients of 1e-10 to 1e5.

    Half of the starts are about as large as the steps, so that an error in a step is not lost behind the parameter.
    """
    shapes = iter([(), (5, 3), (7,), (2, 3, 4), (1,), (3, 1, 2), (4, 4), (2, 5), (), (6, 2)])
    pairs = []
    for scale in (1e-10, 1e-8, 1e-3, 1.0, 1e5):
        for start in (lr * scale, 1.0):
            shape = next(shapes)
            pairs.append(((start * rng.standard_normal(shape)).astype(np.float32), gradients_to_replay(shape, scale, rng)))
    return pairs


def in_backend(library, array, dtype):
    array = np.array(array, dtype)
    return torch.from_numpy(array) if library is torch.optim else array


def make_parameters(library, starts, dtype):
    kind = torch.nn.Parameter if library is torch.optim else Parameter
    return [kind(in_backend(library, start, dtype)) for start in starts]


def numbers(values):
    """Copies of the arrays or tensors that are held, as float64."""
    return [np.array(v.data if isinstance(v, Parameter) else v.detach().numpy(), np.float64) for v in values]


def factor(step):
    """A learning rate that starts at 0, warms up and falls again."""
    return min(step / 5, 1) * (0.55 + 0.45 * math.cos(math.pi * step / STEPS))


def replay(library, optimizer, parameters, gradients, dtype, steps=range(STEPS)):
    """Every parameter after every step, under a changing learning rate."""
    trajectory = []
    for step in steps:
        for parameter, replayed in zip(parameters, gradients, strict=True):
            parameter.grad = None if replayed[step] is None else in_backend(library, replayed[step], dtype)
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor(step)
        optimizer.step()
        trajectory.append(numbers(parameters))
    return [np.stack(of_parameter) for of_parameter in zip(*trajectory, strict=True)]


def assert_as_exact(ours, ref64, ref32, dtype, what=""):
    """The metric of the harness over trajectories (steps, ...): an error of at most 64 units of honest rounding.

    The unit is the reference's own float32 error, at least one rounding of its largest number, both up to each step.
    """
    assert len(ours) == len(ref64) == len(ref32)
    for i, (a, b64, b32) in enumerate(zip(ours, ref64, ref32, strict=True)):
        assert a.shape == b64.shape
        error, noise, size = (np.abs(x).reshape(len(x), -1).max(axis=1) for x in (a - b64, b32 - b64, b64))
        unit = np.maximum.accumulate(np.maximum(EPS[np.float32] * size, noise))
        ratio = error / (64 * unit * EPS[dtype] / EPS[np.float32] + np.finfo(dtype).tiny)
        worst = int(ratio.argmax())
        assert ratio[worst] <= 1, f"{what}parameter {i} of {b64.shape[1:]}: {ratio[worst]:.3g} of the tolerance, step {worst}"


def judge(make, starts, gradients, dtype):
    """Replay gradients through make(library, parameters) in both libraries and compare every step."""
    runs = []
    for library, precision in ((scratch.optim, dtype), (torch.optim, np.float64), (torch.optim, np.float32)):
        parameters = make_parameters(library, starts, precision)
        runs.append(replay(library, make(library, parameters), parameters, gradients, precision))
        if library is scratch.optim:
            assert {p.data.dtype for p in parameters} == {np.dtype(dtype)}
    assert_as_exact(*runs, dtype)


@both_dtypes
@every_optimiser
def test_every_step_of_replayed_gradients(name, options, dtype):
    rng = np.random.default_rng(1)
    starts, gradients = zip(*parameters_to_move(rng, options.get("lr", 1e-3)), strict=True)
    judge(lambda library, parameters: getattr(library, name)(parameters, **options), starts, gradients, dtype)


@both_dtypes
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_groups_have_their_own_options(name, dtype):
    rng = np.random.default_rng(2)
    starts, gradients = zip(*parameters_to_move(rng, 0.02), strict=True)
    own = dict(SGD=dict(momentum=0.5, dampening=0.2), Adam=dict(betas=(0.5, 0.9)), AdamW=dict(eps=1e-3, amsgrad=True))

    def make(library, parameters):
        groups = [{"params": parameters[:3], "lr": 0.02}, {"params": iter(parameters[3:6]), "weight_decay": 0.2, **own[name]}]
        optimizer = getattr(library, name)(groups, lr=0.01)
        optimizer.add_param_group({"params": parameters[6], "maximize": True})
        optimizer.add_param_group({"params": parameters[7:], "name": "head"})
        return optimizer

    judge(make, starts, gradients, dtype)


@both_dtypes
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_arrays_longer_than_a_block(name, dtype):
    rng = np.random.default_rng(3)
    shapes = [(BLOCK + 1,), (3, BLOCK // 2), (BLOCK,)]
    options = dict(momentum=0.9, nesterov=True, weight_decay=0.1) if name == "SGD" else dict(amsgrad=True)
    starts = [1e-3 * rng.standard_normal(shape) for shape in shapes]
    gradients = [[rng.standard_normal(shape).astype(np.float32) for _ in range(4)] for shape in shapes]
    runs = []
    for library, precision in ((scratch.optim, dtype), (torch.optim, np.float64), (torch.optim, np.float32)):
        parameters = make_parameters(library, starts, precision)
        optimizer = getattr(library, name)(parameters, **options)
        runs.append(replay(library, optimizer, parameters, gradients, precision, range(4)))
    assert_as_exact(*runs, dtype)


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
    """What clip(parameters, *args) returns and leaves as gradients; the first parameter has none."""
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
    return None if total is None else total.item(), numbers(grads)


def assert_clips_alike(ours, theirs, dtype, gradients, *args):
    (norm, grads), (norm64, grads64), (norm32, grads32) = (
        clipped(clip, precision, gradients, *args)
        for clip, precision in ((ours, dtype), (theirs, np.float64), (theirs, np.float32))
    )
    if norm64 is not None:
        grads, grads64, grads32 = [np.array(norm), *grads], [np.array(norm64), *grads64], [np.array(norm32), *grads32]
    assert_as_exact(*([g[None] for g in run] for run in (grads, grads64, grads32)), dtype)


@both_dtypes
@pytest.mark.parametrize("scale", [1e-10, 1e-7, 1e-3, 1.0, 1e5])
@pytest.mark.parametrize("norm_type", [2.0, 1, 3.5, math.inf])
@pytest.mark.parametrize("share", [0.1, 0.999, 1.001, 50.0, 0.0, math.inf], ids=lambda share: f"max_norm-{share}")
def test_clip_grad_norm(share, norm_type, scale, dtype):
    """Thresholds below and above the norm, for norms far below and far above the 1e-6 that is added."""
    rng = np.random.default_rng(6)
    gradients = [(scale * size * rng.standard_normal(s)).astype(np.float32) for s, size in (((), 3), ((4, 5), 1), ((7,), 0.1))]
    norm = float(np.linalg.norm(np.concatenate([g.ravel() for g in gradients]).astype(np.float64), norm_type))
    assert_clips_alike(clip_grad_norm_, torch.nn.utils.clip_grad_norm_, dtype, gradients, share * norm, norm_type)


@both_dtypes
@pytest.mark.parametrize("clip_value", [0.0, 0.3, 1e3])
def test_clip_grad_value(clip_value, dtype):
    rng = np.random.default_rng(7)
    gradients = [rng.standard_normal(shape).astype(np.float32) for shape in ((), (4, 5), (7,))]
    assert_clips_alike(clip_grad_value_, torch.nn.utils.clip_grad_value_, dtype, gradients, clip_value)


@both_dtypes
def test_clipping_a_long_array_and_one_parameter_alone(dtype):
    gradient = np.random.default_rng(8).standard_normal((2, BLOCK + 7)).astype(np.float32)
    assert_clips_alike(clip_grad_norm_, torch.nn.utils.clip_grad_norm_, dtype, [gradient], 2.0)
    parameter = Parameter(np.zeros_like(gradient))
    parameter.grad = np.asfortranarray(gradient)
    assert clip_grad_norm_(parameter, 2.0) == pytest.approx(np.linalg.norm(gradient.astype(np.float64)))
    clip_grad_value_(parameter, 1e-4)
    assert np.abs(parameter.grad).max() == np.float32(1e-4)


def test_float32_gradients_whose_squares_overflow_or_vanish():
    """torch's norm of them is inf and 0 in float32; here they are clipped as in float64."""
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


def train(library, model_name, config, optimiser_name, options, weights, batches, dtype):
    """Losses and parameters after each of the steps, with the gradients clipped to a norm that some of them exceed."""
    ours = library is scratch.optim
    model = getattr((scratch if ours else reference).models, model_name)(**config)
    model = model.astype(dtype) if ours else model.to(torch.float64 if dtype is np.float64 else torch.float32)
    set_state(model, weights)
    parameters = list(model.parameters())
    optimizer = getattr(library, optimiser_name)(parameters, **options)
    history = []
    for step, (x, target) in enumerate(batches):
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
        history.append([np.array(loss.item()), *numbers(parameters)])
    return [np.stack(of_tensor) for of_tensor in zip(*history, strict=True)]


@pytest.mark.parametrize(("optimiser_name", "options"), TRAINING.values(), ids=TRAINING)
@pytest.mark.parametrize(("model_name", "config", "shape"), MODELS.values(), ids=MODELS)
def test_training_runs_stay_together(model_name, config, shape, optimiser_name, options):
    """50 steps from the same weights: within 1e-9 in float64, and no further off in float32 than 64 times torch itself."""
    rng = np.random.default_rng(10)
    weights = {
        name: rng.uniform(-1, 1, array.shape).astype(np.float32) / max(1, array[0].size) ** 0.5
        for name, array in get_state(getattr(reference.models, model_name)(**config)).items()
    }
    inputs = rng.standard_normal((4, *shape)).astype(np.float32)
    targets = rng.integers(0, 5, (4, shape[0]))
    batches = [(inputs[step % 4], targets[step % 4]) for step in range(50)]

    def run(library, dtype):
        return train(library, model_name, config, optimiser_name, options, weights, batches, dtype)

    ref64, ref32 = run(torch.optim, np.float64), run(torch.optim, np.float32)
    for ours, theirs in zip(run(scratch.optim, np.float64), ref64, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-9 * np.abs(theirs).max()
    assert_as_exact(run(scratch.optim, np.float32), ref64, ref32, np.float32)
    assert ref64[0][-4:].mean() < 0.95 * ref64[0][:4].mean(), "the loss has to fall for this to say anything"


# States


def to_arrays(state_dict):
    """A torch.optim state with arrays for its tensors."""
    state = {i: {name: v.numpy().copy() for name, v in entry.items()} for i, entry in state_dict["state"].items()}
    return {"state": state, "param_groups": state_dict["param_groups"]}


def to_tensors(state_dict):
    """A scratch.optim state with tensors for its arrays."""
    state = {i: {name: torch.from_numpy(v.copy()) for name, v in entry.items()} for i, entry in state_dict["state"].items()}
    return {"state": state, "param_groups": state_dict["param_groups"]}


def converted(state_dict, source, target):
    if source is target:
        return state_dict
    return to_arrays(state_dict) if source is torch.optim else to_tensors(state_dict)


@both_dtypes
@pytest.mark.parametrize(
    ("first", "second"),
    [(torch.optim, scratch.optim), (scratch.optim, torch.optim), (scratch.optim, scratch.optim)],
    ids=["torch-to-scratch", "scratch-to-torch", "scratch-to-scratch"],
)
@every_optimiser
def test_a_saved_state_continues_in_either_backend(name, options, first, second, dtype):
    rng = np.random.default_rng(11)
    starts, gradients = zip(*parameters_to_move(rng, 1e-2), strict=True)
    absent = [None] * STEPS
    gradients = [absent, *gradients[1:]]  # one parameter has never been moved: it has no state

    def make(library, parameters, options):
        groups = [{"params": parameters[:4], "lr": 0.01}, {"params": parameters[4:]}]
        return getattr(library, name)(groups, **options)

    def uninterrupted(precision):
        parameters = make_parameters(torch.optim, starts, precision)
        return replay(torch.optim, make(torch.optim, parameters, options), parameters, gradients, precision, range(40))

    parameters = make_parameters(first, starts, dtype)
    optimizer = make(first, parameters, options)
    before = replay(first, optimizer, parameters, gradients, dtype, range(20))
    continued = make_parameters(second, [values[-1] for values in before], dtype)
    restored = make(second, continued, {})  # its options come with the state
    restored.load_state_dict(converted(optimizer.state_dict(), first, second))
    after = replay(second, restored, continued, gradients, dtype, range(20, 40))
    whole = [np.concatenate(pair) for pair in zip(before, after, strict=True)]
    assert_as_exact(whole, uninterrupted(np.float64), uninterrupted(np.float32), dtype)


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
    """An optimiser over two parameters after one step."""
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
