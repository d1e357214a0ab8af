"""Mistakes in the choice of the next token; a function takes NumPy arrays and returns the tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from parity.mistakes.register import definition, mistake
from scratch.module import Array

wrong_choice = partial(mistake, "next_token")


def softmax(logits: Array, temperature: float) -> Array:
    """Return the probabilities, up to a factor of each row."""
    return np.asarray(np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature))


def most_likely_first(p: Array) -> Array:
    """Return the tokens by falling probability; of equal ones, the first comes first."""
    return np.argsort(-p, axis=-1, kind="stable")


def dropped(ranked: Array, p: Array, top_p: float) -> Array:
    """Return which of the ranked tokens top_p drops: those before them reach it."""
    return np.asarray(np.cumsum(ranked, axis=-1) - ranked >= top_p * ranked.sum(axis=-1, keepdims=True))


@definition("next_token")
def next_token(
    logits: Array,
    uniform: Array,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    *,
    greedy: Callable[[Array], Array] = lambda logits: logits.argmax(axis=-1),
    softmax: Callable[[Array, float], Array] = softmax,
    ranking: Callable[[Array], Array] = most_likely_first,
    kept: Callable[[int], int] = lambda top_k: top_k,
    dropped: Callable[[Array, Array, float], Array] = dropped,
    passed: Callable[[Array, Array], Array] = np.less_equal,
    drawn: Callable[[Array], Array] = lambda uniform: uniform,
) -> Array:
    """Choose tokens, in stages."""
    if temperature == 0:
        return greedy(logits)
    p = softmax(logits, temperature)
    order = ranking(p)
    ranked = np.take_along_axis(p, order, axis=-1)
    if top_k is not None:
        ranked[:, kept(top_k) :] = 0
    ranked[dropped(ranked, p, top_p)] = 0
    q = np.zeros_like(p)
    np.put_along_axis(q, order, ranked, axis=-1)
    reached = np.cumsum(q, axis=-1)
    last = q.shape[-1] - 1 - np.argmax(q[:, ::-1] > 0, axis=-1)
    return np.minimum(passed(reached, drawn(uniform)[:, None] * reached[:, -1:]).sum(axis=-1), last)


@wrong_choice("takes the last of equally likely tokens for the most likely one; the first counts", "greedy")
def last_of_equals(logits: Array) -> Array:
    return logits.shape[-1] - 1 - logits[:, ::-1].argmax(axis=-1)


@wrong_choice("multiplies by the temperature", "softmax")
def hotter(logits: Array, temperature: float) -> Array:
    return softmax(logits, 1 / temperature)


@wrong_choice("ignores the temperature", "softmax")
def without_temperature(logits: Array, temperature: float) -> Array:
    return softmax(logits, 1.0)


@wrong_choice("sorts equally likely tokens in reverse; top_k keeps the first of them", "ranking")
def equals_reversed(p: Array) -> Array:
    return np.argsort(p, axis=-1, kind="stable")[:, ::-1]


@wrong_choice("keeps one token more than top_k", "kept")
def one_more(top_k: int) -> int:
    return top_k + 1


@wrong_choice("keeps one token fewer than top_k", "kept")
def one_fewer(top_k: int) -> int:
    return max(top_k - 1, 1)


@wrong_choice("drops the token that reaches top_p; it is the last to be kept", "dropped")
def dropped_early(ranked: Array, p: Array, top_p: float) -> Array:
    late = np.cumsum(ranked, axis=-1) > top_p * ranked.sum(axis=-1, keepdims=True)
    late[:, 0] = False
    return late


@wrong_choice("keeps one token more where the sum is exactly top_p", "dropped")
def dropped_late(ranked: Array, p: Array, top_p: float) -> Array:
    return np.asarray(np.cumsum(ranked, axis=-1) - ranked > top_p * ranked.sum(axis=-1, keepdims=True))


@wrong_choice("takes top_p of all tokens; it is a share of those that top_k keeps", "dropped")
def share_of_all(ranked: Array, p: Array, top_p: float) -> Array:
    return np.asarray(np.cumsum(ranked, axis=-1) - ranked >= top_p * p.sum(axis=-1, keepdims=True))


@wrong_choice("ignores top_p", "dropped")
def none_dropped(ranked: Array, p: Array, top_p: float) -> Array:
    return np.zeros(ranked.shape, bool)


@wrong_choice("chooses the token before the edge where the random number is on an edge", "passed")
def edge_before(reached: Array, target: Array) -> Array:
    return np.asarray(reached < target)


@wrong_choice("uses the random number of the first row for all rows", "drawn")
def same_for_all(uniform: Array) -> Array:
    return np.full_like(uniform, uniform[0])
