"""Mistakes in attention: its scale, its inputs and its grouped heads."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from parity.mistakes.passes import with_gradient_of
from parity.mistakes.register import definition, mistake

wrong_attention = partial(mistake, "scaled_dot_product_attention")


def masked_softmax(scores: Tensor, allowed: Tensor | None, dim: int = -1) -> Tensor:
    """Compute the softmax over the keys, with zeros for a query that may attend to none."""
    raised = exponentials(scores, allowed, dim)
    total = raised.sum(dim, keepdim=True)
    return raised / total.masked_fill(total == 0, 1)


def exponentials(scores: Tensor, allowed: Tensor | None, dim: int = -1) -> Tensor:
    """Compute the exponentials of the scores, shifted by the highest."""
    scores = scores if allowed is None else scores.masked_fill(~allowed, -torch.inf)
    highest = scores.amax(dim, keepdim=True).detach()
    return (scores - highest.masked_fill(highest == -torch.inf, 0)).exp()


def repeat_heads(x: Tensor, times: int) -> Tensor:
    """Repeat each head for the neighbouring heads of the queries: 0 0 1 1."""
    return x.repeat_interleave(times, dim=-3)


@definition("scaled_dot_product_attention")
def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    scaling: Callable[[float, int, int], float] = lambda scale, H, E: scale,
    repeated: Callable[[Tensor, int], Tensor] = repeat_heads,
    biased: Callable[[Tensor, Tensor, float], Tensor] = lambda scores, mask, scale: scores + mask,
    allowing: Callable[[Tensor], Tensor] = lambda allowed: allowed,
    weighing: Callable[[Tensor, Tensor | None], Tensor] = masked_softmax,
) -> Tensor:
    """Compute attention without dropout, in stages."""
    H, (L, E), S = query.shape[-3] if query.dim() > 2 else 1, query.shape[-2:], key.shape[-2]
    scale = scaling(1 / math.sqrt(E) if scale is None else scale, H, E)
    if enable_gqa:
        key, value = (repeated(x, H // x.shape[-3]) for x in (key, value))
    scores = query @ key.transpose(-1, -2) * scale
    allowed = torch.ones(L, S, dtype=torch.bool, device=query.device).tril() if is_causal else None
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        allowed = attn_mask
    elif attn_mask is not None:
        scores = biased(scores, attn_mask, scale)
    return weighing(scores, None if allowed is None else allowing(allowed)) @ value


@wrong_attention("does not scale the scores; they are multiplied by 1/√E, with E the width of a head", "scaling")
def no_scale(scale: float, H: int, E: int) -> float:
    return 1.0


@wrong_attention("scales the scores by 1/√(heads x E), the width of all heads; the scale is 1/√E, the width of one", "scaling")
def width_of_all_heads(scale: float, H: int, E: int) -> float:
    return 1 / math.sqrt(H * E)


@wrong_attention("divides the scores by E; the scale is 1/√E", "scaling")
def divided_by_width(scale: float, H: int, E: int) -> float:
    return 1 / E


@wrong_attention("multiplies the scores by √E; the scale is 1/√E", "scaling")
def multiplied_by_root(scale: float, H: int, E: int) -> float:
    return math.sqrt(E)


@wrong_attention("scales the scores twice", "scaling")
def scaled_twice(scale: float, H: int, E: int) -> float:
    return scale**2


@wrong_attention("ignores the option scale and uses 1/√E", "scaling")
def default_scale(scale: float, H: int, E: int) -> float:
    return 1 / math.sqrt(E)


@wrong_attention("repeats grouped heads in rounds, 0 1 0 1; each one serves neighbouring heads, 0 0 1 1", "repeated")
def heads_in_rounds(x: Tensor, times: int) -> Tensor:
    return torch.cat([x] * times, dim=-3)


@wrong_attention("gives grouped keys and values the gradient of only the first head in each group", "repeated")
def gradient_of_one_head(x: Tensor, times: int) -> Tensor:
    repeated = repeat_heads(x, times)
    first = torch.arange(repeated.shape[-3], device=x.device) % times == 0
    return with_gradient_of(repeated, repeated * first[:, None, None])


@wrong_attention("swaps query and key")
def query_and_key_swapped(query: Tensor, key: Tensor, value: Tensor, *others: Any, **options: Any) -> Tensor:
    return attention(key, query, value, *others, **options)


@wrong_attention("swaps key and value")
def key_and_value_swapped(query: Tensor, key: Tensor, value: Tensor, *others: Any, **options: Any) -> Tensor:
    return attention(query, value, key, *others, **options)


@wrong_attention("uses the keys as values")
def keys_as_values(query: Tensor, key: Tensor, value: Tensor, *others: Any, **options: Any) -> Tensor:
    return attention(query, key, key, *others, **options)


@wrong_attention("uses the values as keys")
def values_as_keys(query: Tensor, key: Tensor, value: Tensor, *others: Any, **options: Any) -> Tensor:
    return attention(query, value, value, *others, **options)
