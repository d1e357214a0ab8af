"""Mutation testing under test: the faults, the killers that reach them, their outcomes, and a sample of real faults."""

import ast
import importlib
import os
import signal
import time

import pytest

import scratch
from parity.cases import CASES
from parity_tests.mutation.__main__ import main
from parity_tests.mutation.equivalent import ANY, Reasons
from parity_tests.mutation.killers import CRASH, NUMERIC, Killer, case_killers, judge
from parity_tests.mutation.mutator import Source, edits
from parity_tests.mutation.reach import calls_into, measure
from parity_tests.mutation.report import Report
from parity_tests.mutation.runner import SURVIVED, TIMED_OUT, Result, Results, run
from parity_tests.mutation.subject import Mutant, modules_of, mutants_of, sample, subjects_of
from parity_tests.planting import functions_of
from scratch.layers import Linear
from scratch.ops import softmax

BY_NAME = {case.name: case for case in CASES}
SOFTMAX, NORMAL_CDF = (importlib.import_module(f"scratch.{name}") for name in ("ops.softmax", "fast.normal_cdf"))
PARTS = {"y = (a * (b)) / d", "y = (a * (c)) / d"}


def mutated(text, operator=""):
    """Return the text with each fault that an operator makes in it, one at a time."""
    source = Source(text)
    return {source.edited(edit) for edit in edits(source, ast.parse(text).body[0]) if operator in edit.operator}


def subject(module, name):
    return next(subject for subject in subjects_of(module) if subject.name == name)


@pytest.mark.parametrize(
    ("operator", "text", "expected"),
    [
        ("arithmetic", "y = a + (b) * c", {"y = a - (b) * c", "y = a + (b) / c"}),
        ("arithmetic", "y = a / b ** c", {"y = a * b ** c", "y = a / (b * c)"}),
        ("arithmetic", "y //= a", {"y *= a"}),
        ("arithmetic", "y = a and b or c", {"y = a or b or c", "y = a and b and c"}),
        ("comparison", "y = a < b != c", {"y = a <= b != c", "y = a > b != c", "y = a < b == c"}),
        ("comparison", "y = a is not None", {"y = a is None"}),
        ("comparison", "y = a  not  in b", {"y = a  in b"}),
        ("condition", "if a.b: pass", {"if not a.b: pass"}),
        ("condition", "y = (a if b else c)", {"y = (a if not b else c)", "y = (a)", "y = (c)"}),
        ("condition", "y = [a for a in b if a]", {"y = [a for a in b if not a]"}),
        ("constant", "y = 3", {"y = 4", "y = 2"}),
        ("constant", "y = 1e-5", {"y = 1.01e-05"}),
        ("constant", "y = 0.0", {"y = 0.01"}),
        ("constant", "y = True, 'a', None", {"y = False, 'a', None"}),
        ("axis", "y = f(x, axis=dim)", {"y = f(x, axis=dim - 1)"}),
        ("axis", "y = f(x, dim=1)", set()),
        ("transposition", "y = (a + b).T", {"y = (a + b)"}),
        ("transposition", "y = a.transpose(0, 2, 1)", {"y = a.transpose(2, 0, 1)", "y = a.transpose(0, 1, 2)"}),
        ("transposition", "y = np.moveaxis(a, 1, -1)", {"y = (a)"}),
        ("reduction", "y = a.sum(axis=0)", {"y = a.mean(axis=0)"}),
        ("reduction", "y = np.maximum(max(a), 0)", {"y = np.minimum(max(a), 0)", "y = np.maximum(min(a), 0)"}),
        ("reduction", "y = sum(a)", set()),
        ("dropped", "y = a - b", {"y = a", "y = b"}),
        ("dropped", "y = (a * (b + c)) / d", {"y = (a) / d", "y = ((b + c)) / d", "y = (a * (b + c))"} | PARTS),
        ("dropped", "y = not -a", {"y = -a", "y = not a"}),
        ("dropped", "y = a or b or c", {"y = b or c", "y = a or c", "y = a or b"}),
        ("dropped", "y = np.exp(a) + 2", {"y = (a) + 2", "y = np.exp(a)", "y = 2"}),
        ("dropped", "y = x.copy()", {"y = x"}),
        ("dropped", "y = f(x, p=self.p, q=self.q, r=1)", {"y = f(x, q=self.q, r=1)", "y = f(x, p=self.p, r=1)"}),
        ("dropped", "y = f(p=a, q=b)", {"y = f( q=b)", "y = f(p=a)"}),
        ("dropped", "f(x)", {"pass"}),
        ("dropped", "x[0] -= dx", {"pass"}),
        ("slice", "y = a[1:n, ::k]", {f"y = a[{z}]" for z in (":n, ::k", "1:, ::k", "1:n + 1, ::k", "1:n, ::", "1:n, ::k + 1")}),
    ],
)  # fmt: skip
def test_each_operator_makes_the_expected_faults(operator, text, expected):
    assert mutated(text, operator) == expected


