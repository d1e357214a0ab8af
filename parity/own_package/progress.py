"""The progress of someone's own package: verified, wrong and missing targets, and the next step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

import scratch
from parity.cases import tables
from parity.judging.status import MARKS, Status
from parity.own_package.worker import Outcome
from parity.report import explain
from parity.running.definitions import Definitions, Place, learning_order
from parity.running.tensor_name import Phase

SHOWN_IN_ORDER = (Status.VERIFIED, Status.WRONG, Status.MISSING)


@dataclass
class Target:
    """A function, layer or model of the package, with the outcomes of its cases."""

    path: str
    family: str
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return the last name of the path."""
        return self.path.split(".")[-1]

    @property
    def status(self) -> Status:
        """Return WRONG if any case fails, else MISSING if any is missing, else VERIFIED."""
        if self.failed:
            return Status.WRONG
        return Status.MISSING if any(outcome.verdict.missing for outcome in self.outcomes) else Status.VERIFIED

    @property
    def failed(self) -> list[Outcome]:
        """Return the outcomes that have found a mistake."""
        return [outcome for outcome in self.outcomes if outcome.verdict.fails]

    @property
    def missing(self) -> list[str]:
        """Return the missing pieces: "conv2d", or "conv2d backward", and "conv2d in 2 of 12 cases (groups are not implemented)"."""
        cases = {outcome.verdict.name for outcome in self.outcomes}
        lacking = {outcome.verdict.name: outcome.verdict.findings[0] for outcome in self.outcomes if outcome.verdict.missing}
        forward = [finding for finding in lacking.values() if finding.phase is Phase.FORWARD]
        if len(forward) == len(cases):
            return [self.name]
        pieces = []
        if len(lacking) > len(forward):
            some = "" if len(lacking) == len(cases) else f" in {len(lacking) - len(forward)} of {len(cases)} cases"
            pieces.append(f"{self.name} backward{some}")
        if forward:
            pieces.append(f"{self.name} in {len(forward)} of {len(cases)} cases ({forward[0].message})")
        return pieces


class Progress:
    """The outcomes of a package, by target in learning order."""

    def __init__(self, directory: Path, outcomes: Iterable[Outcome]):
        self.directory = directory
        found: dict[str, Target] = {}
        for outcome in outcomes:
            found.setdefault(outcome.target, Target(outcome.target, outcome.verdict.family)).outcomes.append(outcome)
        self.targets = [found[path] for path in curriculum() if path in found]
        self._definitions = Definitions(directory.resolve())

    def having(self, status: Status) -> list[Target]:
        """Return the targets that have a status."""
        return [target for target in self.targets if target.status is status]

    def culprits(self) -> dict[str, list[Target]]:
        """Return the wrong targets by their explanation; targets that only use a wrong one are left out."""
        grouped: dict[str, list[Target]] = {}
        for target in self.having(Status.WRONG):
            if not self.blamed_on(target):
                verdict = target.failed[0].verdict
                grouped.setdefault(verdict.message or target.path, []).append(target)
        return grouped

    def blamed_on(self, target: Target) -> list[Target]:
        """Return the other wrong targets that a wrong one uses.

        If the culprits in a target are known, only targets that are or that serve those culprits count.
        """
        kinds = {culprit.kind for outcome in target.failed for culprit in outcome.verdict.culprits}
        if target.name in kinds and target.path.startswith("models."):
            return []
        suspects = [f"layers.{kind}" for kind in kinds - {target.name}] or [target.path]
        used: set[Place] = set().union(*(self._definitions.used_by(suspect) for suspect in suspects))
        others = (other for other in self.having(Status.WRONG) if other is not target)
        return [other for other in others if self._definitions.place_of(other.path) in used]

    @property
    def next(self) -> str:
        """Return the next step: first fix a wrong target, then write a missing one."""
        wrong = [target for target in self.having(Status.WRONG) if not self.blamed_on(target)] or self.having(Status.WRONG)
        missing = self.having(Status.MISSING)
        return f"fix {wrong[0].name}" if wrong else missing[0].missing[0] if missing else ""

    def __str__(self) -> str:
        line = f"{len(self.having(Status.VERIFIED))} of {len(self.targets)} verified"
        return f"{line}; next: {self.next}" if self.next else line

    def as_json(self, environment: dict[str, Any]) -> str:
        """Return the JSON object of `parity check --json`, with `progress` beside `environment` and `cases`."""
        progress = {status: [target.path for target in self.having(status)] for status in SHOWN_IN_ORDER}
        cases = [outcome.verdict.as_json() | {"printed": outcome.printed} for target in self.targets for outcome in target.outcomes]
        return json.dumps({"environment": environment, "progress": progress | {"next": self.next}, "cases": cases}, indent=2)


@cache
def curriculum() -> list[str]:
    """Return all targets in learning order: that of the tables, but each after the targets that `scratch` makes it from."""
    return learning_order(Definitions(Path(scratch.__file__).parent), dict.fromkeys(case.scratch for case in tables().cases))


def print_progress(progress: Progress, console: Console) -> None:
    """Print the page: lists of verified and missing targets, one explanation of each wrong one, and the progress line."""
    _print_names(console, Status.VERIFIED, [(t.family, t.name) for t in progress.having(Status.VERIFIED)])
    _print_names(console, Status.MISSING, [(t.family, ", ".join(t.missing)) for t in progress.having(Status.MISSING)])
    for targets in progress.culprits().values():
        cases, failed = ({outcome.verdict.name for outcome in outcomes} for outcomes in (targets[0].outcomes, targets[0].failed))
        names = ", ".join(target.name for target in targets)
        _print_status(console, Status.WRONG, names if len(targets) > 1 else f"{names}, in {len(failed)} of {len(cases)} cases")
        console.print(explain(targets[0].failed[0].verdict), highlight=False, markup=False, soft_wrap=True)
        console.print()
    for target in progress.having(Status.WRONG):
        if others := [other for other in progress.blamed_on(target) if not progress.blamed_on(other)]:
            _print_status(console, Status.WRONG, f"{target.name}, which uses {', '.join(other.name for other in others)}")
    for target in progress.targets:
        printed = next((outcome.printed for outcome in target.outcomes if outcome.printed.strip()), "").strip().splitlines()
        if printed:
            more = f" ... and {len(printed) - 1} more lines" if len(printed) > 1 else ""
            _print_line(console, "note", "cyan", f"{target.name} prints: {printed[0]}{more}")
    console.print(f"{progress}", style="bold", highlight=False, markup=False, soft_wrap=True)


def _print_names(console: Console, status: Status, names: Sequence[tuple[str, str]]) -> None:
    """Print the count of targets with a status, and their names by family."""
    if not names:
        return
    table = Table.grid(padding=(0, 2))
    for family in dict.fromkeys(family for family, _ in names):
        table.add_row("", family, Text(", ".join(name for other, name in names if other == family)))
    _print_status(console, status, f"{len(names)}")
    console.print(table)
    console.print()


def _print_status(console: Console, status: Status, text: str) -> None:
    _print_line(console, status, MARKS[status].style, text)


def _print_line(console: Console, word: str, style: str, text: str) -> None:
    console.print(Text.assemble((f"{word:8}", style), f"  {text}"), soft_wrap=True)
