"""Mistakes in functions: each changes the result of some case, and the definitions that they are made from are torch's."""

from functools import cache
from operator import attrgetter

import numpy as np
import pytest

from parity.case import ParityCase
from parity.cases import (
    FAMILIES,
    attention,
    basics,
    feed_forward,
    positions,
    recurrent_layers,
    recurrent_models,
    row_norms,
    segmentation,
    tables,
)
from parity.cases.draws import normal
from parity.check import reference_run_of
from parity.explaining.counterfactual_runs import Calls, Instead, run_mistaken
from parity.explaining.hints import MARGIN
from parity.explaining.mistaken_steps import BASES
from parity.judging.tolerance import deviation
from parity.mistakes import register, registered
from parity.mistakes.register import definitions, functions_with_mistakes, mistake
from parity.running.builders import reference_builder
from parity.running.run_reference import run_reference

TOKENS = np.arange(15).reshape(3, 5) % 11
ENCODER = {"vocab_size": 11, "embedding_size": 7, "hidden_size": 6, "num_layers": 2, "dropout": 0.0}
SUBMODULES = [  # of models, with the functions that only models call
    ParityCase(path, f"models.{path}", inputs, config)
    for path, inputs, config in (
        ("seq2seq.Encoder", lambda draw: {"tokens": TOKENS, "lengths": np.array([2, 5, 1])}, ENCODER),
        ("transformer.InputEmbedding", lambda draw: {"tokens": TOKENS}, {"vocab_size": 11, "width": 7, "dropout": 0.0}),
        ("bert.Pooler", lambda draw: {"x": draw.normal(3, 5, 7)}, {"width": 7}),
        (
            "resnet.PaddedShortcut",
            normal(3, 4, 5, 6),
            {"in_channels": 4, "out_channels": 7, "stride": 2},
        ),
    )
]
SQUARE = ParityCase(  # as many classes as columns, so that the classes can be taken from the wrong axis
    "cross_entropy-square",
    "ops.cross_entropy",
    lambda draw: {"input": draw.normal(3, 5, 5), "target": draw.integers(0, 5, 3, 5)},
    reference="torch.nn.functional.cross_entropy",
)
LAYERS = [
    case
    for table in (attention, row_norms, positions, feed_forward, recurrent_layers, recurrent_models, segmentation)
    for case in table.CASES
    if not case.scratch.startswith("ops.")
]
CASES = [
    *SUBMODULES,
    SQUARE,
    *(case for family in FAMILIES.values() for case in family.CASES if case.scratch.startswith("ops.")),
    *(case for case in basics.CASES if case.scratch == "layers.Dropout"),
    *LAYERS,
]
IN_TEST_MISTAKEN_STEPS = {case.scratch.split(".")[-1] for case in tables().cases if not case.has_backward} | {*BASES.values()}
FUNCTIONS = [name for name in functions_with_mistakes() if name not in IN_TEST_MISTAKEN_STEPS]
MISTAKES = [(name, message) for name in FUNCTIONS for message, _ in registered(name)]
calibrated = cache(reference_run_of.__wrapped__)


@cache
def calls_of(case):
    """Return the names of the torch functions that a case's reference calls."""
    subject, calls = reference_builder(case)(), Calls()
    with calls:
        run_reference(lambda: subject, calibrated(case, 0).problem, "float64", backward=False)
    return calls.seen.keys()


def differences(case, name, function):
    """Return the tensors that are missing, and those that differ, when `function` replaces the one of this name."""
    reference_run = calibrated(case, 0)
    calibration = reference_run.calibration
    tensors = run_mistaken(reference_run.build, reference_run.problem, mode=Instead(name, function))
    missing = calibration.truth.keys() - tensors.keys()
    shared = tensors.keys() & calibration.truth.keys()
    return missing, [key for key in shared if _differ(key, tensors[key], calibration)]


def _differ(key, array, calibration):
    truth = calibration.truth[key]
    if array.shape != truth.shape or key not in calibration.unit:
        return not np.array_equal(array, truth)
    return deviation(array, truth) > MARGIN * calibration.tolerance(key, "float64")


@pytest.mark.parametrize("case", CASES, ids=attrgetter("name"))
def test_definitions_compute_what_torch_computes(case):
    for name in definitions().keys() & calls_of(case):
        missing, wrong = differences(case, name, definitions()[name])
        assert not missing
        assert not wrong


@pytest.mark.parametrize(("name", "message"), MISTAKES)
def test_every_mistake_shows(name, message):
    wrong = dict(registered(name))[message]
    assert any(differences(case, name, wrong)[1] for case in CASES if name in calls_of(case))


@pytest.mark.parametrize("case", [case for case in CASES if "masked" in case.name.lower()], ids=attrgetter("name"))
def test_mistakes_in_a_maximum_keep_its_value(case):
    for message, wrong in registered("max"):
        missing, differing = differences(case, "max", wrong)
        assert not missing, message
        assert "y" not in differing, message


@pytest.fixture
def empty_register(monkeypatch):
    monkeypatch.setattr(register, "_MISTAKES", {})
    monkeypatch.setattr(register, "_DEFINITIONS", {})


@pytest.mark.usefixtures("empty_register")
def test_a_mistake_registers_itself():
    @mistake("relu", "does nothing")
    def identity(input):
        return input

    assert registered("relu") == [("does nothing", identity)]
    assert registered("tanh") == []


@pytest.mark.usefixtures("empty_register")
def test_a_mistake_replaces_a_stage_of_its_definition():
    @register.definition("relu")
    def right(input, *, zero=0):
        return max(input, zero)

    mistake("relu", "is never below 1", "zero")(1)
    ((message, wrong),) = registered("relu")
    assert (message, wrong(-3), wrong(2)) == ("is never below 1", 1, 2)


@pytest.mark.usefixtures("empty_register")
@pytest.mark.parametrize(
    ("function", "message", "stage", "complaint"),
    [
        ("relu", "is idle", "", "relu has two mistakes with the message 'is idle': give each a message of its own"),
        (
            "rleu",
            "is idle",
            "",
            "no function of torch or reference is called 'rleu': the mistake 'is idle' can be in none",
        ),
        ("relu", "adds 1", "zeros", "the definition of relu has no stage 'zeros': it has zero"),
        ("tanh", "adds 1", "zero", "the definition of tanh has no stage 'zero': it has none"),
    ],
)
def test_a_wrong_registration_is_refused_in_one_line(function, message, stage, complaint):
    register.definition("relu")(lambda input, *, zero=0: max(input, zero))
    mistake("relu", "is idle")(lambda input: input)
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        mistake(function, message, stage)


@pytest.mark.parametrize(
    "name", ["relu", "rms_norm", "lstm_cell", "__getitem__", "detr_loss", "AdamW", "StepLR", "clip_grad_norm_"]
)
def test_functions_are_found_wherever_torch_and_reference_have_them(name):
    mistake(name, "is a mistake that only this test mentions")
