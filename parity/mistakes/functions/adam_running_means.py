"""Mistakes in the running means of Adam and AdamW, and in the correction of their bias."""

from __future__ import annotations

from typing import Any

import numpy as np

from parity.mistakes.functions.adam import Betas, corrections, in_both
from scratch.module import Array


@in_both("does not correct the bias of the running means", "corrections")
def uncorrected(beta1: float, beta2: float, t: int) -> Betas:
    return 1.0, 1.0


@in_both("corrects the bias of the first mean only", "corrections")
def only_first_corrected(beta1: float, beta2: float, t: int) -> Betas:
    return 1 - beta1**t, 1.0


@in_both("corrects the bias of the second mean only", "corrections")
def only_second_corrected(beta1: float, beta2: float, t: int) -> Betas:
    return 1.0, 1 - beta2**t


@in_both("corrects the bias with the number of the step before: t starts at 1", "corrections")
def corrected_a_step_late(beta1: float, beta2: float, t: int) -> Betas:
    return corrections(beta1, beta2, max(t - 1, 1))


@in_both("uses the second of betas for the first mean and the first for the second mean", "ordered")
def betas_swapped(betas: Betas) -> Betas:
    return betas[1], betas[0]


in_both("averages |g|; the second mean averages g²", "squared")(np.abs)


@in_both("adds the whole gradient to the first mean; its share is 1 - beta1", "first_mean")
def whole_gradient(m: Any, g: Array, beta1: float) -> Array:
    return beta1 * m + g


@in_both("ignores amsgrad", "highest")
def amsgrad_ignored(highest: Any, v: Array) -> Array:
    return v


@in_both("keeps the lowest second mean; amsgrad keeps the highest", "highest")
def lowest(highest: Any, v: Array) -> Array:
    return np.minimum(highest, v)


@in_both("continues from the highest second mean; with amsgrad the running mean continues from its own value", "kept")
def highest_kept(v: Array, highest: Array) -> Array:
    return highest
