"""The objectives of the examples have the same loss and gradients in both backends."""

import numpy as np
import pytest
import torch

import reference.ops
from examples.data.batches import IGNORED
from examples.training import objectives
from examples.training.models import backend_for, new_model
from examples.training.numpy_backend import NumPyBackend
from parity.weights import get_state
from parity_tests.planting import planted
from scratch import ops

RNG = np.random.default_rng(0)


def boxes(*shape):
    """Draw boxes (..., 4) within the image."""
    centres, sides = RNG.uniform(0.3, 0.7, (*shape, 2)), RNG.uniform(0.1, 0.5, (*shape, 2))
    return np.concatenate([centres, sides], axis=-1)


OBJECTIVES = {
    "labels": (objectives.cross_entropy(), [RNG.normal(size=(5, 7, 4))], [RNG.integers(0, 4, (5, 7))]),
    "smoothed": (objectives.cross_entropy(0.1), [RNG.normal(size=(5, 4))], [np.array([0, 3, IGNORED, 1, 1])]),
    "probabilities": (objectives.cross_entropy(0.1), [RNG.normal(size=(5, 4))], [RNG.dirichlet(np.ones(4), 5)]),
    "two heads": (
        objectives.cross_entropy(),
        [RNG.normal(size=(5, 7, 4)), RNG.normal(size=(5, 2))],
        [RNG.integers(0, 4, (5, 7)), RNG.integers(0, 2, 5)],
    ),
    "pixels": (objectives.cross_entropy_of_pixels(0.1), [RNG.normal(size=(2, 4, 5, 7))], [RNG.integers(0, 4, (2, 5, 7))]),
    "dice": (objectives.cross_entropy_of_pixels(dice=0.7), [RNG.normal(size=(2, 4, 5, 7))], [RNG.integers(0, 4, (2, 5, 7))]),
    "sets": (
        objectives.Objective(ops.set_loss, reference.ops.set_loss),
        [RNG.normal(size=(3, 6, 4)), boxes(3, 6)],
        [np.array([[0, 1, -1], [2, -1, -1], [-1, -1, -1]]), boxes(3, 3)],
    ),
}


def both(objective, predictions, targets):
    """Return the loss, the gradients and the accuracy in NumPy, and in PyTorch."""
    ours = objective.numpy_loss(tuple(predictions), tuple(targets))
    leaves = tuple(torch.from_numpy(y).requires_grad_() for y in predictions)
    tensors = tuple(map(torch.from_numpy, targets))
    loss = objective.torch_loss(leaves, tensors)
    loss.backward()
    shares = objective.share_right(tuple(predictions), tuple(targets)), objective.share_right(leaves, tensors)
    return (*ours, shares[0]), (loss.item(), [leaf.grad.numpy() for leaf in leaves], shares[1])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_both_backends_have_the_same_loss_gradients_and_accuracy(name):
    (loss, gradients, share), (their_loss, their_gradients, their_share) = both(*OBJECTIVES[name])
    assert loss == pytest.approx(their_loss, rel=1e-12)
    assert len(gradients) == len(their_gradients)
    for ours, theirs in zip(gradients, their_gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    assert np.isnan(share) == np.isnan(their_share) == (name == "sets")
    assert name == "sets" or share == their_share


def test_the_parts_are_summed_and_dice_has_its_weight():
    _, logits, labels = OBJECTIVES["dice"]
    loss, _ = objectives.cross_entropy_of_pixels(dice=0.7).numpy_loss(tuple(logits), tuple(labels))
    p, _ = ops.softmax(logits[0], dim=1)
    assert loss == pytest.approx(float(ops.cross_entropy(logits[0], labels[0])[0] + 0.7 * ops.dice_loss(p, labels[0])[0]))


def test_accuracy_counts_what_counts():
    logits = np.eye(3)[[0, 1, 2, 2]]
    assert objectives.accuracy(logits, np.array([0, 1, 0, IGNORED])) == pytest.approx(2 / 3)
    assert objectives.accuracy(logits, np.eye(3)[[0, 1, 0, 0]] * 0.8) == 0.5
    assert objectives.accuracy(logits.T[None], np.array([[0, 1, 2, 0]]), dim=1) == 0.75
    assert objectives.accuracy(logits, np.full(4, IGNORED)) == 0


def twins(rates=None):
    """Return a small ResNet in both backends."""
    config = dict(depth=10, classes=3, in_channels=1, width=2, small_images=True)
    model = new_model("ResNet", config, 0, "float64")
    torchs = backend_for("torch", model, config, rates=rates)
    return backend_for("numpy", model, config, rates=rates), torchs


BATCH = RNG.normal(size=(4, 1, 8, 8)), np.array([0, 2, 1, 2])


def test_parts_of_a_model_have_rates_of_their_own_and_a_frozen_one_stays_as_it_is():
    """This includes the running statistics of batch normalisation."""
    states = []
    for backend in twins({"conv1": 0, "bn1": 0, "layer1": 0, "layer2": 0.5}):
        before = get_state(backend.model)
        for _ in range(3):
            backend.step(*BATCH, lr=1e-3)
        states.append(get_state(backend.model))
        for name, array in states[-1].items():
            assert np.array_equal(array, before[name]) == name.startswith(("conv1", "bn1", "layer1")), name
        assert [group["lr"] for group in backend.optimizer.param_groups] == [5e-4, 1e-3]
        assert set(backend.optimizer_state()) == set(range(len([p for p in backend.model.parameters() if p.requires_grad])))
    for name, array in states[0].items():
        np.testing.assert_allclose(array, states[1][name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_frozen_beginning_costs_no_backward():
    backend, _ = twins({"conv1": 0, "bn1": 0, "layer1": 0})
    calls = []
    for name, layer in backend.model.named_children():

        def forward(x, name=name, right=layer.forward):
            y, backward = right(x)
            return y, lambda dy: (calls.append(name), backward(dy))[1]

        layer.forward = forward
    backend.step(*BATCH, lr=1e-3)
    assert calls == ["fc", "flatten", "avgpool", "layer4", "layer3", "layer2"]


def test_a_frozen_part_left_in_training_mode_is_noticed():
    with planted(NumPyBackend.step, "submodule.eval()", "submodule.train()"), pytest.raises(AssertionError, match="bn1"):
        test_parts_of_a_model_have_rates_of_their_own_and_a_frozen_one_stays_as_it_is()
