"""Mutation testing from the command line: `python -m parity_tests.mutation [PATTERN]`.

The pattern is a part of FILE:FUNCTION. The exit status is 0 if at least 99% of the mutants that are not equivalent are detected and
no entry in the list of equivalents is wrong. It is 1 if not, and 2 if no mutant matches.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

import scratch
from parity.running.device import reproducible
from parity_tests.mutation.equivalent import EQUIVALENT, Reasons
from parity_tests.mutation.killers import Killer, case_killers, with_tests
from parity_tests.mutation.reach import measure
from parity_tests.mutation.report import Report
from parity_tests.mutation.runner import Result, Results, run
from parity_tests.mutation.subject import Mutant, modules_of, mutants_of, sample, subjects_of

REQUIRED = 0.99
NOT_MUTATED = "scratch.ops.definitions"  # what a test compares the ops with; nothing of the package runs it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants and print the report."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.mutation", description="Mutation testing of scratch.")
    parser.add_argument("pattern", nargs="?", default="", metavar="PATTERN", help="a part of FILE:FUNCTION (default: all)")
    parser.add_argument("--sample", type=int, metavar="N", help="test only N mutants, the same ones every time")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a processor)")
    parser.add_argument("--limit", type=float, default=5, metavar="S", help="seconds that a fault may add to a killer (default 5)")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="keep results in FILE, and continue from those that it holds")
    options = parser.parse_args(arguments)

    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a process that has used a GPU cannot be forked
    modules = [module for module in modules_of(scratch) if not module.__name__.startswith(NOT_MUTATED)]
    subjects = [s for module in modules for s in subjects_of(module) if options.pattern in f"{s.file}:{s.name}"]
    everything = [mutant for subject in subjects for mutant in mutants_of(subject)]
    mutants = everything if options.sample is None else sample(everything, options.sample)
    if not mutants:
        print(f"no function with {options.pattern!r} in FILE:FUNCTION has a mutant", file=sys.stderr)
        return 2
    reasons = Reasons(EQUIVALENT)
    stale = [] if options.pattern else reasons.stale([mutant.key for mutant in everything])

    def conduct(tests: list[Killer]) -> Report:
        reach = measure([*case_killers(), *tests], "scratch")
        for killer in reach.failing_without_fault:
            print(f"{killer.name} fails without a fault and is not used")
        results, report = Results(options.resume), Report(reasons)
        known = {mutant: result for mutant in mutants if (result := results.of(mutant))}
        for mutant, result in known.items():
            report.add(mutant, result)
        open_ones = [mutant for mutant in mutants if mutant not in known]
        open_ones.sort(key=lambda mutant: mutant.key in results.known)  # survivors of an earlier run come last
        jobs = ((mutant, reach.of(mutant.subject, modules)) for mutant in open_ones)
        for mutant, result in track(run(jobs, reach.seconds, options.jobs, options.limit), len(open_ones)):
            results.add(result)
            report.add(mutant, result)
        return report

    with reproducible():
        report: Report = with_tests(conduct)
    print(report.text())
    for file, function, before, after in stale:
        print(f"{file}, {function}: listed as equivalent, but no such mutant exists: {before} -> {after}")
    return 0 if report.kill_rate >= REQUIRED and not report.wrongly_listed and not stale else 1


def track(results: Iterator[tuple[Mutant, Result]], total: int) -> Iterator[tuple[Mutant, Result]]:
    """Yield the results, and show their progress in a terminal."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        yield from progress.track(results, total, description="mutants")


if __name__ == "__main__":
    sys.exit(main())
