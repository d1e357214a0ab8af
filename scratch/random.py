"""The generator behind initial weights and dropout masks."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_generator: ContextVar[np.random.Generator] = ContextVar("generator", default=np.random.default_rng())  # noqa: B039  shared on purpose


def generator() -> np.random.Generator:
    """The generator in force."""
    return _generator.get()


def manual_seed(seed: int) -> None:
    """Start the generator anew from a seed."""
    _generator.set(np.random.default_rng(seed))


@contextmanager
def use_generator(rng: np.random.Generator) -> Iterator[None]:
    """Draw from `rng` inside the block: `with use_generator(rng): model = MLP(...)`."""
    token = _generator.set(rng)
    try:
        yield
    finally:
        _generator.reset(token)
