"""Mistakes in gradient clipping; a function takes all gradients as NumPy arrays and returns the clipped ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from parity.mistakes.register import definition, mistake
from scratch.module import Array

wrong_clip_norm = partial(mistake, "clip_grad_norm_")


@mistake("clip_grad_value_", "keeps no upper bound")
def no_upper_bound(gradients: list[Array], clip_value: float) -> list[Array]:
    return [np.maximum(g, -clip_value) for g in gradients]


@mistake("clip_grad_value_", "keeps no lower bound")
def no_lower_bound(gradients: list[Array], clip_value: float) -> list[Array]:
    return [np.minimum(g, clip_value) for g in gradients]


def norm_of_norms(norms: list[float], norm_type: float) -> float:
    """Return the norm of all tensors together."""
    return float(np.linalg.norm(norms, norm_type))


@definition("clip_grad_norm_")
def clip_grad_norm_(
    gradients: list[Array],
    max_norm: float,
    norm_type: float = 2.0,
    *,
    total: Callable[[list[float], float], float] = norm_of_norms,
    eps: float = 1e-6,
    scale: Callable[[float], float] = lambda scale: min(scale, 1.0),
) -> list[Array]:
    """Clip gradients by their norm, in stages."""
    norm = total([float(np.linalg.norm(g.ravel(), norm_type)) for g in gradients], norm_type)
    return [g * scale(max_norm / (norm + eps)) for g in gradients]


@wrong_clip_norm("clips each tensor by its own norm; torch uses the norm of all tensors together")
def each_by_itself(gradients: list[Array], max_norm: float, norm_type: float = 2.0) -> list[Array]:
    return [clipped for g in gradients for clipped in clip_grad_norm_([g], max_norm, norm_type)]


wrong_clip_norm("leaves out the 1e-6 that torch adds to the norm", "eps")(0.0)


@wrong_clip_norm("scales small gradients up as well", "scale")
def scaled_up(scale: float) -> float:
    return scale


@wrong_clip_norm("uses the squared norm", "total")
def squared(norms: list[float], norm_type: float) -> float:
    return norm_of_norms(norms, norm_type) ** 2


@wrong_clip_norm("adds up the norms of the tensors; the norm is that of all numbers together", "total")
def added(norms: list[float], norm_type: float) -> float:
    return sum(norms)


@wrong_clip_norm("uses the largest of the tensors' norms", "total")
def largest(norms: list[float], norm_type: float) -> float:
    return max(norms)


@wrong_clip_norm("ignores norm_type")
def norm_type_ignored(gradients: list[Array], max_norm: float, norm_type: float = 2.0) -> list[Array]:
    return clip_grad_norm_(gradients, max_norm)
