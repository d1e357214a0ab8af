"""Numbers for symbols, and symbols for numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scratch.module import Array


@dataclass(frozen=True)
class Vocabulary:
    """The symbols that a model knows, by number: the characters of a string, or words in a tuple.

    `unknown` is the symbol that stands for all words that are not in the vocabulary, if there is one.
    """

    symbols: str | tuple[str, ...]
    unknown: str | None = None

    @classmethod
    def from_words(cls, sequences: Iterable[Sequence[str]], special: tuple[str, ...], unknown: str, least: int = 1) -> Vocabulary:
        """Collect the words that occur at least `least` times in some sequences; the special symbols come first."""
        counts = Counter(word for words in sequences for word in words)
        return cls((*special, *sorted(word for word, count in counts.items() if count >= least)), unknown)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._numbers

    def number(self, symbol: str) -> int:
        """Return the number of one symbol of the vocabulary."""
        return self._numbers[symbol]

    def encode(self, text: Sequence[str]) -> Array:
        """Return the number of each symbol; ValueError names the unknown ones, unless a symbol stands for them."""
        if self.unknown is not None:
            return np.array([self._numbers.get(symbol, self._numbers[self.unknown]) for symbol in text], np.int64)
        missing = sorted(set(text) - self._numbers.keys())
        if missing:
            kind = "characters" if isinstance(self.symbols, str) else "words"
            shown = ", ".join(repr(symbol) for symbol in missing[:5]) + (", ..." if len(missing) > 5 else "")
            raise ValueError(f"the vocabulary of {len(self)} {kind} lacks {shown}; leave them out or train on them")
        return np.array([self._numbers[symbol] for symbol in text], np.int64)

    def decode(self, numbers: Array) -> str:
        """Return the symbols of the numbers as text, words with a space between them."""
        return ("" if isinstance(self.symbols, str) else " ").join(self.symbols[number] for number in numbers)
