"""Known mistakes in optimisers, clipping and schedules: without a change they are torch's, and every change shows in a case."""

from functools import cache, partial

import pytest

from parity.cases import matching
from parity.check import reference_run_of
from parity.explaining.mistaken_steps import run_mistake
from parity.judging.tolerance import deviation
from parity.mistakes import optimiser, schedule

TABLE = optimiser.TABLE | schedule.TABLE
RIGHT = {
    "SGD": optimiser.sgd,
    "Adam": optimiser.adam,
    "AdamW": partial(optimiser.adam, decoupled_weight_decay=True),
    "clip_grad_norm_": optimiser.clip_grad_norm_,
    "LinearLR": schedule.linear,
    "PolynomialLR": schedule.polynomial,
    "CosineAnnealingLR": schedule.cosine,
    "CosineAnnealingWarmRestarts": schedule.restarts,
    "CyclicLR": schedule.cyclic,
    "OneCycleLR": schedule.one_cycle,
    "SequentialLR": schedule.sequential,
    "warm_up_cosine": schedule.warm_up_cosine,
    "noam": schedule.noam,
}
CASES = {}
for family in ("optimisers", "clipping", "schedules"):
    for case in matching(family):
        if not case.name.endswith(("-long", "-betas")):
            CASES.setdefault(case.scratch.split(".")[-1], []).append(case)
MISTAKES = [(name, text) for name, mistakes in TABLE.items() for text, _ in mistakes]
MISTAKES.remove(("AdamW", "shrinks the parameter by the weight decay; Adam's is added to the gradient"))  # that is AdamW
# options that mistakes do not take: limits or momentums for each group, functions, no momentum
BEYOND = ("cyclic-lr-halving", "cyclic-lr-range-each", "cyclic-lr-by-cycle", "cyclic-lr-by-step")
BEYOND += ("one-cycle-lr-epochs", "one-cycle-lr-no-momentum", "sequential-lr-of-five")


@cache
def standard_of(case):
    return reference_run_of.__wrapped__(case, 0)


def differing(case, wrong):
    """Return the results that differ from torch's, and how many there are."""
    standard = standard_of(case)
    results = run_mistake(wrong, standard.build(), standard.problem)
    truth, tolerance = standard.calibration.truth, standard.calibration.tolerance
    wrong_names = [name for name, array in results.items() if not deviation(array, truth[name]) <= tolerance(name, "float64")]
    return wrong_names, len(results)


@pytest.mark.parametrize("case", [case for name in RIGHT for case in CASES[name] if case.name not in BEYOND], ids=lambda c: c.name)
def test_without_a_change_they_are_torchs(case):
    wrong, count = differing(case, RIGHT[case.scratch.split(".")[-1]])
    assert count
    assert not wrong


@pytest.mark.parametrize(("name", "text"), MISTAKES)
def test_every_mistake_shows(name, text):
    wrong = dict(TABLE[name])[text]
    assert any(differing(case, wrong)[0] for case in CASES[name])


@pytest.mark.parametrize("name", TABLE)
def test_no_two_mistakes_are_called_the_same(name):
    assert len(dict(TABLE[name])) == len(TABLE[name])
