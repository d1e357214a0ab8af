"""Known mistakes in optimisers, clipping and schedules: their definitions are torch's, and every mistake shows in a case."""

from functools import cache

import pytest

from parity.cases import matching
from parity.check import reference_run_of
from parity.explaining.mistaken_steps import run_mistake
from parity.judging.tolerance import deviation
from parity.mistakes.register import definitions, functions_with_mistakes, registered

CASES = {}
for family in ("optimisers", "clipping", "schedules"):
    for case in matching(family):
        if not case.name.endswith(("-long", "-betas")):
            CASES.setdefault(case.scratch.split(".")[-1], []).append(case)
MISTAKES = [(name, message) for name in functions_with_mistakes() if name in CASES for message, _ in registered(name)]
MISTAKES.remove(("AdamW", "shrinks the parameter by the weight decay; Adam adds it to the gradient"))  # that is AdamW
MISTAKES.remove(("Adam", "adds the weight decay to the gradient; AdamW shrinks the parameter"))  # that is Adam
# options that mistakes do not take: limits or momentums for each group, functions, no momentum
BEYOND = ("cyclic-lr-halving", "cyclic-lr-range-each", "cyclic-lr-by-cycle", "cyclic-lr-by-step")
BEYOND += ("one-cycle-lr-epochs", "one-cycle-lr-no-momentum", "sequential-lr-of-five")


@cache
def calibrated(case):
    return reference_run_of.__wrapped__(case, 0)


def differing(case, wrong):
    """Return the results that differ from torch's, and how many there are."""
    reference_run = calibrated(case)
    results = run_mistake(wrong, reference_run.build(), reference_run.problem)
    truth, tolerance = reference_run.calibration.truth, reference_run.calibration.tolerance
    wrong_names = [name for name, array in results.items() if not deviation(array, truth[name]) <= tolerance(name, "float64")]
    return wrong_names, len(results)


@pytest.mark.parametrize(
    "case",
    [case for name in sorted(definitions().keys() & CASES.keys()) for case in CASES[name] if case.name not in BEYOND],
    ids=lambda c: c.name,
)
def test_definitions_compute_what_torch_computes(case):
    wrong, count = differing(case, definitions()[case.scratch.split(".")[-1]])
    assert count
    assert not wrong


@pytest.mark.parametrize(("name", "message"), MISTAKES)
def test_every_mistake_shows(name, message):
    wrong = dict(registered(name))[message]
    assert any(differing(case, wrong)[0] for case in CASES[name])
