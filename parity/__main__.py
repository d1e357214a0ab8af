"""The command line: `parity list`, `parity check`, `parity calibrate` and `parity new`.

The exit status is 0 if every comparison agrees, 1 if one does not, and 2 if the command itself is wrong. A twin of ours that is
not written yet is shown as missing, and the status is 1. With --scratch, a missing function, layer or model is no failure.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from parity.calibrate import calibrate_cases, describe_records
from parity.case import ParityCase
from parity.cases import matching, tables
from parity.check import DTYPES, check, missing_twins
from parity.command import exit_status
from parity.judging.status import MARKS, Status
from parity.judging.verdict import Verdict, describe
from parity.own_package.check import check_own, keep_checking
from parity.own_package.confinement import WAITING
from parity.own_package.progress import print_progress
from parity.own_package.stubs import write_package
from parity.own_package.worker import TIME_LIMIT, Outcome
from parity.report import as_json, print_table, summary, worst_of
from parity.running.builders import reference_builder
from parity.running.device import checked_device, environment, newer_than_verified
from parity.running.safe_text import printable
from parity.saved import saved_model


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    return exit_status("parity", lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="parity", description="NumPy networks written by hand, verified against their PyTorch twins."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="name every case and its two sides")
    listing.set_defaults(run=list_cases)

    checking = commands.add_parser(
        "check",
        help="verify twins: outputs, every gradient, every buffer",
        epilog="Exit status: 0 if all agree, 1 if a comparison fails or a twin of ours is missing, 2 if the command is wrong. "
        "With --scratch, a missing function, layer or model is no failure.",
    )
    _add_check_options(checking)
    checking.set_defaults(run=check_cases)

    creating = commands.add_parser("new", help="write a package of stubs with the same API, for your own implementation")
    creating.add_argument("directory", type=Path, metavar="DIR", help="a directory that does not exist yet, or an empty one")
    creating.set_defaults(run=new_package)

    calibrating = commands.add_parser("calibrate", help="count false alarms and vacuous comparisons over many seeds of every case")
    calibrating.add_argument("--seeds", type=_positive, default=200, metavar="N", help="seeds for every case (default 200)")
    calibrating.set_defaults(run=count_alarms)

    for command in (listing, checking, calibrating):
        command.add_argument(
            "pattern", nargs="?", default="", metavar="PATTERN", help="part of a case's name, or a family (default: all)"
        )
    for command in (listing, checking):
        command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _add_check_options(checking: argparse.ArgumentParser) -> None:
    checking.add_argument(
        "--device",
        default="cpu",
        metavar="NAME",
        help="where the twin is judged: cpu (the NumPy twin, default), or the PyTorch twin on cuda or mps",
    )
    checking.add_argument("--dtype", choices=DTYPES, action="append", help="only this dtype; may be given twice (default: both)")
    checking.add_argument("--seeds", type=_positive, default=1, metavar="N", help="seeds for every case (default 1)")
    checking.add_argument(
        "--weights", type=Path, metavar="DIR", help="verify a saved model at its own weights, on the samples saved with it"
    )
    checking.add_argument(
        "--scratch",
        type=Path,
        metavar="DIR",
        help="verify your own implementation, a package with the API that `parity new` writes",
    )
    checking.add_argument("--watch", action="store_true", help="with --scratch: after each save, check again what uses the file")
    checking.add_argument(
        "--time-limit",
        type=float,
        metavar="SECONDS",
        help=f"with --scratch: CPU time for one comparison (default {TIME_LIMIT:g}), {WAITING} times as much on the clock",
    )


def list_cases(options: argparse.Namespace) -> int:
    """Print every case: its family, its two sides, its count of parameters, and the sides that are missing."""
    cases = matching(options.pattern)
    if options.json:
        print(json.dumps({"cases": [_row(case) for case in cases]}, indent=2))
        return 0
    table = Table(box=box.SIMPLE_HEAD, title=f"{len(cases)} of {len(tables().cases)} cases", title_justify="left")
    for heading in ("case", "NumPy twin", "PyTorch twin"):
        table.add_column(heading, overflow="fold")
    table.add_column("parameters", justify="right")
    family = ""
    for case in cases:
        if case.family != family:
            family = case.family
            table.add_row(Text(family, style="bold"), "", "", "")
        row = _row(case)
        reference = case.reference if case.reference.startswith("torch.") else f"reference.{case.reference}"
        count = f"{row['parameters']:,}" if row["parameters"] else ""
        table.add_row(f"  {case.name}", f"scratch.{case.scratch}", reference, count)
        for message in row["missing"]:
            table.add_row("", Text(f"{Status.MISSING}: {message}", style=MARKS[Status.MISSING].style), "", "")
    _console().print(table)
    return 0


def _row(case: ParityCase) -> dict[str, Any]:
    """Return a case as plain data; `missing` has a message for each side that is not written yet."""
    row = {"name": case.name, "family": case.family, "scratch": case.scratch, "reference": case.reference}
    try:
        missing = missing_twins(case)
        parameters = 0 if missing else _parameters(case)
    except Exception as error:
        missing, parameters = [describe(error)], 0
    return row | {"parameters": parameters, "missing": missing}


def check_cases(options: argparse.Namespace) -> int:
    """Judge the cases and print the table or JSON."""
    if options.scratch is not None:
        return _check_own(options)
    if options.watch:
        raise ValueError("--watch re-checks your own implementation as you save it; name it with --scratch DIR")
    if options.time_limit is not None:
        raise ValueError("--time-limit is for your own implementation; name it with --scratch DIR")
    device = checked_device(options.device)
    cases = matching(options.pattern) if options.weights is None else [saved_model(options.weights, options.pattern)]
    dtypes = dict.fromkeys(options.dtype or DTYPES)
    verdicts: list[Verdict] = []
    with _progress() as progress:
        task = progress.add_task("", total=len(cases))
        for case in cases:
            progress.update(task, description=case.name, refresh=True)
            by_seed = [[check(case, dtype, device, seed) for dtype in dtypes] for seed in range(options.seeds)]
            verdicts += [worst_of(seeds_of_one) for seeds_of_one in zip(*by_seed, strict=True)]
            progress.advance(task)
    failed = not all(verdict.ok for verdict in verdicts)
    if options.json:
        print(as_json(verdicts, environment()))
    else:
        console = _console()
        print_table(verdicts, console)
        versions = ", ".join(f"{name} {version}" for name, version in environment().items())
        console.print(f"{summary(verdicts)} ({versions})", highlight=False, soft_wrap=True)
        if failed and (newer := newer_than_verified()):
            console.print(newer, highlight=False, soft_wrap=True)
    return 1 if failed else 0


def _check_own(options: argparse.Namespace) -> int:
    """Judge someone's own package and print its progress."""
    if options.device != "cpu" or options.weights is not None:
        raise ValueError("--scratch judges NumPy code at drawn weights, on the CPU; leave --device and --weights out")
    if options.watch and options.json:
        raise ValueError("--watch prints a page after every save, --json one object; leave one of them out")
    what = matching(options.pattern), list(dict.fromkeys(options.dtype or DTYPES)), range(options.seeds)

    def with_bar(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        with _progress() as bar:
            task = bar.add_task("", total=len(what[0]) * len(what[1]) * len(what[2]))
            for outcome in outcomes:
                bar.update(task, description=outcome.verdict.name, advance=1, refresh=True)
                yield outcome

    limit = TIME_LIMIT if options.time_limit is None else options.time_limit
    latest = check_own(options.scratch, *what, bar=with_bar, time_limit=limit)
    if options.json:
        print(latest.as_json(environment()))
        return 1 if latest.having(Status.WRONG) else 0
    console = _console()
    print_progress(latest, console)
    if options.watch:
        console.print(f"watching {options.scratch}; Ctrl-C ends", style="dim", highlight=False)
        with suppress(KeyboardInterrupt):
            for latest, done in keep_checking(latest, *what, time_limit=limit):  # noqa: B020  the first is where it starts from
                console.clear()
                print_progress(latest, console)
                console.print(done, style="dim", highlight=False, soft_wrap=True)
    return 1 if latest.having(Status.WRONG) else 0


def new_package(options: argparse.Namespace) -> int:
    """Write a package of stubs and print the next command."""
    count = write_package(options.directory)
    shown = printable(str(options.directory))
    print(f"wrote {count} files to {shown}; see its progress with: parity check --scratch {shown}")
    return 0


def count_alarms(options: argparse.Namespace) -> int:
    """Print the distribution of error / tolerance, every false alarm and every vacuous comparison."""
    cases = matching(options.pattern)
    records = []
    with _progress() as progress:
        task = progress.add_task("", total=len(cases))
        for record in calibrate_cases(cases, options.seeds):
            records.append(record)
            progress.update(task, description=record.name, advance=1, refresh=True)
    print(f"{options.seeds} seeds of {describe_records(records)}")
    return 1 if any(record.alarms or record.vacuous for record in records) else 0


def _progress() -> Progress:
    columns = TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn()
    return Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(), auto_refresh=False
    )  # without a thread, which a fork would not have


def _console() -> Console:
    """Return the console: the terminal at its own width; a pipe or a file gets wide lines that are not cut."""
    return Console() if sys.stdout.isatty() else Console(width=160)


def _parameters(case: ParityCase) -> int:
    """Return the count of a module's parameters; 0 for a function."""
    subject = reference_builder(case)()
    return sum(parameter.numel() for parameter in subject.parameters()) if isinstance(subject, torch.nn.Module) else 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