@pytest.mark.parametrize(
    "text",
    [
        "def f(x: a | b) -> c | d:\n    '''A word'''",
        "def f():\n    raise ValueError(a + b)",
        "def f():\n    if [a]:\n        n = a + 1\n        raise ValueError(n)\n",
        "y = f'{a + b}'",
        "y = isinstance(a, b | c)",
        "y = zip(a, b, strict=True)",
        "y = a.reshape(-1)",
        "y = f(a, out=b)",
        "def f(self):\n    super().__init__(a)",
        "@f(1)\ndef g(): pass",
    ],
)
def test_code_that_computes_nothing_is_not_mutated(text):
    assert mutated(text) == set()


def test_positions_are_right_after_multibyte_letters():
    assert mutated("def f(x):  # weightᵀ\n    '''√x²'''; return 'ä', x + 1", "arithmetic") == {
        "def f(x):  # weightᵀ\n    '''√x²'''; return 'ä', x - 1"
    }


def test_a_fault_reports_its_line_before_and_after():
    source = Source("a = 1\nb = f(\n    x +\n    y\n)\n")
    (fault,) = [edit for edit in edits(source, ast.parse(source.bytes).body[1]) if edit.text == "x"]
    assert source.lines(fault) == (3, "x + y", "x")


def test_every_fault_of_scratch_can_be_planted():
    for module in modules_of(scratch):
        for mutant in (m for s in subjects_of(module) if not s.owner for m in sample(list(mutants_of(s)), 3)):
            with mutant.planted():
                pass


def test_mutants_have_unique_keys_and_samples_are_stable():
    mutants = [mutant for subject in subjects_of(SOFTMAX) for mutant in mutants_of(subject)]
    assert len({mutant.key for mutant in mutants}) == len(mutants) > 40
    chosen = sample(mutants, 10)
    assert len(chosen) == 10
    assert set(chosen) - set(sample(mutants[5:], 10)) <= set(mutants[:5])


def test_a_fault_can_be_planted_in_a_constant():
    name, module = "SQRT_HALF", scratch.fast.normal_cdf
    right = module.SQRT_HALF
    (mutant,) = [m for m in mutants_of(subject(module, name)) if "0.505" in m.lines[2]]
    with mutant.planted():
        assert module.SQRT_HALF == 0.505**0.5
    assert right == module.SQRT_HALF


def test_calls_are_recorded_by_their_outermost_function():
    def use():
        layer = Linear(3, 2)
        softmax(layer.weight.data)[1](layer.weight.data)

    with calls_into("scratch") as places:
        use()
    assert {("scratch.ops.softmax", "softmax"), ("scratch.layers.linear", "Linear.__init__")} <= places
    assert not any("<locals>" in name or not module.startswith("scratch") for module, name in places)
    assert ("scratch.ops.linear", "linear") not in places
    with calls_into("scratch") as places:
        pass
    assert places == set()


def test_each_subject_gets_the_killers_that_reach_it():
    killers = [k for k in case_killers() if k.name in ("softmax-float64", "softmax-float32", "gelu-float64", "relu-float64")]
    failing = Killer("failing", lambda: NUMERIC if softmax else "", 2)
    signatures = Killer("test_structure.py::test_layers_take_torchs_arguments", lambda: "", 2)
    reach = measure([*killers, failing, signatures], "scratch")
    modules = modules_of(scratch)

    def names(subject):
        return [killer.name for killer in reach.of(subject, modules)]

    assert reach.failing_without_fault == [failing]
    assert names(subject(SOFTMAX, "softmax")) == ["softmax-float64", "softmax-float32", signatures.name]
    assert names(subject(NORMAL_CDF, "SQRT_HALF")) == ["gelu-float64", signatures.name]
    assert names(subject(SOFTMAX, "log_softmax")) == [signatures.name]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ('block *= np.einsum("mn->m", block)[:, None]', NUMERIC),
        ("block = np.subtract(rows[part], rows[part].max(axis=1, keepdims=False, initial=-np.inf), out=y[part])", CRASH),
        # exp of a large difference overflows, and the warning counts as an error
        ("block = np.subtract(rows[part], rows[part].min(axis=1, keepdims=True, initial=-np.inf), out=y[part])", CRASH),
    ],
)
def test_a_case_detects_a_planted_fault(fault, expected):
    (mutant,) = [m for m in mutants_of(subject(SOFTMAX, "softmax")) if m.lines[2] == fault]
    assert judge(BY_NAME["softmax"], "float32") == ""
    with mutant.planted():
        assert judge(BY_NAME["softmax"], "float32") == expected
    assert judge(BY_NAME["softmax"], "float32") == ""


def endless():
    while True:
        pass


def results_of(killers, mutants=None, limit=0.3):
    mutants = mutants or list(mutants_of(subject(SOFTMAX, "softmax")))[:1]
    found = run([(mutant, killers) for mutant in mutants], dict.fromkeys(killers, 0.0), 2, limit)
    return [(result.outcome, result.killer) for _, result in found]


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (lambda: "", (SURVIVED, "")),
        (lambda: NUMERIC, (NUMERIC, "second")),
        (lambda: CRASH, (CRASH, "second")),
        (endless, (TIMED_OUT, "")),
        (lambda: time.sleep(60), (TIMED_OUT, "")),
        (lambda: os._exit(3), (CRASH, "")),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), (CRASH, "")),
    ],
    ids=["survivor", "numeric", "crash", "endless loop", "endless wait", "exit", "killed"],
)
def test_each_behaviour_of_a_killer_has_its_outcome(behaviour, expected):
    start = time.perf_counter()
    assert results_of([Killer("first", lambda: "", 0), Killer("second", behaviour, 1)]) == [expected]
    assert time.perf_counter() - start < 20


