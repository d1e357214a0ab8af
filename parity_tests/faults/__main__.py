"""Plants every fault on several seeds, prints what the harness makes of them, and writes docs/fault-catalogue.md."""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path

from rich.console import Console
from rich.progress import track
from threadpoolctl import threadpool_limits

from parity_tests.faults import FAULTS, Judgement, judge
from parity_tests.faults.page import PAGE, figures, page


def main() -> int:
    """Exit status 1 where a fault is not caught, its culprit or cause not the expected one, or another cause given."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=8, metavar="N", help="seeds for every fault and case (default 8)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes (default: every core)")
    parser.add_argument("--output", type=Path, default=PAGE, metavar="FILE", help=f"default {PAGE}")
    options = parser.parse_args()
    console = Console()
    plantings = [(fault, case, seed) for fault in FAULTS for case in fault.cases for seed in range(options.seeds)]
    plantings.sort(key=itemgetter(1, 2))  # the reference runs once for all faults of a case
    # a matrix product with more threads than there are cores for it would wait for the others
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), threadpool_limits, (1,)) as pool:
        found = pool.map(judge, *zip(*plantings, strict=True), chunksize=32)
        judgements = list(track(found, "planting", len(plantings), console=console))
    for judgement in judgements:
        if complaint := complaint_about(judgement):
            console.print(f"{judgement.fault.name}, {judgement.case}, seed {judgement.seed}: {complaint}", markup=False)
    summary = figures(judgements, options.seeds)
    console.print(summary, markup=False)
    options.output.write_text(page(summary))
    return int(any(map(complaint_about, judgements)))


def complaint_about(judgement: Judgement) -> str:
    """What the harness got wrong about a fault, or ""."""
    if not judgement.caught:
        return "not caught"
    if not judgement.exact:
        return "another culprit"
    if judgement.strange:
        return f"another cause: {judgement.strange[0]}"
    return "cause not named" if judgement.fault.cause and not judgement.named else ""


if __name__ == "__main__":
    sys.exit(main())
