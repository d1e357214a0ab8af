"""The texts that the examples learn: what comes with Python, public files, and a file of one's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from files import PublicFile

from scratch.module import Array

_TEXTS = "https://raw.githubusercontent.com/karpathy"
SHAKESPEARE = PublicFile(
    "text", "tinyshakespeare.txt", "6fb458f1232090904fb40fe944165e91", (f"{_TEXTS}/char-rnn/master/data/tinyshakespeare/input.txt",)
)
NAMES = PublicFile("text", "names.txt", "401b3c4cac9e28a586ed15e81256680d", (f"{_TEXTS}/makemore/master/names.txt",))
REVIEWS = (
    PublicFile("rt-polarity", "rt-polarity.neg", "efd38e162b1a4ede8fbf024de182eb4a"),
    PublicFile("rt-polarity", "rt-polarity.pos", "819e2ab972d5f1314804c62921cf21a8"),
)
TEXTS = ("python", "shakespeare")  # that have names of their own
LISTS = ("python", "names")

MULTI30K = {
    name: PublicFile("multi30k", f"{name}.gz", md5)
    for name, md5 in (
        ("train.de", "d3b4bc1671cfb805267f97f16884beba"),
        ("train.en", "053a34ece7c904dbc8c7361799afbe4c"),
        ("test_2016_flickr.de", "cde61d7401b116652ee84099c7858ca3"),
        ("test_2016_flickr.en", "2022a6c31e2418047a0511333d55ed42"),
    )
}


class Pair(NamedTuple):
    """Symbols that are read and those that are to be written."""

    source: list[str]
    target: list[str]


@dataclass(frozen=True)
class Vocabulary:
    """Numbers for symbols: characters of a string, or words in a tuple."""

    symbols: str | tuple[str, ...]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._numbers

    def encode(self, text: str | list[str]) -> Array:
        """The number of each symbol; ValueError names those that are lacking."""
        lacking = sorted(set(text) - self._numbers.keys())
        if lacking:
            kind = "characters" if isinstance(self.symbols, str) else "words"
            shown = ", ".join(repr(symbol) for symbol in lacking[:5]) + (", ..." if len(lacking) > 5 else "")
            raise ValueError(f"the vocabulary of {len(self)} {kind} lacks {shown}; leave them out or train on them")
        return np.array([self._numbers[symbol] for symbol in text], np.int64)

    def decode(self, numbers: Array) -> str:
        """The symbols of the numbers, words with a space between them."""
        return ("" if isinstance(self.symbols, str) else " ").join(self.symbols[number] for number in numbers)


def python_manual() -> str:
    """The language reference that comes with every Python, topic by topic."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def text(name: str) -> str:
    """The text called "python" or "shakespeare", or else of the file of this name; ValueError where it cannot be read."""
    if name == "python":
        return python_manual()
    if name == "shakespeare":
        return SHAKESPEARE.read().decode()
    return _own_file(name)


def lines(name: str) -> list[str]:
    """The distinct names called "names", the words of the manual, "python", or the lines of the file of this name."""
    if name == "python":
        return sorted(set(re.findall(r"\b[a-z]{3,15}\b", python_manual())))
    found = NAMES.read().decode() if name == "names" else _own_file(name)
    return list(dict.fromkeys(line.strip() for line in found.splitlines() if line.strip()))


def reviews() -> tuple[list[str], Array]:
    """10,662 sentences of film reviews and whether each praises: 0 or 1 (Pang & Lee 2005)."""
    negative, positive = (file.read().decode().splitlines() for file in REVIEWS)
    return negative + positive, np.repeat([0, 1], [len(negative), len(positive)])


def verdicts(count: int = 4000, seed: int = 0) -> tuple[list[str], Array]:
    """Made-up verdicts with whether each praises: "not" turns one round, and of two joined by "but" the last decides."""
    rng = np.random.default_rng(seed)
    things = "film plot cast score script ending scenery dialogue".split()
    words = ("dull weak silly tired clumsy hollow".split(), "bright warm clever moving sharp funny".split())

    def clause(praise: int) -> str:
        turned = rng.random() < 0.4
        word = rng.choice(words[praise ^ turned])
        filler = rng.choice(["", "really ", "quite ", "at times "])
        return f"the {rng.choice(things)} is {'not ' if turned else ''}{filler}{word}"

    labels = rng.integers(0, 2, count)
    texts = [clause(1 - praise) + " but " + clause(praise) if rng.random() < 0.4 else clause(praise) for praise in labels]
    return texts, labels


_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def number_words(number: int) -> str:
    """A whole number below a million in English: 4027 is "four thousand twenty seven"."""
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
    """The digits of 20,100 numbers below a million with their English words, and of a thousand others."""
    chosen = np.random.default_rng(0).choice(np.arange(100, 1_000_000), 21_000, replace=False)
    found = [Pair(list(str(n)), number_words(int(n)).split()) for n in (*chosen, *range(100))]  # all below a hundred are read
    return found[1000:], found[:1000]


def sorting_pairs() -> tuple[list[Pair], list[Pair]]:
    """20,000 rows of 4 to 12 digits with the same digits in order, and 1,000 others."""
    rng = np.random.default_rng(0)
    rows = dict.fromkeys(tuple(rng.integers(0, 10, rng.integers(4, 13)).tolist()) for _ in range(22_000))
    found = [Pair([str(n) for n in row], [str(n) for n in sorted(row)]) for row in rows]
    return found[1000:21_000], found[:1000]


def multi30k_pairs() -> tuple[list[Pair], list[Pair]]:
    """29,000 captions of pictures in German and in English, lower case, and the 1,000 of test_2016_flickr (Elliott et al. 2016)."""
    found = []
    for part in ("train", "test_2016_flickr"):
        german, english = (MULTI30K[f"{part}.{language}"].read().decode().splitlines() for language in ("de", "en"))
        found.append([Pair(words(a), words(b)) for a, b in zip(german, english, strict=True)])
    return found[0], found[1]


def words(sentence: str) -> list[str]:
    """The words and marks of a sentence, in lower case."""
    return re.findall(r"\w+(?:['’-]\w+)*|[^\w\s]", sentence.lower())


def _own_file(name: str) -> str:
    try:
        found = Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"--data {name}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--data {name}: expected a text file in UTF-8 ({error})") from error
    if not found.strip():
        raise ValueError(f"--data {name}: the file is empty; expected a text to learn")
    return found
