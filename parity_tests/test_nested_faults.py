"""Faults inside one another: the report names the layer, the containers around it, and nothing else."""

import numpy as np
import pytest

from parity.cases import CASES
from parity.check import judge, reference_run_of
from parity.explaining.replaced import replace_by_reference
from parity.judging.verdict import Verdict
from parity.running import nested
from parity.running.builders import builders, scratch_builder

BY_NAME = {case.name: case for case in CASES}
MODELS = ["mlp", "resnet-10", "unet", "yolo", "detr", "vit", "char-lm-rnn", "seq2seq-dot", "transformer-dropout", "bert", "gpt"]
DRAWS = 3  # pairs or triples of faults in each model


def scaled(values, factor):
    """Return floating-point arrays of a nest times a factor."""
    return nested.map_leaves(lambda leaf: leaf * leaf.dtype.type(factor) if leaf.dtype.kind == "f" else leaf, values)


def wrong_value(forward):
    def changed(*inputs):
        y, backward = forward(*inputs)
        return scaled(y, 1.001), backward

    return changed


def wrong_gradient(forward):
    def changed(*inputs):
        y, backward = forward(*inputs)
        return y, lambda *dy: scaled(backward(*dy), 1.01)

    return changed


def judged(case, planted, dtype):
    """Return the verdict on a model with a wrong forward at each of the paths."""

    def build():
        model = scratch_builder(case)()
        modules = dict(model.named_modules())
        for path, wrong in planted.items():
            modules[path].forward = wrong(modules[path].forward)
        return model

    return judge(Verdict(case.name, case.family, dtype, "cpu", 0), build, reference_run_of(case, 0))


def draw(case, rng):
    """Draw a submodule, a container around it and, half of the time, any third; each gets a wrong value or a wrong gradient."""
    calls = {call.path: call for call in reference_run_of(case, 0).calls}
    paths = [path for path, _ in scratch_builder(case)().named_modules() if path in calls]
    inner, third = rng.choice([path for path in paths if path], 2)
    around = rng.choice([path for path in paths if path != inner and (not path or inner.startswith(f"{path}."))])
    planted = {}
    for path in [inner, around, *([third] if rng.integers(2) else [])]:
        has_gradient = any(
            getattr(value, "dtype", np.dtype(int)).kind == "f" and name not in calls[path].constants
            for name, value in calls[path].inputs.items()
        )
        planted[str(path)] = wrong_gradient if has_gradient and rng.integers(2) else wrong_value
    return planted


@pytest.mark.parametrize("name", MODELS)
def test_nested_faults_are_all_named(name):
    rng = np.random.default_rng(0)
    for i in range(DRAWS):
        planted = draw(BY_NAME[name], rng)
        verdict = judged(BY_NAME[name], planted, ["float64", "float32"][i % 2])
        assert {culprit.path for culprit in verdict.culprits} == planted.keys(), planted


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_replaced_submodules_is_right(name):
    case = BY_NAME[name]
    build_scratch, build_reference = builders(case)

    def build():
        model = build_scratch()
        replace_by_reference(model, build_reference(), [path for path, _ in model.named_children()])
        return model

    assert judge(Verdict(name, case.family, "float64", "cpu", 0), build, reference_run_of(case, 0)).ok


def test_only_submodules_that_were_called_count():
    build_scratch, build_reference = builders(BY_NAME["mlp"])
    model = build_scratch()
    called = replace_by_reference(model, build_reference(), ["layers.0", "layers.2"])
    assert called == set()
    x = np.zeros((3, dict(model.named_parameters())["layers.0.weight"].data.shape[1]), np.float32)
    model(x)
    assert called == {"layers.0", "layers.2"}
