"""How far someone's own implementation has come: what is verified, what is wrong and why, what is missing, what is next."""

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
from parity.own_package.worker import Outcome
from parity.report import explain
from parity.running.definitions import Definitions, Place, learning_order


@dataclass
class Target:
    """A function, layer or model, with the outcomes of its cases."""

    path: str
    family: str
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.split(".")[-1]

    @property
    def state(self) -> str:
        """ "wrong" where any case is, else "missing" where any case is, else "verified"."""
        if self.failed:
            return "wrong"
        return "missing" if any(outcome.missing for outcome in self.outcomes) else "verified"

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if not (outcome.verdict.ok or outcome.missing)]

    @property
    def missing(self) -> list[str]:
        """What of it is missing: "conv2d", or "conv2d backward", and "conv2d in 2 of 12 cases (groups are not implemented)"."""
        cases = {outcome.verdict.name for outcome in self.outcomes}
        lacking = {outcome.verdict.name: outcome for outcome in self.outcomes if outcome.missing}
        forward = [outcome for outcome in lacking.values() if outcome.missing_phase == "forward"]
        if len(forward) == len(cases):
            return [self.name]
        parts = []
        if len(lacking) > len(forward):
            some = "" if len(lacking) == len(cases) else f" in {len(lacking) - len(forward)} of {len(cases)} cases"
            parts.append(f"{self.name} backward{some}")
        if forward:
            reason = forward[0].verdict.findings[0].message
            parts.append(f"{self.name} in {len(forward)} of {len(cases)} cases ({reason})")
        return parts


class Progress:
    """The outcomes of a package, by target in learning order."""

    def __init__(self, directory: Path, outcomes: Iterable[Outcome]):
        self.directory = directory
        found: dict[str, Target] = {}
        for outcome in outcomes:
            found.setdefault(outcome.target, Target(outcome.target, outcome.verdict.family)).outcomes.append(outcome)
        self.targets = [found[path] for path in curriculum() if path in found]
        self._definitions = Definitions(directory.resolve())

    def having(self, state: str) -> list[Target]:
        """The targets in a state."""
        return [target for target in self.targets if target.state == state]

    def culprits(self) -> dict[str, list[Target]]:
        """The wrong targets to look at, by explanation; those that only use one of them are left out."""
        grouped: dict[str, list[Target]] = {}
        for target in self.having("wrong"):
            if not self.blamed_on(target):
                verdict = target.failed[0].verdict
                grouped.setdefault(verdict.message or target.path, []).append(target)
        return grouped

    def blamed_on(self, target: Target) -> list[Target]:
        """The other wrong targets that a wrong one uses; of a model with known culprits, those that its culprits are or use."""
        kinds = {culprit.kind for outcome in target.failed for culprit in outcome.verdict.culprits}
        if target.name in kinds and target.path.startswith("models."):
            return []
        suspects = [f"layers.{kind}" for kind in kinds - {target.name}] or [target.path]
        used: set[Place] = set().union(*(self._definitions.used_by(suspect) for suspect in suspects))
        others = (other for other in self.having("wrong") if other is not target)
        return [other for other in others if self._definitions.find(other.path) in used]

    @property
    def next(self) -> str:
        """What to do next: fix what is wrong, then write what is missing."""
        wrong = [target for target in self.having("wrong") if not self.blamed_on(target)] or self.having("wrong")
        missing = self.having("missing")
        return f"fix {wrong[0].name}" if wrong else missing[0].missing[0] if missing else ""

    def __str__(self) -> str:
        line = f"{len(self.having('verified'))} of {len(self.targets)} verified"
        return f"{line}; next: {self.next}" if self.next else line

    def as_json(self, environment: dict[str, Any]) -> str:
        """The object that `parity check --json` prints, with `progress` beside `environment` and `cases`."""
        progress = {state: [target.path for target in self.having(state)] for state in ("verified", "wrong", "missing")}
        cases = [outcome.verdict.as_json() | {"printed": outcome.printed} for target in self.targets for outcome in target.outcomes]
        return json.dumps({"environment": environment, "progress": progress | {"next": self.next}, "cases": cases}, indent=2)


@cache
def curriculum() -> list[str]:
    """Every target in the order of the tables, each after what `scratch` makes it from."""
    return learning_order(Definitions(Path(scratch.__file__).parent), dict.fromkeys(case.scratch for case in tables().cases))


def print_progress(progress: Progress, console: Console) -> None:
    """The page: verified and missing as lists of names, every wrong one explained once, and the progress line."""
    _print_names(console, "verified", "green", [(t.family, t.name) for t in progress.having("verified")])
    _print_names(console, "missing", "yellow", [(t.family, ", ".join(t.missing)) for t in progress.having("missing")])
    for targets in progress.culprits().values():
        cases, failed = ({outcome.verdict.name for outcome in outcomes} for outcomes in (targets[0].outcomes, targets[0].failed))
        names = ", ".join(target.name for target in targets)
        _print_line(console, "wrong", "bold red", names if len(targets) > 1 else f"{names}, in {len(failed)} of {len(cases)} cases")
        console.print(explain(targets[0].failed[0].verdict), highlight=False, markup=False, soft_wrap=True)
        console.print()
    for target in progress.having("wrong"):
        if others := [other for other in progress.blamed_on(target) if not progress.blamed_on(other)]:
            _print_line(console, "wrong", "red", f"{target.name}, which uses {', '.join(other.name for other in others)}")
    for target in progress.targets:
        printed = next((outcome.printed for outcome in target.outcomes if outcome.printed.strip()), "").strip().splitlines()
        if printed:
            more = f" ... and {len(printed) - 1} more lines" if len(printed) > 1 else ""
            _print_line(console, "note", "cyan", f"{target.name} prints: {printed[0]}{more}")
    console.print(f"{progress}", style="bold", highlight=False, markup=False, soft_wrap=True)


def _print_names(console: Console, state: str, style: str, names: Sequence[tuple[str, str]]) -> None:
    if not names:
        return
    table = Table.grid(padding=(0, 2))
    for family in dict.fromkeys(family for family, _ in names):
        table.add_row("", family, Text(", ".join(name for other, name in names if other == family)))
    _print_line(console, state, style, f"{len(names)}")
    console.print(table)
    console.print()


def _print_line(console: Console, word: str, style: str, text: str) -> None:
    console.print(Text.assemble((f"{word:8}", style), f"  {text}"), soft_wrap=True)
