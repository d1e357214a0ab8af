"""Two backends side by side: how far their losses are apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from console import sparkline

from scratch.module import Array

HEADING = "step      numpy loss      torch loss  relative difference"


def relative_difference(losses: Array) -> Array:
    """How far two columns of losses are apart, in units of the larger."""
    return np.abs(losses[:, 0] - losses[:, 1]) / np.maximum(losses.max(axis=1), np.finfo(float).tiny)


def compared_step(step: int, losses: tuple[float, ...]) -> str:
    """One row below the heading."""
    return f"{step:4} {losses[0]:15.12f} {losses[1]:15.12f}  {relative_difference(np.array([losses]))[0]:.1e}"


def compared(losses: Array) -> dict[str, Any]:
    """Print both curves and their difference on a logarithmic scale; its greatest values."""
    difference = relative_difference(losses)
    for name, curve in zip(("numpy", "torch"), losses.T, strict=True):
        print(f"{name} loss  {sparkline(curve)}  {curve[0]:.4f} to {curve[-1]:.4f}")
    print(f"difference  {sparkline(difference)}  {difference.min():.1e} to {difference.max():.1e}")
    return dict(largest_relative_difference=difference.max(), in_first_100_steps=difference[:100].max(), steps=len(losses))
