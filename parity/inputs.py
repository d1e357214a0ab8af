"""Draw inputs and weights that hide no bug, and the probes that show the effect of a rounding of them.

Default-like numbers hide bugs: a bias of zero, a scale of one, square images, an upstream gradient of ones. Everything drawn here
is a float64 array of float32-representable values, so that a float32 run starts from exactly the same numbers.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

import parity.siblings  # noqa: F401  first
from scratch.module import Array

EPS32 = float(np.finfo(np.float32).eps)


def float32_representable(array: Any) -> Array:
    """Return the array rounded to float32, as float64."""
    return np.asarray(np.asarray(array, dtype=np.float32).astype(np.float64))


class Draw:
    """A source of the arrays of one case, from one seed."""

    def __init__(self, *seed: int):
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape: int, scale: float = 1.0, offset: float = 0.0) -> Array:
        """Draw normal numbers."""
        return float32_representable(self.rng.normal(offset, scale, shape))

    def positive(self, *shape: int) -> Array:
        """Draw numbers between 0.5 and 2: variances and class weights."""
        return float32_representable(self.rng.uniform(0.5, 2, shape))

    def probabilities(self, *shape: int) -> Array:
        """Draw rows that sum to one along the second axis."""
        weights = self.rng.exponential(size=shape)
        return float32_representable(weights / weights.sum(axis=1, keepdims=True))

    def fractions(self, *shape: int) -> Array:
        """Draw numbers from 0 to 1, some of them exactly 0 or 1: targets of a binary cross-entropy."""
        return float32_representable(np.clip(self.rng.uniform(-0.3, 1.3, shape), 0, 1))

    def grid(self, *shape: int) -> Array:
        """Draw small whole numbers, many of them equal: ties for a maximum, exact zeros for a kink."""
        return self.rng.integers(-3, 4, shape).astype(np.float64)

    def integers(self, low: int, high: int, *shape: int) -> Array:
        """Draw whole numbers from low to high - 1."""
        return self.rng.integers(low, high, shape)

    def booleans(self, *shape: int, p: float = 0.7) -> Array:
        """Draw booleans that are True with probability p."""
        return self.rng.random(shape) < p

    def logits(self, rows: int, classes: int) -> Array:
        """Draw rows of logits; the first lies at +200, the second at -300, the third spreads over more than 100."""
        x = self.rng.normal(0, 2, (rows, classes))
        x[0] += 200
        x[1] -= 300
        x[2] = np.linspace(-60, 60, classes)[self.rng.permutation(classes)]
        return float32_representable(x)

    def features(self, *shape: int) -> Array:
        """Draw a batch (N, C, ...); one channel has the deviation 3e-3, near eps, and one has a mean of 1e4 deviations."""
        x = self.rng.normal(0.5, 1.5, shape)
        x[:, 0] = self.rng.normal(0, 3e-3, x[:, 0].shape)
        x[:, 1] = self.rng.normal(1e4, 1, x[:, 1].shape)
        return float32_representable(x)

    def rows(self, *shape: int, axes: int = 1) -> Array:
        """Draw rows of the last axes; the first has the deviation 3e-3, near the root of eps, the second the mean 1e4."""
        x = self.rng.normal(0.5, 1.5, shape)
        rows = x.reshape(-1, int(np.prod(shape[-axes:])))
        rows[0] = self.rng.normal(0, 3e-3, rows[0].shape)
        rows[1] = self.rng.normal(1e4, 1, rows[1].shape)
        return float32_representable(x)

    def state(self, shapes: Mapping[str, tuple[int, ...]], buffers: Mapping[str, Array]) -> dict[str, Array]:
        """Draw weights and buffers by name: no bias is zero, no scale is one, no running statistic has its initial value."""
        return {
            name: self._buffer(name, buffers[name]) if name in buffers else self._weight(name, shape)
            for name, shape in shapes.items()
        }

    def _weight(self, name: str, shape: tuple[int, ...]) -> Array:
        if len(shape) > 1:  # as large as keeps the scale of activations from layer to layer
            return self.normal(*shape, scale=float(np.prod(shape[1:])) ** -0.5)
        return self.normal(*shape, scale=0.5, offset=1.0 if name.split(".")[-1] == "weight" else 0.0)

    def _buffer(self, name: str, array: Array) -> Array:
        if np.issubdtype(array.dtype, np.floating):
            return self.normal(*array.shape, scale=0.5) if name.endswith("mean") else self.positive(*array.shape)
        return self.integers(3, 9, *array.shape).astype(array.dtype)


def jittered(array: Any, probe: int) -> Any:
    """Return each number x of a float array as x (1 + eps32 h), where h in [-1, 1] is a hash of x and of the probe's number.

    Equal numbers stay equal (ties), zeros stay zero (kinks); other arrays and options come back as they are.
    """
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.floating):
        return array
    bits = np.ascontiguousarray(array, dtype=np.float64).view(np.uint64).reshape(array.shape)
    with np.errstate(over="ignore"):  # splitmix64 (Steele, Lea & Flood 2014), whose arithmetic wraps around
        z = bits + np.uint64(probe) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    h = z.astype(np.float64) / 2.0**63 - 1
    return np.asarray(array * (1 + EPS32 * h))


def with_all_digits(array: Any) -> Any:
    """Return numbers next to those of a float array that need all digits of float64; whole numbers stay, as labels may be.

    A cast to float32 is seen only on such numbers: all that a case draws are float32 numbers.
    """
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.floating):
        return array
    return np.asarray(np.where(array == np.rint(array), array, jittered(array, 0)))
