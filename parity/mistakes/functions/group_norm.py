"""Mistakes in group normalisation: other groups, or a mistake of layer normalisation within each group."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from parity.mistakes.functions import layer_norm as rows
from parity.mistakes.functions.layer_norm import layer_norm
from parity.mistakes.functions.norm import root_of_unbiased
from parity.mistakes.register import definition, mistake

wrong_group_norm = partial(mistake, "group_norm")


def neighbours(x: Tensor, G: int) -> Tensor:
    """Split the channels into G groups of neighbours: (N, G, C / G, pixels)."""
    return x.reshape(*x.shape[:1], G, x.shape[1] // G, -1)


def each_group(x: Tensor, eps: float, **stages: Any) -> Tensor:
    """Normalise each group of each sample; x is (N, G, C / G, pixels)."""
    return layer_norm(x, tuple(x.shape[2:]), eps=eps, **stages)


@definition("group_norm")
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *,
    count: Callable[[int, int], int] = lambda G, C: G,
    grouped: Callable[[Tensor, int], Tensor] = neighbours,
    joined: Callable[[Tensor], Tensor] = lambda y: y,
    normalised: Callable[[Tensor, float], Tensor] = each_group,
    scaled: Callable[[Tensor, Tensor], Tensor] = rows.scale,
) -> Tensor:
    """Compute group normalisation in stages."""
    y = joined(normalised(grouped(input, count(num_groups, input.shape[1])), eps)).reshape(input.shape)
    along = (1, -1, *(1,) * (input.dim() - 2))
    y = y if weight is None else scaled(y, weight.view(along))
    return y if bias is None else y + bias.view(along)


def _every_nth(x: Tensor, G: int) -> Tensor:
    return neighbours(x, x.shape[1] // G).transpose(1, 2)


wrong_group_norm("puts every n-th channel into one group; a group consists of neighbouring channels")(
    partial(group_norm, grouped=_every_nth, joined=lambda y: y.transpose(1, 2))
)


@wrong_group_norm("normalises all channels together, as one group", "count")
def one_group(G: int, C: int) -> int:
    return 1


@wrong_group_norm("normalises each channel separately: this is instance normalisation", "count")
def each_channel(G: int, C: int) -> int:
    return C


@wrong_group_norm("uses num_groups as the number of channels in a group", "count")
def groups_of_num_groups(G: int, C: int) -> int:
    return C // G


@wrong_group_norm("normalises over the batch as well, as batch normalisation does", "normalised")
def over_the_batch(x: Tensor, eps: float) -> Tensor:
    y = x.transpose(0, 1)
    return layer_norm(y, tuple(y.shape[1:]), eps=eps).transpose(0, 1)


@wrong_group_norm("normalises each pixel separately; all pixels of a group are normalised together", "normalised")
def each_pixel(x: Tensor, eps: float) -> Tensor:
    y = x.transpose(2, 3)
    return layer_norm(y, tuple(y.shape[3:]), eps=eps).transpose(2, 3)


STAGES: dict[str, dict[str, Any]] = {
    **{message: {"divisor": divisor} for message, divisor in rows.DIVISORS.items()},
    "uses the unbiased variance, / (n - 1); torch uses the biased one, / n": {"divisor": root_of_unbiased},
    "subtracts the mean in the variance but not from x": {"centred": rows.not_centred},
    "uses the mean of x² instead of the variance": {"statistics": rows.mean_square},
    "treats the mean of a group as a constant in the backward pass": {"gradient": rows.mean_constant},
    "treats the variance of a group as a constant in the backward pass": {"gradient": rows.variance_constant},
    "treats the mean and the variance of a group as constants in the backward pass": {"gradient": rows.both_constant},
}
for message, stage in STAGES.items():
    wrong_group_norm(message, "normalised")(partial(each_group, **stage))
wrong_group_norm("leaves weight out of the gradient of x", "scaled")(rows.gradient_without_weight)
wrong_group_norm("does not divide by the root in the backward pass", "normalised")(
    partial(each_group, prepared=rows.gradient_undivided)
)
wrong_group_norm("adds the term of the gradient that goes through the root; it is subtracted", "normalised")(
    partial(each_group, gradient=rows.term_added)
)