def test_a_mutant_does_not_affect_the_next():
    dirt = []

    def litter():
        dirt.append(1)
        return NUMERIC if len(dirt) > 1 else ""

    mutants = list(mutants_of(subject(SOFTMAX, "softmax")))[:5]
    assert results_of([Killer("litter", litter, 0)], mutants) == [(SURVIVED, "")] * 5
    assert dirt == []


def test_an_unplantable_mutant_is_an_error():
    mutant = next(mutants_of(subject(SOFTMAX, "softmax")))
    broken = Mutant(mutant.subject, Source("def softmax(:"), mutant.edit, 1)
    with pytest.raises(RuntimeError, match="cannot be planted: SyntaxError"):
        results_of([Killer("any", lambda: "", 0)], [broken])


def test_an_interrupted_run_can_be_resumed(tmp_path):
    mutants = list(mutants_of(subject(SOFTMAX, "softmax")))[:6]
    path = tmp_path / "results.jsonl"
    killer = Killer("any", lambda: NUMERIC, 0)

    def resume(stop_after):
        results, tried = Results(path), 0
        for mutant, result in run([(m, [killer]) for m in mutants if not results.of(m)], {killer: 0.0}, 1, 1):
            assert mutant.key == result.key
            results.add(result)
            tried += 1
            if tried == stop_after:
                break
        return tried

    assert resume(2) == 2
    with path.open("a") as file:
        file.write('{"key": ["scratch/ops')  # a line that was only half written
    assert resume(100) == 4
    assert resume(100) == 0


def test_survivors_and_mutants_of_changed_files_run_again(tmp_path):
    mutants = list(mutants_of(subject(SOFTMAX, "softmax")))[:3]
    results = Results(tmp_path / "results.jsonl")
    for mutant, outcome, digest in zip(
        mutants, (NUMERIC, SURVIVED, NUMERIC), (mutants[0].digest, mutants[1].digest, "other"), strict=True
    ):
        results.add(Result(mutant.key, outcome, "", digest))
    known = Results(tmp_path / "results.jsonl")
    assert [known.of(mutant) is not None for mutant in mutants] == [True, False, False]


def test_the_report_counts_outcomes_and_shows_survivors():
    mutants = list(mutants_of(subject(SOFTMAX, "softmax")))[:6]
    place, rows = mutants[0].key[:2], [(*mutant.key[2:4], "why") for mutant in mutants[:2]]
    report = Report(Reasons({place: rows}))
    for mutant, outcome in zip(mutants, (SURVIVED, NUMERIC, CRASH, CRASH, TIMED_OUT, SURVIVED), strict=True):
        report.add(mutant, Result(mutant.key, outcome, "", mutant.digest))
    assert report.survivors == [mutants[5]]
    assert report.wrongly_listed == [mutants[1]]
    assert report.kill_rate == 4 / 5
    number, before, after = mutants[5].lines
    text = report.text()
    assert f"scratch/ops/softmax.py:{number} softmax\n- {before}\n+ {after}\n" in text
    assert "6 mutants: 3 killed (1 by a wrong result, 2 by an exception), 1 timed out, 1 survived, 1 equivalent" in text
    assert "kill rate 80.00%" in text


def test_equivalents_are_listed_by_fault_or_by_line():
    reasons = Reasons({("f.py", "f"): [("a + b", "a - b", "one"), ("c", ANY, "other"), ("d", "e", "third")]})
    assert reasons.of(("f.py", "f", "a + b", "a - b", 1)) == "one"
    assert reasons.of(("f.py", "f", "a + b", "a", 1)) == ""
    assert reasons.of(("f.py", "g", "a + b", "a - b", 1)) == ""
    assert reasons.of(("f.py", "f", "c", "-c", 2)) == "other"
    assert reasons.names(("f.py", "f", "a + b", "a - b", 1))
    assert not reasons.names(("f.py", "f", "c", "-c", 1))
    assert reasons.stale([("f.py", "f", "a + b", "a - b", 1), ("f.py", "f", "c", "-c", 1)]) == [("f.py", "f", "d", "e")]


def test_nothing_to_mutate_is_a_usage_error(capsys):
    assert main(["no such function"]) == 2
    assert "no function with 'no such function' in FILE:FUNCTION has a mutant" in capsys.readouterr().err


def test_constants_and_functions_are_found():
    assert functions_of(SOFTMAX).keys() == {"softmax", "log_softmax", "_rows", "_unrows"}
    assert [s.name for s in subjects_of(SOFTMAX)] == ["softmax", "log_softmax", "_rows", "_unrows"]
    assert {"SQRT_HALF", "normal_cdf"} <= {s.name for s in subjects_of(NORMAL_CDF)}
