"""Judge every variant in all of its cases over many seeds, and count verdicts and false alarms.

The exit status is 0 if the harness rejects no variant, and 1 otherwise.
"""

import argparse
import itertools
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from rich.console import Console
from rich.progress import track
from threadpoolctl import threadpool_limits

from parity.cases import CASES
from parity_tests.variants import VARIANTS
from parity_tests.variants.judgement import judge


def main() -> int:
    """Judge the variants and print the counts."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.variants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=8, metavar="N", help="seeds for every variant and case (default 8)")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first of the seeds (default 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes (default: every core)")
    options = parser.parse_args()
    console = Console()
    names = [case.name for case in CASES if any(case in variant.cases for variant in VARIANTS)]
    judged = partial(judge, seeds=range(options.first, options.first + options.seeds))
    # one BLAS thread per process: more would compete for the cores
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), threadpool_limits, (1,)) as pool:
        counts = list(track(pool.map(judged, names), "judging", len(names), console=console))
    for alarm in itertools.chain.from_iterable(count.alarms for count in counts):
        console.print(alarm, markup=False)
    alarms, comparisons, tensors, explained = (
        sum(column) for column in zip(*((len(c.alarms), c.comparisons, c.tensors, c.explained) for c in counts), strict=True)
    )
    ratio, place = max(count.worst for count in counts)
    console.print(
        f"{len(VARIANTS)} variants in {len(names)} cases, {options.seeds} seeds: {alarms:,} false alarms in {comparisons:,} "
        f"comparisons of {tensors:,} tensors; kinks explain {explained:,} comparisons; the largest error is {ratio:.2g} of its "
        f"tolerance ({place})",
        markup=False,
    )
    return int(any(count.alarms for count in counts))


if __name__ == "__main__":
    sys.exit(main())
