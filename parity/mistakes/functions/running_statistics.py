"""Mistakes in the running statistics of batch normalisation."""

from __future__ import annotations

from torch import Tensor

from parity.mistakes.functions.norm import moved, unbiased, wrong_batch_norm


@wrong_batch_norm("running_var holds the biased variance; torch stores the unbiased one, x n / (n - 1)", "stored")
def biased(var: Tensor, n: int, eps: float) -> Tensor:
    return var


@wrong_batch_norm("running_var has the factor n / (n - 1) twice", "stored")
def corrected_twice(var: Tensor, n: int, eps: float) -> Tensor:
    return var * (n / (n - 1)) ** 2


@wrong_batch_norm("running_var has the factor (n - 1) / n; it is n / (n - 1)", "stored")
def corrected_upside_down(var: Tensor, n: int, eps: float) -> Tensor:
    return var * ((n - 1) / n)


@wrong_batch_norm("running_var holds the standard deviation", "stored")
def deviation(var: Tensor, n: int, eps: float) -> Tensor:
    return unbiased(var, n, eps).sqrt()


@wrong_batch_norm("running_var holds the variance plus eps", "stored")
def with_eps(var: Tensor, n: int, eps: float) -> Tensor:
    return unbiased(var, n, eps) + eps


@wrong_batch_norm("multiplies the old statistics by momentum; torch's momentum is the weight of the new ones", "moved")
def momentum_of_old(running: Tensor, new: Tensor, momentum: float) -> None:
    moved(running, new, 1 - momentum)


@wrong_batch_norm("adds to the running statistics without multiplying the old ones by 1 - momentum", "moved")
def not_decayed(running: Tensor, new: Tensor, momentum: float) -> None:
    running.add_(new * momentum)


@wrong_batch_norm("does not update the running statistics", "updating")
def not_updated(training: bool) -> bool:
    return False


@wrong_batch_norm("updates the running statistics in eval mode too", "updating")
def always_updated(training: bool) -> bool:
    return True


@wrong_batch_norm("normalises with the running statistics in training, or with the batch's statistics in eval mode", "by_batch")
def other_statistics(training: bool) -> bool:
    return not training
