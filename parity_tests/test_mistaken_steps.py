"""Known mistakes in optimisers, clipping and schedules: their definitions are torch's, and every mistake shows in a case."""

from functools import cache

import numpy as np
import pytest

from parity.cases import matching
from parity.check import reference_run_of
from parity.explaining.mistaken_steps import BASES, run_derived, run_mistake
from parity.judging.tolerance import deviation
from parity.mistakes.register import definitions, functions_with_mistakes, registered

NOT_RUN = ("-long", "-betas", "-resumed", "-scheduled", "-changed", "-epochs", "-restarted")  # mistakes have no such runs
CASES = {}
for family in ("optimisers", "clipping", "schedules", "generation"):
    for case in matching(family):
        if not case.name.endswith(NOT_RUN):
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
    return [name for name, array in results.items() if not close(array, name, reference_run.calibration)], len(results)


def close(array, name, calibration):
    if name not in calibration.unit:
        return np.array_equal(array, calibration.truth[name])
    return deviation(array, calibration.truth[name]) <= calibration.tolerance(name, "float64")


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


@pytest.mark.parametrize(("base", "message"), [(base, text) for base in BASES.values() for text, _ in registered(base)])
def test_every_mistake_of_all_optimisers_or_schedules_shows(base, message):
    """Run it in a case whose state is loaded, or whose options change."""
    derive = dict(registered(base))[message]
    families = {"Optimizer": "optimisers", "LRScheduler": "schedules"}
    names = ("-resumed", "-scheduled", "-changed", "-betas")
    for case in matching(families[base]):
        if case.name.endswith(names):
            reference_run = calibrated(case)
            results = run_derived(derive, reference_run.build(), reference_run.problem)
            if any(not close(array, name, reference_run.calibration) for name, array in results.items()):
                return
    raise AssertionError(f"no case shows that an optimiser {message}")
