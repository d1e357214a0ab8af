"""The generator behind initial weights and dropout masks."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_default = np.random.default_rng()  # of the whole process
_override: ContextVar[np.random.Generator | None] = ContextVar("override", default=None)


def generator() -> np.random.Generator:
    """Return the generator in force: that of `use_generator`, or else the one that every thread shares."""
    override = _override.get()
    return _default if override is None else override


def manual_seed(seed: int) -> None:
    """Start the generator that every thread shares anew from a seed; inside `use_generator`, its own stays in force."""
    global _default
    _default = np.random.default_rng(seed)


@contextmanager
def use_generator(rng: np.random.Generator) -> Iterator[None]:
    """Draw from `rng` inside the block, in this thread: `with use_generator(rng): model = MLP(...)`."""
    token = _override.set(rng)
    try:
        yield
    finally:
        _override.reset(token)
