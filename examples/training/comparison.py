"""Both backends side by side: how far their losses differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from examples.training.progress import sparkline
from scratch.module import Array

HEADING = "step      numpy loss      torch loss  relative difference"


def relative_difference(losses: Array) -> Array:
    """Return the difference of two columns of losses, relative to the larger one."""
    return np.abs(losses[:, 0] - losses[:, 1]) / np.maximum(losses.max(axis=1), np.finfo(float).tiny)


def compared_step(step: int, losses: Sequence[float]) -> str:
    """Return one row of the table below the heading."""
    return f"{step:4} {losses[0]:15.12f} {losses[1]:15.12f}  {relative_difference(np.array([losses]))[0]:.1e}"


def compared(losses: Array) -> dict[str, Any]:
    """Print both loss curves and their difference on a logarithmic scale, and return the largest differences."""
    difference = relative_difference(losses)
    for name, curve in zip(("numpy", "torch"), losses.T, strict=True):
        print(f"{name} loss  {sparkline(curve)}  {curve[0]:.4f} to {curve[-1]:.4f}")
    print(f"difference  {sparkline(difference)}  {difference.min():.1e} to {difference.max():.1e}")
    return dict(largest_relative_difference=difference.max(), in_first_100_steps=difference[:100].max(), steps=len(losses))
