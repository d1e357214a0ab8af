"""Mutants that compute the same as the original, reviewed one by one, each with the reason why nothing can tell them apart.

By file and function: the line as it stands, the line with the fault, the reason. Lines are given with their white space
collapsed, so that an entry holds however far the function moves; an entry whose mutant no longer exists, or is killed
after all, is reported as wrong.
"""

EQUIVALENT: dict[tuple[str, str], list[tuple[str, str, str]]] = {}


def reasons() -> dict[tuple[str, str, str, str], str]:
    """The reason for each equivalent mutant, by file, function, line and line with the fault."""
    return {
        (file, function, before, after): reason
        for (file, function), entries in EQUIVALENT.items()
        for before, after, reason in entries
    }
