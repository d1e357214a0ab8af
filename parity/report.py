"""Verdicts for people and for programs: one explanation, the terminal's table, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from parity.judging.verdict import Culprit, Verdict

MARKS = {"ok": "green", "mismatch": "bold red", "invalid": "yellow", "error": "bold magenta"}
SHOWN = 6  # findings in an explanation, culprits in a line


def explain(verdict: Verdict) -> str:
    """Why a verdict is what it is: the culprit, where it is written, and the tensors that differ, worst first."""
    lines = [f"{verdict.name}  {verdict.dtype}  {verdict.device}  seed {verdict.seed}  {verdict.verdict}"]
    alike: dict[tuple[str, ...], list[Culprit]] = {}
    for culprit in verdict.culprits:
        alike.setdefault((culprit.kind, culprit.phase, culprit.cause, culprit.source), []).append(culprit)
    for (_, _, cause, source), culprits in alike.items():
        only = f"; {verdict.inherited} other modules only inherit it" if verdict.inherited and len(alike) == 1 else ""
        lines.append(f"  culprit   {_describe(culprits)}{only}")
        if cause:
            lines.append(f"  cause     {cause}")
        lines.append(f"  look at   {source}")
    if verdict.inherited and len(alike) != 1:
        lines.append(f"  inherited {verdict.inherited} other modules are right on their own and only inherit the error")
    lines += [f"  {'differs' if i == 0 else '':9} {finding.message}" for i, finding in enumerate(verdict.findings[:SHOWN])]
    if len(verdict.findings) > SHOWN:
        lines.append(f"            ... and {len(verdict.findings) - SHOWN} more of {verdict.tensors} tensors")
    if verdict.message and not any(verdict.message in culprit.cause for culprit in verdict.culprits):
        label = "note" if verdict.verdict == "mismatch" else verdict.verdict
        lines.append(f"  {label:9} {verdict.message}")
    if verdict.note:
        lines.append(f"  note      {verdict.note}")
    return "\n".join(lines)


def _describe(culprits: Sequence[Culprit]) -> str:
    """Where the culprits are that have one kind, phase and cause, and how wrong the worst of them is."""
    first, worst = culprits[0], max(culprit.ratio for culprit in culprits)
    paths = ", ".join(culprit.path for culprit in culprits[:SHOWN]) + (" ..." if len(culprits) > SHOWN else "")
    where = f"{paths} ({first.kind})" if first.path else first.kind
    error = f"error {worst:.2g} x tolerance" if worst < float("inf") else "not comparable"
    return f"{where}, {first.phase}: {error}"


def worst_of(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for several seeds of the same case, dtype and device: the worst, with the tensors of all."""
    worst = max(verdicts, key=lambda v: (not v.ok, v.worst_ratio))
    worst.tensors = sum(verdict.tensors for verdict in verdicts)
    worst.worst_ratio = max(verdict.worst_ratio for verdict in verdicts)
    worst.note = worst.note or next((f"on seed {v.seed}, {v.note}" for v in verdicts if v.note), "")
    return worst


def print_table(verdicts: Iterable[Verdict], console: Console) -> None:
    """A row for each case, a column for each dtype and device, then every failure explained, and every note."""
    rows: dict[str, dict[str, Verdict]] = {}
    for verdict in verdicts:
        rows.setdefault(verdict.name, {})[f"{verdict.dtype} {verdict.device}"] = verdict
    legs = list(dict.fromkeys(leg for row in rows.values() for leg in row))
    table = Table(box=box.SIMPLE_HEAD, title="largest error / tolerance; up to 1 agrees", title_justify="left")
    table.add_column("case", no_wrap=True)
    table.add_column("tensors", justify="right")
    for leg in legs:
        table.add_column(leg, justify="right")
    family = ""
    for name, row in rows.items():
        first = next(iter(row.values()))
        if first.family != family:
            family = first.family
            table.add_row(Text(family, style="bold"), *[""] * (1 + len(legs)))
        cells = [_cell(row[leg]) if leg in row else Text("") for leg in legs]
        table.add_row(f"  {name}", str(first.tensors), *cells)
    console.print(table)
    for row in rows.values():
        for verdict in row.values():
            if not verdict.ok or verdict.note:
                console.print(
                    explain(verdict), style=MARKS[verdict.verdict].split()[-1], highlight=False, markup=False, soft_wrap=True
                )


def _cell(verdict: Verdict) -> Text:
    return Text(f"{verdict.worst_ratio:.4f}" if verdict.ok else verdict.verdict, style=MARKS[verdict.verdict])


def summary(verdicts: Sequence[Verdict]) -> str:
    """How it went, in one line."""
    failed = [verdict for verdict in verdicts if not verdict.ok]
    tensors = sum(verdict.tensors for verdict in verdicts)
    if failed:
        kinds = ", ".join(
            f"{sum(v.verdict == kind for v in failed)} {kind}" for kind in MARKS if any(v.verdict == kind for v in failed)
        )
        return f"{len(failed)} of {len(verdicts)} comparisons failed: {kinds}"
    worst = max(verdicts, key=lambda verdict: verdict.worst_ratio)
    cases = len({verdict.name for verdict in verdicts})
    noted = sum(bool(verdict.note) for verdict in verdicts)
    return (
        f"{cases} {'case' if cases == 1 else 'cases'} verified in {len(verdicts)} comparisons of {tensors} tensors; "
        f"the largest error is {worst.worst_ratio:.2g} of its tolerance ({worst.name}, {worst.dtype}, {worst.device})"
        + (f"; {noted} with a note" if noted else "")
    )


def as_json(verdicts: Sequence[Verdict], environment: dict[str, Any]) -> str:
    """An object with `environment` and `cases`, one object for each verdict."""
    return json.dumps({"environment": environment, "cases": [verdict.as_json() for verdict in verdicts]}, indent=2)
