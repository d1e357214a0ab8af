"""Mistakes in the softmax of attention and in its backward pass."""

from __future__ import annotations

from torch import Tensor

from parity.mistakes.functions.attention import exponentials, masked_softmax, wrong_attention
from parity.mistakes.passes import with_gradient_of


@wrong_attention("takes the softmax over the queries; it goes over the keys", "weighing")
def softmax_over_queries(scores: Tensor, allowed: Tensor | None) -> Tensor:
    return masked_softmax(scores, allowed, dim=-2)


@wrong_attention("does not divide the exponentials by their sum", "weighing")
def not_normalised(scores: Tensor, allowed: Tensor | None) -> Tensor:
    return exponentials(scores, allowed)


def _first_term(weights: Tensor, scores: Tensor, allowed: Tensor | None) -> Tensor:
    """Return a tensor with the first term of the softmax's gradient: dy times the weights."""
    return weights.detach() * (scores if allowed is None else scores.masked_fill(~allowed, 0))


@wrong_attention(
    "treats the normaliser of the softmax as a constant in the backward pass: the second term of the Jacobian is missing",
    "weighing",
)
def normaliser_constant(scores: Tensor, allowed: Tensor | None) -> Tensor:
    weights = masked_softmax(scores, allowed)
    return with_gradient_of(weights, _first_term(weights, scores, allowed))


@wrong_attention("sums the second term of the softmax's gradient over the queries; the sum goes over the keys", "weighing")
def second_term_over_queries(scores: Tensor, allowed: Tensor | None) -> Tensor:
    weights = masked_softmax(scores, allowed)
    first = _first_term(weights, scores, allowed)
    return with_gradient_of(weights, first - weights.detach() * first.sum(-2, keepdim=True))


@wrong_attention("adds the second term of the softmax's gradient; it is subtracted", "weighing")
def second_term_added(scores: Tensor, allowed: Tensor | None) -> Tensor:
    weights = masked_softmax(scores, allowed)
    return with_gradient_of(weights, 2 * _first_term(weights, scores, allowed) - weights)
