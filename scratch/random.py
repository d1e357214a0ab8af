"""The random generator that draws initial weights and dropout masks."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_default = np.random.default_rng()  # shared by all threads of the process
_override: ContextVar[np.random.Generator | None] = ContextVar("override", default=None)


def generator() -> np.random.Generator:
    """Return the generator of the surrounding `use_generator`, or else the one that all threads share."""
    override = _override.get()
    return _default if override is None else override


def manual_seed(seed: int) -> None:
    """Seed the generator that all threads share; the generator of a surrounding `use_generator` does not change."""
    global _default
    _default = np.random.default_rng(seed)


@contextmanager
def use_generator(rng: np.random.Generator) -> Iterator[None]:
    """Draw from `rng` inside the block, in this thread only.

    with use_generator(rng):
        model = MLP(...)
    """
    token = _override.set(rng)
    try:
        yield
    finally:
        _override.reset(token)
