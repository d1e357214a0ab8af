"""Draw faults by a seed, plant each, and print what the harness said: `python -m parity_tests.generated --seed S --count N`."""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path

from parity.running.device import reproducible
from parity_tests.generated.draw import draw, functions_of, modules
from parity_tests.generated.judged import killers
from parity_tests.generated.observed import floats_of_functions
from parity_tests.generated.responsible import responsible
from parity_tests.mutation.__main__ import track
from parity_tests.mutation.reach import measure
from parity_tests.mutation.runner import run
from parity_tests.mutation.subject import subjects_of


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m parity_tests.generated", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the seed of the draw (default 0)")
    parser.add_argument("--count", type=int, default=300, metavar="N", help="faults to draw (default 300)")
    parser.add_argument("--pattern", default="", metavar="TEXT", help="only faults of this kind, file or function")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a processor)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write every report as JSON")
    options = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    found = modules()
    with reproducible():
        floats = floats_of_functions()
        functions = functions_of(found, floats)
        faults = draw(functions, options.seed, options.count)
        faults = [f for f in faults if options.pattern in f"{f.edit.operator} {f.subject.file} {f.subject.name}"]
        reach = measure(killers(), "scratch")
        jobs = []
        for fault in faults:
            reaching = list(reach.killers.get(fault.subject.place, []))
            random.Random(repr(fault.key)).shuffle(reaching)
            jobs.append((fault, reaching))
        results = list(track(run(jobs, reach.seconds, options.jobs, 120), len(jobs)))
    rows = []
    for fault, result in results:
        row = {
            "kind": fault.edit.operator,
            "file": fault.subject.file,
            "function": fault.subject.name,
            "line": fault.lines[0],
            "old": fault.lines[1],
            "new": fault.lines[2],
            "reaching": len(dict(jobs)[fault]),
            "outcome": result.outcome[:1],
            "killer": result.killer,
            "responsible": sorted(responsible(fault.subject.place, found)),
        }
        if result.outcome.startswith("{"):
            row |= {"outcome": "caught"} | json.loads(result.outcome)
        else:
            row["outcome"] = result.outcome
        rows.append(row)
    caught = [r for r in rows if r["outcome"] == "caught"]
    for r in caught:
        r["right"] = bool(r["kinds"]) and (set(r["kinds"]) <= set(r["responsible"]) or _is_named(r))
    right = [r for r in caught if r["right"]]
    if options.save:
        options.save.write_text(json.dumps(rows, indent=1))
    print(
        len(functions),
        "functions",
        sum(
            bool(f.sites)
            for f in functions_of(
                found, {s.place: set() for m in found for s in subjects_of(m) if isinstance(s.node, ast.FunctionDef)}
            )
        ),
        sum(bool(f.sites) for f in functions),
    )
    print(Counter(r["outcome"] for r in rows), "reached", sum(r["reaching"] > 0 for r in rows))
    print("right culprit", len(right), "cause", sum(any(r["causes"]) for r in caught), "of", len(caught))
    return 0


def _is_named(row: dict) -> bool:
    """Return whether the report tells to look at the function with the fault, or at the file of its constructor."""
    of_constructor = row["function"].endswith("__init__")
    return any(row["file"] in place and (of_constructor or row["function"] in place) for place in row["places"])


if __name__ == "__main__":
    sys.exit(main())
