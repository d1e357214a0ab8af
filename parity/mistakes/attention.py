"""Mistakes in attention, its masks, and the layer around it: how heads are split and joined, and what came before."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from parity.mistakes.graft import graft

# What the wrong ones multiply the scores by, from the right scale, the heads and the width of one.
SCALES: dict[str, Callable[[float, int, int], float]] = {
    "no scale": lambda scale, H, E: 1.0,
    "model width": lambda scale, H, E: 1 / math.sqrt(H * E),
    "no root": lambda scale, H, E: 1 / E,
    "multiplied": lambda scale, H, E: math.sqrt(E),
    "scaled twice": lambda scale, H, E: scale**2,
    "default scale": lambda scale, H, E: 1 / math.sqrt(E),
}
# What the wrong ones let through, from the right mask.
MASKS: dict[str, Callable[[Tensor], Tensor]] = {
    "one more": lambda may: torch.cat([torch.ones_like(may[..., :1]), may[..., :-1]], dim=-1),
    "one less": lambda may: torch.cat([may[..., 1:], torch.zeros_like(may[..., :1])], dim=-1),
    "later keys": lambda may: _for_each_query(may).triu(),
    "first key": lambda may: _for_each_query(may).tril(),
    "last key": lambda may: _for_each_query(may).tril(may.shape[-1] - may.shape[-2]),
    "inverted": lambda may: ~may,
    "transposed": lambda may: may.transpose(-1, -2),
}


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
    change: str = "",
) -> Tensor:
    """Attention spelt out, without dropout, with one change."""
    query, key, value = {
        "query and key": (key, query, value),
        "key and value": (query, value, key),
        "keys as values": (query, key, key),
        "values as keys": (query, value, value),
    }.get(change, (query, key, value))
    H, (L, E), S = query.shape[-3] if query.dim() > 2 else 1, query.shape[-2:], key.shape[-2]
    scale = SCALES.get(change, lambda scale, H, E: scale)(1 / math.sqrt(E) if scale is None else scale, H, E)
    if enable_gqa:
        key, value = (_for_every_head(x, H // x.shape[-3], change) for x in (key, value))
    scores = query @ key.transpose(-1, -2) * scale
    may = torch.ones(L, S, dtype=torch.bool, device=query.device).tril() if is_causal else None
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        may = attn_mask
    elif attn_mask is not None:
        scores = (scores + attn_mask * scale) if change == "mask scaled" else (scores + attn_mask)
    weights = _weights(scores, None if may is None else MASKS.get(change, lambda may: may)(may), change)
    return weights @ value


def _for_each_query(may: Tensor) -> Tensor:
    """All keys for every query of a mask that is not the same for all of them."""
    if may.shape[-2] == 1:
        raise ValueError("one row for all queries")
    return torch.ones_like(may)


def _for_every_head(x: Tensor, each: int, change: str) -> Tensor:
    repeated = x.repeat_interleave(each, dim=-3)
    if change == "heads in rounds":
        return torch.cat([x] * each, dim=-3)
    if change == "one head's gradient":
        first = torch.arange(repeated.shape[-3], device=x.device) % each == 0
        return graft(repeated, repeated * first[:, None, None])
    return repeated


def _weights(scores: Tensor, may: Tensor | None, change: str) -> Tensor:
    """The softmax over the keys, with zeros for a query that may attend nothing."""
    if may is None:
        may = torch.ones_like(scores, dtype=torch.bool)
    elif change == "added as numbers":
        scores, may = scores + may, torch.ones_like(may)
    elif change == "scores of 0":
        scores, may = scores * may, torch.ones_like(may)
    elif change == "after the softmax":
        return torch.softmax(scores, dim=-1) * may
    elif change == "large number":
        return torch.softmax(graft(scores.masked_fill(~may, -1e9), scores), dim=-1)
    scores = scores.masked_fill(~may, -torch.inf)
    axis = -2 if change == "over the queries" else -1
    highest = scores.amax(axis, keepdim=True).detach()
    raised = (scores - highest.masked_fill(highest == -torch.inf, 0)).exp()
    total = raised.sum(axis, keepdim=True)
    total = total.masked_fill((total == 0) | (change == "no total"), 1)
    weights = raised / total
    constant = weights.detach() * scores.masked_fill(scores == -torch.inf, 0)  # the first term of the softmax's gradient
    if change == "no sum":
        return graft(weights, constant)
    if change == "sum over the queries":
        return graft(weights, constant - weights.detach() * constant.sum(-2, keepdim=True))
    if change == "sum added":
        return graft(weights, 2 * constant - weights)
    return weights


def _mistakes(function: Callable[..., Any], texts: dict[str, str]) -> list[tuple[str, Callable[..., Any]]]:
    return [(text, partial(function, change=change)) for change, text in texts.items()]


def tril(input: Tensor, diagonal: int = 0, *, change: str) -> Tensor:
    """The lower triangle, with one change."""
    return {
        "one more": lambda: torch.tril(input, diagonal + 1),
        "one less": lambda: torch.tril(input, diagonal - 1),
        "no offset": lambda: torch.tril(input),
        "later keys": lambda: torch.triu(input, diagonal),
        "inverted": lambda: ~torch.tril(input, diagonal),
    }[change]()


def _transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """The numbers as they lie in the shape of the transpose."""
    return input.reshape(input.transpose(dim0, dim1).shape)


def _unflatten(input: Tensor, dim: int, sizes: Sequence[int], *, change: str) -> Tensor:
    """(B, T, heads x D) to (B, T, heads, D), with one change."""
    right = input.unflatten(dim, sizes)
    B, T, H, D = right.shape
    if change == "by reshape":
        return input.reshape(B, H, T, D).transpose(1, 2)
    return input.reshape(B, T, D, H).transpose(2, 3)


def _flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """(B, T, heads, D) to (B, T, heads x D) as (B, heads, T, D) lies in memory."""
    return input.transpose(1, 2).reshape(input.flatten(start_dim, end_dim).shape)


TABLE: dict[str, list[tuple[str, Callable[..., Any]]]] = {
    "scaled_dot_product_attention": _mistakes(
        attention,
        {
            "no scale": "does not scale the scores; the scale is 1/√E, of the width of a head",
            "model width": "scales the scores by 1/√(heads x E), the width of all heads; the scale is 1/√E, of one",
            "no root": "divides the scores by E; the scale is 1/√E",
            "multiplied": "multiplies the scores by √E; the scale is 1/√E",
            "scaled twice": "scales the scores twice",
            "default scale": "takes no notice of scale: takes 1/√E",
            "mask scaled": "scales the mask that is added together with the scores",
            "one more": "lets each query attend one key too many: the mask is off by one",
            "one less": "lets each query attend one key too few: the mask is off by one",
            "later keys": "lets each query attend the keys that come after it, not those before",
            "first key": "aligns the causal mask to the first key, as if nothing had come before",
            "last key": "aligns the causal mask to the last key; torch's is_causal begins at the first",
            "inverted": "takes a true in the mask for masked; it means that the key may be attended",
            "transposed": "takes the mask transposed: rows for keys and columns for queries",
            "added as numbers": "adds a boolean mask to the scores as 0 and 1; where it is false they should be minus infinity",
            "scores of 0": "makes masked scores 0; they should be minus infinity",
            "after the softmax": "masks after the softmax: the weights no longer add up to 1",
            "large number": "lets a query that may attend nothing attend all keys alike: a large negative number stands for minus "
            "infinity",
            "over the queries": "takes the softmax over the queries; it goes over the keys",
            "no total": "does not divide the exponentials by their total",
            "no sum": "takes the softmax's normaliser for a constant in the backward: the Jacobian's second term is missing",
            "sum over the queries": "sums the second term of the softmax's gradient over the queries; it goes over the keys",
            "sum added": "adds the second term of the softmax's gradient; it is subtracted",
            "heads in rounds": "repeats grouped heads in rounds, 0 1 0 1; each serves neighbours, 0 0 1 1",
            "one head's gradient": "gives grouped keys and values the gradient of the first head of each group alone",
            "query and key": "swaps query and key",
            "key and value": "swaps key and value",
            "keys as values": "attends the keys in place of the values",
            "values as keys": "takes the values for keys too",
        },
    ),
    "tril": _mistakes(
        tril,
        {
            "one more": "lets each query attend one key too many: the diagonal is off by one",
            "one less": "lets each query attend one key too few: the diagonal is off by one",
            "no offset": "takes no notice of the offset",
            "later keys": "is the upper triangle: each query attends what comes after it",
            "inverted": "is true where a key is masked; it should be true where it may be attended",
        },
    ),
    "transpose": [("splits and joins heads by a reshape alone; the axes of time and heads must change places", _transpose)],
    "unflatten": _mistakes(
        _unflatten,
        {
            "by reshape": "splits heads by a reshape alone; the axes of time and heads must change places after it",
            "interleaved": "takes every H-th channel for a head; a head is D neighbours",
        },
    ),
    "flatten": [("joins heads by a reshape alone; the axes of time and heads must change places before it", _flatten)],
}
