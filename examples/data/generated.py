"""Generated data: verdicts on films, numbers in English words, and rows of digits to sort."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scratch.module import Array


class Pair(NamedTuple):
    """The symbols of a source sequence, and those of the target sequence to write."""

    source: list[str]
    target: list[str]


def verdicts(count: int = 4000, seed: int = 0) -> tuple[list[str], Array]:
    """Return sentences about films with labels, 1 for praise: "not" reverses a verdict, and after "but" only the last counts."""
    rng = np.random.default_rng(seed)
    things = "film plot cast score script ending scenery dialogue".split()
    words = ("dull weak silly tired clumsy hollow".split(), "bright warm clever moving sharp funny".split())

    def clause(praise: int) -> str:
        negated = rng.random() < 0.4
        word = rng.choice(words[praise ^ negated])
        filler = rng.choice(["", "really ", "quite ", "at times "])
        return f"the {rng.choice(things)} is {'not ' if negated else ''}{filler}{word}"

    labels = rng.integers(0, 2, count)
    texts = [clause(1 - praise) + " but " + clause(praise) if rng.random() < 0.4 else clause(praise) for praise in labels]
    return texts, labels


_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def number_words(number: int) -> str:
    """Return a whole number below a million in English words: 4027 is "four thousand twenty seven"."""
    if not 0 <= number < 1_000_000:
        raise ValueError(f"number is {number}, expected 0 to 999,999")
    if number < 20:
        return _UNITS[number]
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            head, rest = divmod(number, size)
            return f"{number_words(head)} {name}" + (f" {number_words(rest)}" if rest else "")
    tens, unit = divmod(number, 10)
    return _TENS[tens - 2] + (f" {_UNITS[unit]}" if unit else "")


def number_pairs() -> tuple[list[Pair], list[Pair]]:
    """Return the digits of 20,100 numbers below a million with their English words, and those of 1,000 held-out numbers."""
    chosen = np.random.default_rng(0).choice(np.arange(100, 1_000_000), 21_000, replace=False)
    found = [Pair(list(str(n)), number_words(int(n)).split()) for n in (*chosen, *range(100))]  # training has all below 100
    return found[1000:], found[:1000]


def sorting_pairs() -> tuple[list[Pair], list[Pair]]:
    """Return 20,000 rows of 4 to 12 digits with the same digits in order, and 1,000 held-out rows."""
    rng = np.random.default_rng(0)
    rows = dict.fromkeys(tuple(rng.integers(0, 10, rng.integers(4, 13)).tolist()) for _ in range(22_000))
    found = [Pair([str(n) for n in row], [str(n) for n in sorted(row)]) for row in rows]
    return found[1000:21_000], found[:1000]
