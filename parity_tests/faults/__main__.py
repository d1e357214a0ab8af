"""Plant every fault in all of its cases and print the answers of the harness.

The exit status is 0 if every fault is caught, with the expected culprit and cause, and 1 otherwise.
"""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from operator import itemgetter

from rich.console import Console
from rich.progress import track
from threadpoolctl import threadpool_limits

from parity_tests.faults import FAULTS, Judgement, judge
from parity_tests.faults.page import PAGE, figures, measured, page


def main() -> int:
    """Plant the faults, or write the page."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=8, metavar="N", help="seeds for every fault and case (default 8)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes (default: every core)")
    parser.add_argument("--save", action="store_true", help=f"write the figures into {PAGE.name}")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.name} with the figures that it has; measure nothing")
    options = parser.parse_args()
    if options.page:
        PAGE.write_text(page(measured()))
        return 0
    console = Console()
    judgements = plant_all(options.seeds, options.jobs, console)
    for judgement in judgements:
        if complaint := complaint_about(judgement):
            console.print(f"{judgement.fault.name}, {judgement.case}, seed {judgement.seed}: {complaint}", markup=False)
    summary = figures(judgements, options.seeds)
    console.print(summary, markup=False)
    if options.save:
        PAGE.write_text(page(summary))
    return int(any(map(complaint_about, judgements)))


def plant_all(seeds: int, jobs: int, console: Console) -> list[Judgement]:
    """Plant every fault in each of its cases, on `seeds` seeds of the case."""
    cases = dict.fromkeys(case for fault in FAULTS for case in fault.cases)
    first = {case: i % 8 for i, case in enumerate(cases)}  # even with one seed per case, all eight seeds occur
    plantings = [(fault, case, (first[case] + i) % 8) for fault in FAULTS for case in fault.cases for i in range(seeds)]
    plantings.sort(key=itemgetter(1, 2))  # then the reference runs once for all faults of a case
    # one BLAS thread per process: more would compete for the cores
    with ProcessPoolExecutor(jobs, get_context("spawn"), threadpool_limits, (1,)) as pool:
        found = pool.map(judge, *zip(*plantings, strict=True), chunksize=32)
        return list(track(found, "planting", len(plantings), console=console))


def complaint_about(judgement: Judgement) -> str:
    """Return what the harness got wrong about a fault, or an empty string."""
    if not judgement.caught:
        return "not caught"
    if not judgement.exact:
        return "another culprit"
    if judgement.strange:
        return f"another cause: {judgement.strange[0]}"
    return "cause not named" if judgement.fault.cause and not judgement.named else ""


if __name__ == "__main__":
    sys.exit(main())
