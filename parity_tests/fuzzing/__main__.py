"""Fuzz by hand: `python -m parity_tests.fuzzing 20000 [PATTERN] [--seed N]` prints each new kind of finding, then counts."""

import argparse
import re
from collections import Counter
from random import Random

from parity.cases import CASES
from parity_tests.fuzzing.changes import propose, unchanged
from parity_tests.fuzzing.deviations import is_intended
from parity_tests.fuzzing.judge import judge


def main() -> None:
    """Judge `count` changed calls of the cases that match the pattern."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.fuzzing", description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    random = Random(args.seed)
    cases = [case for case in CASES if case.has_backward and re.search(args.pattern, f"{case.scratch} {case.name}")]
    targets = sorted({case.scratch for case in cases})
    seen: Counter[tuple[str, ...]] = Counter()
    for i in range(args.count):
        target = targets[i % len(targets)]
        case = random.choice([case for case in cases if case.scratch == target])
        finding = judge(propose(random, unchanged(case)))
        finding = None if finding is not None and is_intended(finding) else finding
        kind = ("agrees",) if finding is None else (finding.kind, target, re.sub(r"[\d.]+", "#", finding.detail)[:60])
        seen[kind] += 1
        if finding is not None and seen[kind] == 1:
            print(finding, flush=True)
    by_kind: Counter[str] = Counter()
    for (kind, *_), count in seen.items():
        by_kind[kind] += count
    print(dict(by_kind), f"{len(seen)} kinds")


if __name__ == "__main__":
    main()
