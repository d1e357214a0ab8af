"""Text that the package under test wrote, made safe to print: names, messages of exceptions, what it prints."""

from __future__ import annotations

LONGEST = 2_000  # characters of a message; the longest of the harness's own names a model's parameters


def printable(text: str, longest: int = LONGEST, keep: str = "") -> str:
    r"""Return a text that is safe to print and to put in JSON: its length is bounded, and what has no glyph is escaped.

    Control characters, escape sequences, lone surrogates and marks that reverse the direction become \x1b, \ud800, \u202e.
    """
    text = str.__str__(text)  # of a subclass, the characters themselves
    if len(text) > longest:
        text = f"{text[:longest]} ... ({len(text):,} characters)"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def in_one_line(text: str) -> str:
    """Return a text as one printable line."""
    text = str.__str__(text)
    shown = " ".join(text[:LONGEST].split())
    return printable(shown if len(text) <= LONGEST else f"{shown} ... ({len(text):,} characters)", 2 * LONGEST)


def message_of(error: BaseException) -> str:
    """Return the message of an exception in one line, even where its __str__ raises."""
    try:
        return in_one_line(str(error))
    except Exception as another:
        return f"(its message cannot be read: __str__ raises {type(another).__name__})"
