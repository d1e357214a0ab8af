"""The result of a run: figures, and the survivors with their lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from parity_tests.mutation.equivalent import Reasons
from parity_tests.mutation.killers import CRASH, NUMERIC
from parity_tests.mutation.runner import SURVIVED, TIMED_OUT, Result
from parity_tests.mutation.subject import Mutant


@dataclass
class Report:
    """The results of a run, compared with the list of equivalent mutants."""

    reasons: Reasons
    results: list[tuple[Mutant, Result]] = field(default_factory=list)

    def add(self, mutant: Mutant, result: Result) -> None:
        self.results.append((mutant, result))

    @property
    def survivors(self) -> list[Mutant]:
        """Return the undetected mutants that are not listed as equivalent, in the order of the files."""
        found = [mutant for mutant, result in self.results if result.outcome == SURVIVED and not self.reasons.of(mutant.key)]
        return sorted(found, key=lambda mutant: (mutant.subject.file, mutant.lines[0]))

    @property
    def wrongly_listed(self) -> list[Mutant]:
        """Return the mutants that are listed as equivalent but are detected."""
        return [mutant for mutant, result in self.results if result.outcome != SURVIVED and self.reasons.names(mutant.key)]

    @property
    def kill_rate(self) -> float:
        """Return the share of the non-equivalent mutants that was detected; a timeout counts as detected."""
        survived = len(self.survivors)
        noticed = sum(result.outcome != SURVIVED for _, result in self.results)
        return noticed / (noticed + survived) if noticed else 0.0

    def text(self) -> str:
        """Return the survivors, then the figures, as text."""
        count = Counter(result.outcome for _, result in self.results)
        survived = len(self.survivors)
        blocks = []
        for mutant in self.survivors:
            number, before, after = mutant.lines
            blocks.append(f"{mutant.subject.file}:{number} {mutant.subject.name}\n- {before}\n+ {after}\n")
        blocks += [
            f"{mutant.subject.file}:{mutant.lines[0]} is listed as equivalent, but was killed: {mutant.lines[2]}\n"
            for mutant in self.wrongly_listed
        ]
        killed = count[NUMERIC] + count[CRASH]
        blocks.append(
            f"{len(self.results)} mutants: {killed} killed ({count[NUMERIC]} by a wrong result, {count[CRASH]} by an exception), "
            f"{count[TIMED_OUT]} timed out, {survived} survived, {count[SURVIVED] - survived} equivalent\n"
            f"kill rate {self.kill_rate:.2%} of the mutants that are not equivalent"
        )
        return "\n".join(blocks)
