"""Mistakes in the masks of attention."""

from __future__ import annotations

import torch
from torch import Tensor

from parity.mistakes.functions.attention import masked_softmax, wrong_attention
from parity.mistakes.passes import with_gradient_of


@wrong_attention("scales the added mask together with the scores; only the scores are scaled", "biased")
def mask_scaled(scores: Tensor, mask: Tensor, scale: float) -> Tensor:
    return scores + mask * scale


@wrong_attention("lets each query attend to one key too many: the mask is off by one", "allowing")
def one_key_more(allowed: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(allowed[..., :1]), allowed[..., :-1]], dim=-1)


@wrong_attention("lets each query attend to one key too few: the mask is off by one", "allowing")
def one_key_less(allowed: Tensor) -> Tensor:
    return torch.cat([allowed[..., 1:], torch.zeros_like(allowed[..., :1])], dim=-1)


@wrong_attention("lets each query attend to the keys after it; it may attend to those before it", "allowing")
def later_keys(allowed: Tensor) -> Tensor:
    return _all_of(allowed).triu()


@wrong_attention("aligns the causal mask to the first key, as if there were no earlier keys", "allowing")
def aligned_to_first_key(allowed: Tensor) -> Tensor:
    return _all_of(allowed).tril()


@wrong_attention("aligns the causal mask to the last key; torch's is_causal aligns it to the first", "allowing")
def aligned_to_last_key(allowed: Tensor) -> Tensor:
    return _all_of(allowed).tril(allowed.shape[-1] - allowed.shape[-2])


def _all_of(allowed: Tensor) -> Tensor:
    """Allow all keys, where the mask has a row for each query."""
    if allowed.shape[-2] == 1:
        raise ValueError("the mask has one row for all queries")
    return torch.ones_like(allowed)


@wrong_attention("masks the keys whose mask is true; true means that the key may be attended to", "allowing")
def inverted_mask(allowed: Tensor) -> Tensor:
    return ~allowed


@wrong_attention("transposes the mask: its rows are queries and its columns are keys", "allowing")
def transposed_mask(allowed: Tensor) -> Tensor:
    return allowed.transpose(-1, -2)


@wrong_attention("adds a boolean mask to the scores as 0 and 1; a false entry stands for minus infinity", "weighing")
def mask_added(scores: Tensor, allowed: Tensor | None) -> Tensor:
    return masked_softmax(scores if allowed is None else scores + allowed, None)


@wrong_attention("sets masked scores to 0; they are minus infinity", "weighing")
def masked_scores_0(scores: Tensor, allowed: Tensor | None) -> Tensor:
    return masked_softmax(scores if allowed is None else scores * allowed, None)


@wrong_attention("masks after the softmax: the weights no longer add up to 1", "weighing")
def masked_after_softmax(scores: Tensor, allowed: Tensor | None) -> Tensor:
    return masked_softmax(scores, None) if allowed is None else torch.softmax(scores, dim=-1) * allowed


@wrong_attention(
    "uses a large negative number for minus infinity: a query that may attend to no key attends to all keys equally", "weighing"
)
def large_number(scores: Tensor, allowed: Tensor | None) -> Tensor:
    if allowed is None:
        return masked_softmax(scores, None)
    return torch.softmax(with_gradient_of(scores.masked_fill(~allowed, -1e9), scores), dim=-1)
