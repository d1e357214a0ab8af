"""Verdicts for people and for programs: explanations, the table in the terminal, JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from parity.judging.status import MARKS, Status
from parity.judging.verdict import Culprit, Verdict

MOST_SHOWN = 6  # findings in an explanation, and culprits in a line


def explain(verdict: Verdict) -> str:
    """Return the reasons for a verdict: the culprit, its cause, its place, and the tensors that differ, the worst first."""
    lines = [f"{verdict.name}  {verdict.dtype}  {verdict.device}  seed {verdict.seed}  {verdict.status}"]
    alike: dict[tuple[str, ...], list[Culprit]] = {}
    for culprit in verdict.culprits:
        alike.setdefault((culprit.kind, culprit.phase, culprit.cause), []).append(culprit)
    for (_, _, cause), culprits in alike.items():
        only = f"; {verdict.inherited} other modules only inherit it" if verdict.inherited and len(alike) == 1 else ""
        lines.append(f"  culprit   {_where(culprits)}{only}")
        if cause:
            lines.append(f"  cause     {cause}")
        places = dict.fromkeys(place for culprit in culprits for place in culprit.source.split("; "))
        lines.append(f"  look at   {'; '.join(places)}")
    if verdict.inherited and len(alike) != 1:
        lines.append(f"  inherited {verdict.inherited} other modules are right on their own and only inherit the error")
    differs = Status.MISSING if verdict.missing else "differs"
    lines += [f"  {differs if i == 0 else '':9} {finding.message}" for i, finding in enumerate(verdict.findings[:MOST_SHOWN])]
    if len(verdict.findings) > MOST_SHOWN:
        lines.append(f"            ... and {len(verdict.findings) - MOST_SHOWN} more of {verdict.tensors} tensors")
    if verdict.message and not any(verdict.message in culprit.cause for culprit in verdict.culprits):
        label = MARKS[verdict.status].label or verdict.status
        lines.append(f"  {label:9} {verdict.message}")
    if verdict.note:
        lines.append(f"  note      {verdict.note}")
    return "\n".join(lines)


def _where(culprits: Sequence[Culprit]) -> str:
    """Return the places of culprits of one kind, pass and cause, and the largest error of all of them."""
    first, worst = culprits[0], max(culprit.ratio for culprit in culprits)
    paths = ", ".join(culprit.path for culprit in culprits[:MOST_SHOWN]) + (" ..." if len(culprits) > MOST_SHOWN else "")
    where = f"{paths} ({first.kind})" if first.path else first.kind
    error = f"error {worst:.2g} x tolerance" if worst < float("inf") else "not comparable"
    return f"{where}, {first.phase}: {error}"


def worst_of(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the worst of the verdicts on several seeds of one comparison, with the tensors of all."""
    worst = max(verdicts, key=lambda v: (not v.ok, v.worst_ratio))
    worst.tensors = sum(verdict.tensors for verdict in verdicts)
    worst.worst_ratio = max(verdict.worst_ratio for verdict in verdicts)
    worst.note = worst.note or next((f"on seed {v.seed}, {v.note}" for v in verdicts if v.note), "")
    return worst


def print_table(verdicts: Iterable[Verdict], console: Console) -> None:
    """Print a row for each case and a column for each dtype and device; then explain every failure and every note."""
    rows: dict[str, dict[str, Verdict]] = {}
    for verdict in verdicts:
        rows.setdefault(verdict.name, {})[f"{verdict.dtype} {verdict.device}"] = verdict
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    table = Table(box=box.SIMPLE_HEAD, title="largest error / tolerance; up to 1 agrees", title_justify="left")
    table.add_column("case", no_wrap=True)
    table.add_column("tensors", justify="right")
    for column in columns:
        table.add_column(column, justify="right")
    family = ""
    for name, row in rows.items():
        first = next(iter(row.values()))
        if first.family != family:
            family = first.family
            table.add_row(Text(family, style="bold"), *[""] * (1 + len(columns)))
        cells = [_cell(row[column]) if column in row else Text("") for column in columns]
        table.add_row(f"  {name}", str(first.tensors), *cells)
    console.print(table)
    for row in rows.values():
        for verdict in row.values():
            if not verdict.ok or verdict.note:
                color = MARKS[verdict.status].style.split()[-1]
                console.print(explain(verdict), style=color, highlight=False, markup=False, soft_wrap=True)


def _cell(verdict: Verdict) -> Text:
    return Text(f"{verdict.worst_ratio:.4f}" if verdict.ok else verdict.status, style=MARKS[verdict.status].style)


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return the result of all comparisons in one line."""
    failed = [verdict for verdict in verdicts if not verdict.ok]
    tensors = sum(verdict.tensors for verdict in verdicts)
    if failed:
        counts = Counter(verdict.status for verdict in failed)
        listed = ", ".join(f"{counts[status]} {status}" for status in Status if counts[status])
        return f"{len(failed)} of {len(verdicts)} comparisons failed: {listed}"
    worst = max(verdicts, key=lambda verdict: verdict.worst_ratio)
    cases = len({verdict.name for verdict in verdicts})
    noted = sum(bool(verdict.note) for verdict in verdicts)
    return (
        f"{cases} {'case' if cases == 1 else 'cases'} verified in {len(verdicts)} comparisons of {tensors} tensors; "
        f"the largest error is {worst.worst_ratio:.2g} of its tolerance ({worst.name}, {worst.dtype}, {worst.device})"
        + (f"; {noted} with a note" if noted else "")
    )


def as_json(verdicts: Sequence[Verdict], environment: dict[str, Any]) -> str:
    """Return a JSON object with `environment` and `cases`; `cases` has one object for each verdict."""
    return json.dumps({"environment": environment, "cases": [verdict.as_json() for verdict in verdicts]}, indent=2)
