"""Mutants that compute the same as the original, reviewed one by one, each with the reason why nothing can tell them apart.

By file and function: the line as it stands, the line with the fault, the reason. Lines are given with their white space
collapsed, so that an entry holds however far the function moves. ANY stands for every fault of a line that survives, where
no value depends on what the line decides. An entry whose mutant no longer exists, or is noticed after all, is reported.
"""

ANY = "any fault"
EQUIVALENT: dict[tuple[str, str], list[tuple[str, str, str]]] = {}


class Reasons:
    """The reviewed list, by file, function, line and line with the fault."""

    def __init__(self, listed: dict[tuple[str, str], list[tuple[str, str, str]]]):
        self.by_key = {(*place, before, after): reason for place, rows in listed.items() for before, after, reason in rows}

    def of(self, key: tuple[str, ...]) -> str:
        """Why a mutant is equivalent; "" where it is not listed."""
        file, function, before, after, *_ = key
        return self.by_key.get((file, function, before, after)) or self.by_key.get((file, function, before, ANY), "")

    def names(self, key: tuple[str, ...]) -> bool:
        """Whether the list names this very fault, not just its line."""
        return key[:4] in self.by_key

    def stale(self, keys: list[tuple[str, ...]]) -> list[tuple[str, str, str, str]]:
        """The entries that none of these mutants bears out."""
        faults = {key[:4] for key in keys}
        lines = {(*key[:3], ANY) for key in keys}
        return [key for key in self.by_key if key not in faults | lines]
