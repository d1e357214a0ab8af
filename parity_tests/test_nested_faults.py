"""Faults inside one another: the report names the layer, the containers around it, and nothing else."""

import numpy as np
import pytest

from parity.cases import CASES
from parity.check import judge, reference_run_of
from parity.explaining.replaced import replace_by_reference
from parity.judging.verdict import Verdict
from parity.running.builders import builders, scratch_builder

BY_NAME = {case.name: case for case in CASES}


def value(module):
    """Return a forward whose value is wrong by a thousandth."""
    forward = module.forward

    def changed(*inputs):
        y, backward = forward(*inputs)
        return (tuple(each * 1.001 for each in y) if isinstance(y, tuple) else y * 1.001), backward

    return changed


def gradient(module):
    """Return a forward whose first input gradient is wrong by a hundredth."""
    forward = module.forward

    def changed(*inputs):
        y, backward = forward(*inputs)

        def wrong(*dy):
            dx = backward(*dy)
            return (dx[0] * 1.01, *dx[1:]) if isinstance(dx, tuple) else dx * 1.01

        return y, wrong

    return changed


NESTED = {
    "a layer and its block": (
        "transformer-dropout",
        {"encoder.layers.1": value, "encoder.layers.1.feed_forward.linear1": gradient},
    ),
    "a layer, its block and the model": (
        "transformer-dropout",
        {"": value, "encoder.layers.0.feed_forward": gradient, "encoder.layers.0.feed_forward.linear2": value},
    ),
    "attention and its projection": ("gpt", {"h.1.attn": gradient, "h.1.attn.c_proj": value}),
    "a block with batch norm": ("resnet-basic", {"layer2.0": gradient, "layer2.0.bn1": value}),
    "a recurrent layer and its model": ("char-lm-lstm", {"": gradient, "rnn": value}),
    "two layers and their block": ("vit", {"": value, "encoder.layers.0": gradient, "encoder.layers.0.norm1": value}),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("what", NESTED)
def test_nested_faults_are_all_named(what, dtype):
    name, planted = NESTED[what]
    case = BY_NAME[name]

    def build():
        model = scratch_builder(case)()
        modules = dict(model.named_modules())
        for path, wrong in planted.items():
            modules[path].forward = wrong(modules[path])
        return model

    verdict = judge(Verdict(name, case.family, dtype, "cpu", 0), build, reference_run_of(case, 0))
    assert {culprit.path for culprit in verdict.culprits} == planted.keys()


@pytest.mark.parametrize("name", ["transformer-dropout", "resnet-basic", "char-lm-lstm"])
def test_a_model_of_replaced_submodules_is_right(name):
    case = BY_NAME[name]
    build_scratch, build_reference = builders(case)

    def build():
        model = build_scratch()
        replace_by_reference(model, build_reference(), [path for path, _ in model.named_children()])
        return model

    assert judge(Verdict(name, case.family, "float64", "cpu", 0), build, reference_run_of(case, 0)).ok


def test_a_replaced_submodule_adds_its_gradients():
    case = BY_NAME["mlp"]
    build_scratch, build_reference = builders(case)
    model = build_scratch()
    replace_by_reference(model, build_reference(), ["layers.0"])
    x = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)[:, : model.layers.layers[0].weight.data.shape[1]]
    for _ in range(2):
        model(x)[1](np.ones((3, model(x)[0].shape[1]), np.float32))
    twice = model.layers.layers[0].weight.grad
    model.zero_grad()
    model(x)[1](np.ones((3, model(x)[0].shape[1]), np.float32))
    np.testing.assert_allclose(twice, 2 * model.layers.layers[0].weight.grad, rtol=1e-6)
