"""The command line: `python -m parity_tests.mutation [PATTERN]`, for functions whose file and name contain the pattern.

Exit status: 0 where at least 99% of the mutants that are not equivalent are noticed and the list of equivalents is right,
1 where not, 2 where there is nothing to do.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import scratch
from parity.device import reproducible
from parity_tests.mutation.equivalent import reasons
from parity_tests.mutation.killers import Killer, case_killers, with_tests
from parity_tests.mutation.reach import measure
from parity_tests.mutation.report import Report
from parity_tests.mutation.runner import Results, run
from parity_tests.mutation.subject import modules_of, mutants_of, sample, subjects_of

REQUIRED = 0.99


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants and print the report."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.mutation", description="Mutation testing of scratch.")
    parser.add_argument("pattern", nargs="?", default="", metavar="PATTERN", help="part of FILE:FUNCTION (default: all)")
    parser.add_argument("--sample", type=int, metavar="N", help="only N of the mutants, the same ones every time")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a processor)")
    parser.add_argument("--limit", type=float, default=5, metavar="S", help="seconds that a fault may add to a case (default 5)")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="keep results in FILE, and go on from those that are there")
    options = parser.parse_args(arguments)

    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a process that has used a GPU cannot be forked
    modules = modules_of(scratch)
    subjects = [s for module in modules for s in subjects_of(module) if options.pattern in f"{s.file}:{s.name}"]
    everything = [mutant for subject in subjects for mutant in mutants_of(subject)]
    mutants = everything if options.sample is None else sample(everything, options.sample)
    if not mutants:
        print(f"no mutant of anything called {options.pattern!r}", file=sys.stderr)
        return 2
    unknown = [key for key in reasons() if key not in {mutant.key[:4] for mutant in everything}]
    stale = [] if options.pattern else unknown

    def conduct(tests: list[Killer]) -> Report:
        reach = measure([*case_killers(), *tests], "scratch")
        for killer in reach.unfit:
            print(f"{killer.name} fails without any fault and is left out")
        results, report = Results(options.resume), Report(reasons())
        jobs = []
        for mutant in mutants:
            known = results.of(mutant)
            if known:
                report.add(mutant, known)
            else:
                jobs.append((mutant, reach.of(mutant.subject, modules)))
        for mutant, result in run(jobs, reach.seconds, options.jobs, options.limit):
            results.add(result)
            report.add(mutant, result)
        return report

    with reproducible():
        report: Report = with_tests(conduct)
    print(report.text())
    for file, function, before, after in stale:
        print(f"{file}, {function}: listed as equivalent but no such mutant: {before} -> {after}")
    return 0 if report.kill_rate >= REQUIRED and not report.wrongly_listed and not stale else 1


if __name__ == "__main__":
    sys.exit(main())
