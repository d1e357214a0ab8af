"""Frozen parameters get no gradient, as in torch, and the backward does no work for them."""

import numpy as np
import pytest

from parity.cases import CASES
from parity.check import judge, reference_run_of
from parity.judging.reference_run import ReferenceRun
from parity.judging.verdict import Verdict
from parity.running.builders import builders
from parity_tests.planting import planted
from scratch.layers import Flatten, Linear, ReLU, Sequential
from scratch.models import ResNet
from scratch.module import Parameter, constant
from scratch.ops import conv2d, linear
from scratch.optim import AdamW

BY_NAME = {case.name: case for case in CASES}
RNG = np.random.default_rng(0)


def freezing(build, parts):
    """Return a function that builds the model, in either backend, with these submodules frozen."""

    def frozen():
        model = build()
        for name, module in model.named_modules():
            if name in parts:
                module.requires_grad_(False)
        return model

    return frozen


PARTS = {
    "resnet-10": ("conv1", "bn1", "layer1", "layer2.0.conv1", "layer2.0.downsample"),
    "resnet-14-eval": ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4"),
    "vgg-11": ("features", "classifier.3"),
    "cnn-deep": ("features.1", "classifier"),
    "gpt": ("wte", "blocks.0"),
    "mlp": ("layers",),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", PARTS)
def test_only_frozen_parameters_have_no_gradient_in_both_backends(name, dtype):
    """Judge a partly frozen model; the names of its gradients are compared too."""
    case, parts = BY_NAME[name], PARTS[name]
    ours, theirs = (freezing(build, parts) for build in builders(case))
    assert any(not parameter.requires_grad for parameter in ours().parameters())
    reference_run = ReferenceRun(theirs, reference_run_of(case, 0).problem)
    assert judge(Verdict(name, case.family, dtype, "cpu", 0), ours, reference_run).status == "ok"


def test_a_gradient_of_a_frozen_parameter_is_a_mismatch():
    case = BY_NAME["resnet-10"]
    ours, theirs = (freezing(build, PARTS[case.name]) for build in builders(case))
    reference_run = ReferenceRun(theirs, reference_run_of(case, 0).problem)
    with planted(Parameter.accumulate, "if self.requires_grad:", "if True:"):
        verdict = judge(Verdict(case.name, case.family, "float64", "cpu", 0), ours, reference_run, diagnose=False)
    assert verdict.status == "mismatch"
    assert "bn1.weight" in "".join(finding.tensor for finding in verdict.findings)


def test_freezing_can_be_undone():
    model = Sequential(Linear(3, 4), Linear(4, 2)).requires_grad_(False)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.requires_grad_().parameters())


@pytest.mark.parametrize(
    ("x", "weight", "options"),
    [
        ((5, 7), (3, 7), None),
        ((2, 4, 6, 5), (6, 2, 3, 2), {"groups": 2}),
        ((2, 4, 6, 5), (3, 4, 3, 3), {"padding": 1}),
        ((2, 3, 6, 5), (4, 3, 3, 3), {"stride": 2}),
        ((2, 32, 6, 5), (33, 32, 3, 3), {"padding": 1}),
    ],
    ids=["linear", "groups", "narrowing", "strided", "winograd"],
)
@pytest.mark.parametrize("needs", [(False, True, True), (True, False, True), (True, True, False), (True, False, False)], ids=str)
def test_an_op_computes_only_the_needed_gradients(x, weight, options, needs):
    x, bias, weight = (RNG.normal(size=shape).astype(np.float32) for shape in (x, weight[:1], weight))
    y, backward = linear(x, weight, bias) if options is None else conv2d(x, weight, bias, **options)
    dy = RNG.normal(size=y.shape).astype(np.float32)
    for needed, gradient, found in zip(needs, backward(dy), backward(dy, needs), strict=True):
        if needed:
            np.testing.assert_allclose(found, gradient, rtol=1e-4, atol=1e-4)
        else:
            assert found is None


def record_backward(layer, name, calls):
    """Make the layer record its name whenever its backward runs."""
    right = layer.forward

    def forward(x):
        y, backward = right(x)
        return y, lambda dy: (calls.append(name), backward(dy))[1]

    layer.forward = forward


def test_the_backward_of_constants_stops_at_the_first_trained_layer():
    model = ResNet(10, classes=3, width=2).requires_grad_(False)
    model.layer4.requires_grad_()
    calls = []
    for name, layer in model.named_children():
        record_backward(layer, name, calls)
    x = RNG.normal(size=(2, 3, 33, 33)).astype(np.float32)
    with constant(x):
        y, backward = model(x)
    assert backward(np.ones_like(y)) is None
    assert calls == ["fc", "flatten", "avgpool", "layer4"]
    assert model.layer3.state_dict().keys() == model.layer4.state_dict().keys()
    assert all(parameter.grad is not None for parameter in model.layer4.parameters())
    assert not any(p.grad is not None for name, p in model.named_parameters() if not name.startswith("layer4"))

    calls.clear()
    y, backward = model(x)
    assert backward(np.ones_like(y)).shape == x.shape
    assert calls == [name for name, _ in model.named_children()][::-1]


def test_the_backward_of_constants_skips_leading_layers_without_parameters():
    model = Sequential(Flatten(), ReLU(), Linear(6, 2))
    calls = []
    record_backward(getattr(model, "1"), "relu", calls)
    x = RNG.normal(size=(4, 2, 3)).astype(np.float32)
    with constant(x):
        y, backward = model(x)
    assert backward(np.ones_like(y)) is None
    assert calls == []


def test_an_optimiser_does_not_change_frozen_parameters():
    model = Sequential(Linear(3, 4), Linear(4, 2))
    getattr(model, "0").requires_grad_(False)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    optimizer = AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
    y, backward = model(RNG.normal(size=(5, 3)).astype(np.float32))
    backward(np.ones_like(y))
    optimizer.step()
    moved = {name for name, array in model.state_dict().items() if not np.array_equal(array, before[name])}
    assert moved == {"1.weight", "1.bias"}
