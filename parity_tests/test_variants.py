"""Right code is never rejected: each variant, in place of a function of scratch, agrees in all of its cases."""

import pytest

from parity.check import DTYPES, check
from parity.report import explain
from parity_tests.variants import CALLS, VARIANTS, replaced

# the variants of a case one after the other, for they share its reference run
PAIRS = sorted(((case.name, variant.name, case, variant) for variant in VARIANTS for case in variant.cases), key=lambda pair: pair[:2])


@pytest.mark.parametrize(
    ("case", "variant"), [pair[2:] for pair in PAIRS], ids=[f"{variant} in {case}" for case, variant, *_ in PAIRS]
)
def test_a_right_variant_agrees(case, variant):
    before = CALLS[variant.name]
    for dtype in DTYPES:
        with replaced(variant.path, variant.function):
            verdict = check(case, dtype)
        assert verdict.ok, explain(verdict)
    assert CALLS[variant.name] > before, "the case does not use the function that was replaced"


def test_there_are_many_variants_and_each_has_a_case():
    assert len(VARIANTS) >= 94
    assert all(variant.cases for variant in VARIANTS)
