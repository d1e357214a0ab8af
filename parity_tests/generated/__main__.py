"""Draw faults by a seed, plant each, run the cases that reach it, and print what the harness said.

The exit status is 0 if at least 85% of the faults with an effect are caught and 90% of these have the right culprit.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path

from parity.running.device import reproducible
from parity_tests.generated.draw import GeneratedFault, draw, functions_of, modules
from parity_tests.generated.judged import Answer, killers_with_answers
from parity_tests.generated.observed import floats_of_functions
from parity_tests.generated.report import CAUGHT, NO_EFFECT, UNSEEN, Result, details, figures
from parity_tests.generated.responsible import responsible
from parity_tests.mutation.__main__ import track
from parity_tests.mutation.reach import Reach, measure
from parity_tests.mutation.runner import SURVIVED, run
from parity_tests.mutation.subject import Mutant

LEAST_CAUGHT, LEAST_RIGHT_CULPRITS = 0.85, 0.9
SECONDS = 120  # that a fault may add to a case, with the search for its culprit
SOURCES = Path(__file__).parents[2] / "scratch"


def main() -> int:
    """Draw, plant and report."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.generated", description=__doc__)
    parser.add_argument(
        "--seed", default="source", metavar="S", help="a number, or 'source': another one with each version of scratch"
    )
    parser.add_argument("--count", type=int, default=300, metavar="N", help="faults to draw (default 300)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a processor)")
    parser.add_argument("--causes", action="store_true", help="print each fault with the causes that were given")
    options = parser.parse_args()
    if options.seed != "source" and not options.seed.isdecimal():
        parser.error(f"--seed is {options.seed!r}, expected a whole number or 'source'")
    seed = _digest() if options.seed == "source" else int(options.seed)

    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a process that has used a GPU cannot be forked
    with reproducible():
        results = judge_all(seed, options.count, options.jobs)
    if options.causes:
        for result in results:
            if result.answer is not None and result.names_cause:
                causes = dict.fromkeys(cause for cause in result.answer.causes if cause)
                print(f"- {result.fault.mutant.lines[1]}\n+ {result.fault.mutant.lines[2]}", *causes, "", sep="\n")
    print(details(results), figures(results, seed), sep="\n\n")
    caught, missed = sum(r.outcome == CAUGHT for r in results), sum(r.is_missed for r in results)
    right = sum(r.names_culprit for r in results)
    return int(caught < LEAST_CAUGHT * (caught + missed) or right < LEAST_RIGHT_CULPRITS * caught)


def _digest() -> int:
    """Return a number that changes with the source of scratch."""
    return zlib.crc32(b"".join(path.read_bytes() for path in sorted(SOURCES.rglob("*.py"))))


def judge_all(seed: int, count: int, jobs: int) -> list[Result]:
    """Draw faults and return the outcome of each."""
    found = modules()
    faults = draw(functions_of(found, floats_of_functions()), seed, count)
    reach = measure(killers_with_answers(), "scratch")
    answers = _outcomes(((fault, fault.mutant) for fault in faults), reach, jobs)
    unseen = ((f, f.blunt) for f, outcome in answers.items() if outcome == SURVIVED and f.blunt is not None)
    of_blunt = _outcomes(unseen, reach, jobs)
    results = []
    for fault in faults:
        outcome, culprits = answers[fault], frozenset(responsible(fault.mutant.subject.place, found))
        answer = Answer(**json.loads(outcome)) if outcome.startswith("{") else None
        state = CAUGHT if outcome != SURVIVED else NO_EFFECT if of_blunt.get(fault) == SURVIVED else UNSEEN
        results.append(Result(fault, state, answer, culprits))
    return results


def _outcomes(planted: Iterable[tuple[GeneratedFault, Mutant]], reach: Reach, jobs: int) -> dict[GeneratedFault, str]:
    """Plant each mutant and return the outcome of the first case that fails, in an order of its own for each mutant."""
    faults, queue = {}, []
    for fault, mutant in planted:
        killers = list(reach.killers.get(mutant.subject.place, []))
        random.Random(repr(mutant.key)).shuffle(killers)
        faults[mutant] = fault
        queue.append((mutant, killers))
    found = track(run(queue, reach.seconds, jobs, SECONDS), len(queue))
    return {faults[mutant]: result.outcome for mutant, result in found}


if __name__ == "__main__":
    sys.exit(main())
