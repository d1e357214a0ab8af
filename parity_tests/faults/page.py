"""The page docs/fault-catalogue.md, which is written from the catalogue."""

from collections.abc import Sequence
from pathlib import Path

from parity_tests.faults import FAMILIES, FAULTS, Fault, Judgement

PAGE = Path(__file__).parents[2] / "docs" / "fault-catalogue.md"
INTRODUCTION = """# The catalogue of faults

Every row is a mistake that people make, planted in the source of one function of `scratch` while the harness looks at
the cases named. It has to say on every seed that something is wrong, which op, layer or optimiser is the culprit and
in which pass, and where a cause is given below, that cause. No other cause may be given: a hint is printed only where
the repair that it names makes the tensors match.

`make faults` plants them all, in every case on eight seeds; `pytest parity_tests/test_faults.py` plants each in its
first case. `python -m parity_tests.faults --page` writes this page. A cause is a regular expression for a part of the
message."""


def page(summary: str) -> str:
    """Return the text of the page with the given figures."""
    return "\n\n".join([INTRODUCTION, summary, *(_section(family, faults) for family, faults in FAMILIES.items())]) + "\n"


def measured() -> str:
    """Return the figures that the page has now."""
    return "\n".join(line for line in PAGE.read_text().splitlines() if line.startswith("- "))


def figures(judgements: Sequence[Judgement], seeds: int) -> str:
    """Summarise the judgements in a line for each figure."""
    caught, exact = (sum(getattr(j, figure) for j in judgements) for figure in ("caught", "exact"))
    named, strange = sum(j.named for j in judgements), sum(bool(j.strange) for j in judgements)
    n = len(judgements)
    return "\n".join(
        [
            f"- {len(FAULTS)} faults, {n} plantings: every fault in {seeds} seeds of each of its cases",
            f"- caught: {caught} ({caught / n:.1%})",
            f"- culprit exact: {exact} ({exact / n:.1%})",
            f"- cause named: {named} ({named / n:.1%})",
            f"- another cause given: {strange}",
        ]
    )


def _section(family: str, faults: Sequence[Fault]) -> str:
    rows = [f"## {family.capitalize()}", "", "| fault | planted in | as | seen in | culprit | pass | cause |", "|" + "---|" * 7]
    for fault in faults:
        cells = (
            fault.name,
            f"`{fault.function}`",
            f"{_code(fault.old)} → {_code(fault.new)}",
            ", ".join(fault.cases) + (f" ({fault.dtype})" if fault.dtype != "float64" else ""),
            fault.culprit.replace("|", ", "),
            fault.phase,
            _code(fault.cause) if fault.cause else "",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _code(text: str) -> str:
    """Return source code as one line of a table; ∅ stands for an empty text."""
    return "`" + " ".join(text.split()).replace("|", "\\|") + "`" if text.strip() else "∅"
