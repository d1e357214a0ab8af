"""Texts: Python's own manual, public files, and text files of the user."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from examples.data.generated import Pair
from examples.data.public_file import PublicFile
from scratch.module import Array

_MIRROR = "https://raw.githubusercontent.com/karpathy"
SHAKESPEARE = PublicFile(
    "text",
    "tinyshakespeare.txt",
    "6fb458f1232090904fb40fe944165e91",
    (f"{_MIRROR}/char-rnn/master/data/tinyshakespeare/input.txt",),
)
NAMES = PublicFile("text", "names.txt", "401b3c4cac9e28a586ed15e81256680d", (f"{_MIRROR}/makemore/master/names.txt",))
REVIEWS = (
    PublicFile("rt-polarity", "rt-polarity.neg", "efd38e162b1a4ede8fbf024de182eb4a"),
    PublicFile("rt-polarity", "rt-polarity.pos", "819e2ab972d5f1314804c62921cf21a8"),
)
MULTI30K = {
    name: PublicFile("multi30k", f"{name}.gz", md5)
    for name, md5 in (
        ("train.de", "d3b4bc1671cfb805267f97f16884beba"),
        ("train.en", "053a34ece7c904dbc8c7361799afbe4c"),
        ("test_2016_flickr.de", "cde61d7401b116652ee84099c7858ca3"),
        ("test_2016_flickr.en", "2022a6c31e2418047a0511333d55ed42"),
    )
}
TEXTS = ("python", "shakespeare")  # names that `text` knows
LISTS = ("python", "names")  # names that `lines` knows


def python_manual() -> str:
    """Return the language reference that comes with every Python, topic by topic."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def text(name: str) -> str:
    """Return the text called "python" or "shakespeare", else the content of the file of this name."""
    if name == "python":
        return python_manual()
    if name == "shakespeare":
        return SHAKESPEARE.read().decode()
    return _read_own_file(name)


def lines(name: str) -> list[str]:
    """Return the distinct words of the manual for "python", first names for "names", else the lines of the file of this name."""
    if name == "python":
        return sorted(set(re.findall(r"\b[a-z]{3,15}\b", python_manual())))
    found = NAMES.read().decode() if name == "names" else _read_own_file(name)
    return list(dict.fromkeys(line.strip() for line in found.splitlines() if line.strip()))


def reviews() -> tuple[list[str], Array]:
    """Return 10,662 sentences of film reviews with labels, 1 for praise (Pang & Lee 2005)."""
    negative, positive = (file.read().decode().splitlines() for file in REVIEWS)
    return negative + positive, np.repeat([0, 1], [len(negative), len(positive)])


def multi30k_pairs() -> tuple[list[Pair], list[Pair]]:
    """Return 29,000 captions in German and English, lower case, and the 1,000 of test_2016_flickr (Elliott et al. 2016)."""
    found = []
    for part in ("train", "test_2016_flickr"):
        german, english = (MULTI30K[f"{part}.{language}"].read().decode().splitlines() for language in ("de", "en"))
        found.append([Pair(words(a), words(b)) for a, b in zip(german, english, strict=True)])
    return found[0], found[1]


def words(sentence: str) -> list[str]:
    """Split a sentence into its words and punctuation marks, in lower case."""
    return re.findall(r"\w+(?:['’-]\w+)*|[^\w\s]", sentence.lower())


def _read_own_file(name: str) -> str:
    try:
        found = Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"--data {name}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--data {name}: expected a text file in UTF-8 ({error})") from error
    if not found.strip():
        raise ValueError(f"--data {name}: the file is empty; expected a text to learn")
    return found
