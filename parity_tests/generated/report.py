"""The figures of a run of generated faults, and the faults that went unseen or got another culprit."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from parity_tests.generated.draw import GeneratedFault
from parity_tests.generated.judged import Answer
from parity_tests.generated.reviewed import REVIEWED

CAUGHT, UNSEEN, NO_EFFECT = "caught", "unseen", "no effect"


@dataclass(frozen=True)
class Result:
    """The outcome of one fault: CAUGHT, UNSEEN, or NO_EFFECT where no case notices even a gross error at its place.

    A fault is caught without an answer where the process that runs it ends or takes too long. `culprits` are the names that
    may be called the culprit.
    """

    fault: GeneratedFault
    outcome: str
    answer: Answer | None
    culprits: frozenset[str]

    @property
    def names_culprit(self) -> bool:
        """Return whether every culprit is one, or the place to look at is that of the fault."""
        if self.answer is None or not self.answer.kinds:
            return False
        subject = self.fault.mutant.subject
        of_constructor = subject.name.endswith("__init__")
        line = self.fault.mutant.lines[0]
        pieces = [piece for place in self.answer.places for piece in place.split("; ") if subject.file in piece]
        named = any(of_constructor or subject.name in piece or str(line) in re.findall(r"\d+", piece) for piece in pieces)
        return named or self.culprits.issuperset(self.answer.kinds)

    @property
    def names_cause(self) -> bool:
        """Return whether some culprit has a cause."""
        return self.answer is not None and any(self.answer.causes)

    @property
    def review(self) -> str:
        """Return the reason why a fault changes nothing, or nothing that a case may see; "" where there is none."""
        subject, (_, _, after) = self.fault.mutant.subject, self.fault.mutant.lines
        return REVIEWED.get((subject.file, subject.name, after), "")

    @property
    def is_missed(self) -> bool:
        """Return whether a fault with an effect went unseen."""
        return self.outcome == UNSEEN and not self.review


def figures(results: Sequence[Result], seed: int) -> str:
    """Return a table of the kinds, and one line on all."""
    lines = ["| kind | drawn | no effect | unseen | caught | right culprit | cause |", "|---|---|---|---|---|---|---|"]
    kinds = dict.fromkeys(result.fault.kind for result in results)
    lines += [_row(kind, [result for result in results if result.fault.kind == kind]) for kind in kinds]
    lines.append(_row("all", results))
    caught, missed = _count(results, _is_caught), _count(results, lambda r: r.is_missed)
    rate = caught / (caught + missed) if caught + missed else 1.0
    lines += ["", f"Seed {seed}: {len(results)} faults, {rate:.1%} of those with an effect are caught."]
    return "\n".join(lines)


def _row(name: str, results: Sequence[Result]) -> str:
    checks: list[Callable[[Result], bool]] = [
        lambda r: r.outcome == NO_EFFECT or bool(r.outcome == UNSEEN and r.review),
        lambda r: r.is_missed,
        _is_caught,
        lambda r: r.names_culprit,
        lambda r: r.names_cause,
    ]
    return f"| {name} | {len(results)} | " + " | ".join(str(_count(results, check)) for check in checks) + " |"


def _is_caught(result: Result) -> bool:
    return result.outcome == CAUGHT


def _count(results: Sequence[Result], check: Callable[[Result], bool]) -> int:
    return sum(map(check, results))


def details(results: Sequence[Result]) -> str:
    """Return the faults that went unseen, and those whose culprit is another, with their lines."""
    blocks = [f"unseen: {_lines(result)}" for result in results if result.is_missed]
    blocks += [
        f"another culprit: {_lines(result)}\n{result.answer.text if result.answer else 'the process ended'}"
        for result in results
        if _is_caught(result) and not result.names_culprit
    ]
    return "\n\n".join(blocks)


def _lines(result: Result) -> str:
    mutant = result.fault.mutant
    number, before, after = mutant.lines
    return f"{result.fault.kind}, {mutant.subject.file}:{number}, {mutant.subject.name}\n- {before}\n+ {after}"
