"""The maker of generated faults: its places, its transformations, its draw, and its judgement of a report."""

import ast
import inspect
import json

import pytest

from parity.cases import CASES
from parity_tests.generated.draw import draw, functions_of, modules
from parity_tests.generated.judged import Answer, _answer
from parity_tests.generated.report import CAUGHT, NO_EFFECT, UNSEEN, Result, details, figures
from parity_tests.generated.responsible import responsible
from parity_tests.generated.transformations import TRANSFORMATIONS, in_place, options_together, this_mode_only
from parity_tests.mutation.subject import subjects_of
from scratch.layers import dropout as dropout_layer
from scratch.ops import norm

MODULES = modules()
SUBJECTS = {s.place for module in MODULES for s in subjects_of(module) if isinstance(s.node, ast.FunctionDef)}
FUNCTIONS = functions_of(MODULES, dict.fromkeys(SUBJECTS, ()))
BY_NAME = {(f.subject.module.__name__, f.subject.name): f for f in FUNCTIONS}
FAULTS = draw(FUNCTIONS, 0, 60)


def test_places_are_expressions_of_arrays():
    texts = [site.text for site in BY_NAME["scratch.ops.linear", "linear"].sites]
    assert "dy_rows" in texts
    assert not any("shape" in text and "(" not in text for text in texts)
    assert not any(text.startswith(("one_float_dtype", "has_shape", "np.empty")) for text in texts)


def test_arguments_of_checks_are_no_places():
    function = BY_NAME["scratch.ops.layer_norm", "layer_norm"]
    checked = [node for node in ast.walk(function.node) if isinstance(node, ast.Call) and ast.unparse(node.func) == "has_shape"]
    spans = [(function.source.start(node), function.source.end(node)) for node in checked]
    assert spans
    assert not [site for site in function.sites for start, end in spans if start <= site.start < end]


@pytest.mark.parametrize("transformation", TRANSFORMATIONS, ids=lambda t: t.__name__)
def test_each_transformation_finds_places_and_changes_the_source(transformation):
    found = [(function, replacement) for function in FUNCTIONS for replacement in transformation(function)]
    assert len(found) > 20
    for function, replacement in found[:: max(1, len(found) // 50)]:
        old = function.source.between(replacement.start, replacement.end)
        assert replacement.text != old


def test_modes_belong_to_layers_and_to_functions_with_an_argument_training():
    layer = BY_NAME[dropout_layer.__name__, "Dropout.forward"]
    assert any("self.training" in replacement.text for replacement in this_mode_only(layer))
    op = BY_NAME[norm.__name__, "batch_norm"]
    assert any("if training else" in replacement.text for replacement in this_mode_only(op))
    assert not list(this_mode_only(BY_NAME["scratch.ops.linear", "linear"]))


def test_an_option_is_ignored_together_with_another_one():
    texts = {r.text for r in options_together(BY_NAME["scratch.ops.layer_norm", "layer_norm"])}
    assert "(1e-05 if weight is not None else eps)" in texts


def test_memory_that_nothing_reads_again_is_not_overwritten():
    for function in FUNCTIONS:
        for replacement in in_place(function):
            if "out=" in replacement.text:
                name = replacement.text.rpartition("out=")[2].rstrip(")")
                assert function.is_read_after(name, replacement.end) or name in function.floats


def test_the_same_seed_draws_the_same_faults():
    keys = [fault.mutant.key for fault in FAULTS]
    assert [fault.mutant.key for fault in draw(FUNCTIONS, 0, 60)] == keys
    assert [fault.mutant.key for fault in draw(FUNCTIONS, 1, 60)] != keys
    assert len(set(keys)) == 60
    assert {fault.kind for fault in FAULTS} == {t.__name__.replace("_", " ") for t in TRANSFORMATIONS}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.kind} in {f.mutant.subject.name}")
def test_faults_can_be_planted(fault):
    for mutant in filter(None, (fault.mutant, fault.blunt)):
        with mutant.planted():
            pass


@pytest.mark.parametrize(
    ("place", "among", "not_among"),
    [
        (("scratch.ops.linear", "linear"), {"linear", "Linear"}, {"Conv2d"}),
        (("scratch.fast.channels", "Channels.sums"), {"batch_norm", "BatchNorm2d", "Conv2d", "conv2d"}, {"LSTM"}),
        (("scratch.ops.gelu", "_density_by_tanh"), {"gelu", "GELU"}, {"ReLU"}),
        (("scratch.module", "Parameter.accumulate"), {"Linear", "Conv2d", "Embedding"}, set()),
        (("scratch.layers.norm", "_BatchNorm.forward"), {"BatchNorm1d", "BatchNorm2d"}, {"LayerNorm"}),
        (("scratch.optim.adam", "Adam.update"), {"Adam", "AdamW"}, {"SGD"}),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_what_may_be_called_the_culprit(place, among, not_among):
    found = responsible(place, MODULES)
    assert among <= found
    assert not not_among & found


def test_an_answer_has_the_culprit_the_cause_and_the_place():
    fault = next(f for f in draw([BY_NAME["scratch.layers.linear", "Linear.forward"]], 0, 20) if f.kind == "slightly wrong")
    case = next(case for case in CASES if case.name == "Linear")
    assert _answer(case) == ""
    with fault.mutant.planted():
        answer = Answer(**json.loads(_answer(case)))
    assert answer.kinds == ["Linear"]
    result = Result(fault, CAUGHT, answer, frozenset({"Linear"}))
    assert result.names_culprit
    assert not Result(fault, CAUGHT, answer, frozenset({"Conv2d"})).names_culprit or "linear.py" in answer.places[0]


def test_figures_count_what_has_no_effect_apart():
    answer = Answer("linear", "float64", ["linear"], ["y needs the factor 2"], ["elsewhere.py, f"], "the report")
    outcomes = [(CAUGHT, answer), (CAUGHT, None), (UNSEEN, None), (NO_EFFECT, None)]
    results = [
        Result(fault, outcome, found, frozenset({"linear"})) for fault, (outcome, found) in zip(FAULTS, outcomes, strict=False)
    ]
    assert figures(results, 7).splitlines()[-3:] == [
        "| all | 4 | 1 | 1 | 2 | 1 | 1 |",
        "",
        "Seed 7: 4 faults, 66.7% of those with an effect are caught.",
    ]
    text = details(results)
    assert text.count("unseen: ") == 1
    assert text.count("another culprit: ") == 1
    assert inspect.cleandoc(FAULTS[2].mutant.lines[1]) in text
