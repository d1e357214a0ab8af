"""The command `parity check --scratch DIR`: judge someone's own package, and with --watch again after every save."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from parity.case import ParityCase
from parity.own_package.progress import Progress, curriculum
from parity.own_package.saves import files_behind, saves
from parity.own_package.worker import TIME_LIMIT, Outcome, Worker
from parity.running.safe_text import printable

Bar = Callable[[Iterable[Outcome]], Iterable[Outcome]]


def check_own(
    directory: Path,
    cases: Sequence[ParityCase],
    dtypes: Sequence[str],
    seeds: Sequence[int],
    bar: Bar = iter,
    time_limit: float = TIME_LIMIT,
) -> Progress:
    """Judge the cases on the package in a directory, in learning order."""
    position = {path: i for i, path in enumerate(curriculum())}
    in_order = sorted(cases, key=lambda case: position[case.scratch])
    with Worker(directory, time_limit) as worker:
        return Progress(directory, list(bar(worker.outcomes(in_order, dtypes, seeds))))


def keep_checking(
    progress: Progress,
    cases: Sequence[ParityCase],
    dtypes: Sequence[str],
    seeds: Sequence[int],
    changes: Iterable[set[Path]] | None = None,
    time_limit: float = TIME_LIMIT,
) -> Iterator[tuple[Progress, str]]:
    """Judge again after every save the targets that it touches; yield the new progress and a line about the save."""
    directory = progress.directory.resolve()
    targets = list(dict.fromkeys(case.scratch for case in cases))
    before = files_behind(directory, targets)
    for changed in saves(directory) if changes is None else changes:
        start = time.perf_counter()
        now = files_behind(directory, targets)
        touched = {target for target in targets if changed & (before[target] | now[target])}
        before = now
        again = [case for case in cases if case.scratch in touched]
        fresh = check_own(directory, again, dtypes, seeds, time_limit=time_limit)
        kept = [outcome for target in progress.targets if target.path not in touched for outcome in target.outcomes]
        progress = Progress(progress.directory, kept + [outcome for target in fresh.targets for outcome in target.outcomes])
        names = ", ".join(sorted(printable(str(file.relative_to(directory))) for file in changed))
        what = ", ".join(target.name for target in fresh.targets) or "nothing, since no target uses it"
        yield progress, f"{names} saved; checked again in {time.perf_counter() - start:.1f} s: {what}"
