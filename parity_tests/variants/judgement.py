"""The verdicts of the harness on all variants in one case, over many seeds."""

import itertools
from dataclasses import dataclass, field

from parity.cases import CASES
from parity.check import DTYPES, check
from parity_tests.variants.variant import VARIANTS, replaced


@dataclass
class Count:
    """The verdicts on all variants in one case, over all seeds and both dtypes."""

    comparisons: int = 0
    tensors: int = 0
    explained: int = 0  # comparisons that a kink explains
    worst: tuple[float, str] = (0.0, "")  # the largest error / tolerance, and its place
    alarms: list[str] = field(default_factory=list)


def judge(name: str, seeds: range) -> Count:
    """Return the verdicts on all variants in a case; the case goes by its name, because functions stay in their process."""
    case, count = next(case for case in CASES if case.name == name), Count()
    variants = [variant for variant in VARIANTS if case in variant.cases]
    for seed, variant, dtype in itertools.product(seeds, variants, DTYPES):
        with replaced(variant.path, variant.function):
            verdict = check(case, dtype, seed=seed, diagnose=False)
        place = f"{variant.name} in {name}, {dtype}, seed {seed}"
        count.comparisons += 1
        count.tensors += verdict.tensors
        if verdict.ok:
            count.explained += bool(verdict.note)
            count.worst = max(count.worst, (verdict.worst_ratio, place))
        else:
            reason = verdict.message or verdict.findings[0].message
            count.alarms.append(f"{place}: {verdict.status.value}, {reason}")
    return count
