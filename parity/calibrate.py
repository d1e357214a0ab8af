"""The specificity of the harness: false alarms and vacuous comparisons over many seeds of every case."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from parity.case import ParityCase
from parity.check import DTYPES, check, reference_run_of
from parity.judging.tolerance import BY_NATURE_ZERO, Calibration, deviation, largest
from parity.judging.verdict import Verdict
from parity.running.device import reproducible
from scratch.module import Array

WRONG_FACTOR = 1.01  # times the tensor, in a version that must not pass
EQUAL_BUT_FOR_ROUNDING = 1e-14  # of a tensor's scale: the largest distance of two versions that are the same


@dataclass
class Record:
    """The results of one case over all its seeds."""

    name: str
    worst_ratios: dict[str, list[float]] = field(default_factory=lambda: {dtype: [] for dtype in DTYPES})
    tensors: int = 0
    alarms: list[Verdict] = field(default_factory=list)
    vacuous: list[str] = field(default_factory=list)


def calibrate_cases(cases: Sequence[ParityCase], seeds: int) -> Iterator[Record]:
    """Check each case over all seeds and dtypes, on all cores; yield its record."""
    workers = min(os.cpu_count() or 1, len(cases))
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(partial(_calibrate_case, seeds=seeds), [case.name for case in cases])


def _calibrate_case(name: str, seeds: int) -> Record:
    from parity.cases import CASES  # by name, because a case's functions do not travel between processes

    case = next(case for case in CASES if case.name == name)
    record = Record(name)
    for seed, dtype in itertools.product(range(seeds), DTYPES):
        verdict = check(case, dtype, "cpu", seed)
        record.tensors += verdict.tensors
        record.worst_ratios[dtype].append(verdict.worst_ratio)
        if not verdict.ok:
            record.alarms.append(verdict)
    with reproducible(), suppress(Exception):  # a reference that does not run has raised an alarm
        record.vacuous = vacuous(reference_run_of(case, 0).calibration)
    return record


def vacuous(calibration: Calibration) -> list[str]:
    """Return the tensors for which a wrong version would pass in float64: zero, scaled, shuffled or with exchanged axes."""
    scale = max((largest(array) for array in calibration.truth.values() if array.dtype.kind == "f"), default=0.0)
    found = []
    for name in calibration.unit:
        truth = calibration.truth[name]
        if largest(truth) <= BY_NATURE_ZERO * scale:
            continue
        for text, wrong in _wrong_versions(truth):
            if deviation(wrong, truth) <= calibration.tolerance(name, "float64"):
                found.append(f"{name}: {text} would pass")
    return found


def _wrong_versions(truth: Array) -> Iterator[tuple[str, Array]]:
    """Yield wrong versions of a tensor; a version that happens to equal the truth is left out."""
    yield "a tensor of zeros", np.where(np.isfinite(truth), 0.0, truth)
    yield f"{WRONG_FACTOR} times the tensor", WRONG_FACTOR * truth
    shuffled = np.random.default_rng(0).permutation(truth.reshape(-1)).reshape(truth.shape)
    if not _same(shuffled, truth):
        yield "the tensor shuffled", shuffled
    for first, second in itertools.combinations(range(truth.ndim), 2):
        exchanged = truth.swapaxes(first, second)
        if exchanged.shape == truth.shape and not _same(exchanged, truth):
            yield f"the tensor with axes {first} and {second} exchanged", exchanged


def _same(array: Array, truth: Array) -> bool:
    """Return whether two versions of a tensor are equal but for rounding."""
    return deviation(array, truth) <= EQUAL_BUT_FOR_ROUNDING * largest(truth)


def _first_message(verdict: Verdict) -> str:
    """Return the message of a verdict, or that of its worst finding."""
    return verdict.message or next((finding.message for finding in verdict.findings), "")


def describe_records(records: Sequence[Record]) -> str:
    """Return the distribution of error / tolerance, every false alarm and every vacuous comparison, as text."""
    tensors = sum(record.tensors for record in records)
    alarms = [alarm for record in records for alarm in record.alarms]
    lines = [f"{len(records)} cases, {tensors:,} tensor verdicts"]
    for dtype in DTYPES:
        worst = sorted(((max(record.worst_ratios[dtype]), record.name) for record in records), reverse=True)
        every = np.array([worst_ratio for record in records for worst_ratio in record.worst_ratios[dtype]])
        quantiles = ", ".join(
            f"{label} {np.quantile(every, q):.3g}" for label, q in (("median", 0.5), ("99%", 0.99), ("99.9%", 0.999))
        )
        lines.append(f"{dtype}: error / tolerance {quantiles}, largest {worst[0][0]:.3g} ({worst[0][1]})")
        lines.append("         next " + ", ".join(f"{worst_ratio:.3g} ({name})" for worst_ratio, name in worst[1:5]))
    lines.append(f"{len(alarms)} false alarms")
    lines += [f"  {alarm.name} {alarm.dtype} seed {alarm.seed}: {alarm.status} {_first_message(alarm)}" for alarm in alarms[:50]]
    hollow = [(record.name, text) for record in records for text in record.vacuous]
    lines.append(f"{len(hollow)} vacuous comparisons")
    lines += [f"  {name}: {text}" for name, text in hollow[:50]]
    return "\n".join(lines)
