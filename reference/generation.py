"""Text generation with a language model: one token, a text token by token, and beam search.

A model is called as `logits, state = model(tokens, state)` with tokens (B, T) and logits (B, T, V). The initial state is None,
others are tensors (layers, B, H) or tuples of them. Random numbers are arguments, so that equal numbers give equal texts in
every backend.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Model = Callable[..., Any]


def next_token(logits: Tensor, uniform: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0) -> Tensor:
    """Sample a token (B,) for each row of logits (B, V), by a uniform number (B,) in [0, 1) for each.

    The logits are divided by the temperature; temperature 0 selects the most likely token. top_k keeps that many of the most
    likely tokens (Fan, Lewis & Dauphin 2018, section 5.4). top_p keeps the fewest tokens whose probabilities sum to at least
    top_p (Holtzman et al. 2020, section 3.1).
    """
    if not temperature >= 0:
        raise ValueError(f"temperature is {temperature}, expected at least 0; 0 takes the most likely token")
    if top_k is not None and not 1 <= top_k <= logits.shape[-1]:
        raise ValueError(f"top_k is {top_k}, expected 1 to {logits.shape[-1]}, the size of the vocabulary, or None for all")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}, expected above 0 and at most 1")
    if temperature == 0:
        return logits.argmax(dim=-1)
    p = torch.softmax(logits.double() / temperature, dim=-1)
    ranked, order = p.sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        ranked[:, top_k:] = 0
    before = ranked.cumsum(dim=-1) - ranked
    ranked[before >= top_p * ranked.sum(dim=-1, keepdim=True)] = 0  # the tokens before reach top_p already
    p = torch.zeros_like(p).scatter(-1, order, ranked)
    reached = p.cumsum(dim=-1)
    passed = reached <= uniform[:, None] * reached[:, -1:]
    last_possible = p.shape[-1] - 1 - (p.flip(-1) > 0).int().argmax(dim=-1)
    return passed.sum(dim=-1).minimum(last_possible)


@torch.no_grad()
def generate(model: Model, prompt: Tensor, uniforms: Tensor, state: Any = None, **options: Any) -> tuple[Tensor, Any]:
    """Continue prompts (B, T) token by token, by one token for each row of uniform numbers (steps, B).

    Return the new tokens (B, steps), and the state before the last of them is read. The options are those of next_token.
    """
    tokens, fed = [], prompt
    for uniform in uniforms:
        logits, state = model(fed, state)
        tokens.append(next_token(logits[:, -1], uniform, **options))
        fed = tokens[-1][:, None]
    return torch.stack(tokens, dim=1) if tokens else prompt[:, :0], state


@torch.no_grad()
def generate_beyond(model: Model, prompt: Tensor, uniforms: Tensor, context: int, **options: Any) -> Tensor:
    """Continue prompts with a model whose state holds at most `context` tokens, and return the new tokens (B, steps).

    While the text fits into the context, these are the tokens of `generate`. Each time the context is full, the model starts
    anew from the last half of it, so that every token depends on at least that many before it.
    """
    text, written = prompt, 0
    while written < len(uniforms):
        seen = text if text.shape[1] <= context else text[:, -max(context // 2, 1) :]
        steps = context - seen.shape[1] + 1  # the last token is not read
        tokens, _ = generate(model, seen, uniforms[written : written + steps], **options)
        text, written = torch.cat([text, tokens], dim=1), written + steps
    return text[:, prompt.shape[1] :]


@torch.no_grad()
def beam_search(
    model: Model, prompt: Tensor, steps: int, beams: int, end: int | None = None, length_penalty: float = 0.0, state: Any = None
) -> tuple[Tensor, float]:
    """Search for the most likely continuation of one prompt (1, T), and keep the `beams` best texts at each step.

    Return at most `steps` tokens, up to and including `end`, and their score: the sum of their log-probabilities divided by
    length ** length_penalty (Wu et al. 2016, section 7, without its constants).
    """
    logits, state = model(prompt, state)
    scores, texts = logits.new_zeros(1, dtype=torch.float64), prompt[:, :0]
    best: tuple[Tensor, float] = texts[0], -math.inf
    for step in range(1, steps + 1):
        log_p = torch.log_softmax(logits[:, -1].double(), dim=-1)
        total, kept = (scores[:, None] + log_p).flatten().sort(descending=True, stable=True)
        scores, kept = total[: 2 * beams], kept[: 2 * beams]  # at most half of these end, so that enough are left
        parents, tokens = kept // log_p.shape[-1], kept % log_p.shape[-1]
        texts = torch.cat([texts[parents], tokens[:, None]], dim=1)
        ended = tokens == (end if end is not None else -1) if step < steps else torch.ones_like(tokens, dtype=torch.bool)
        for text, score in zip(texts[ended], (scores[ended] / step**length_penalty).tolist(), strict=True):
            best = max(best, (text, score), key=lambda pair: pair[1])
        alive = (~ended).nonzero().flatten()[:beams]
        if not len(alive) or (length_penalty == 0 and best[1] >= scores[alive[0]]):
            break
        texts, scores = texts[alive], scores[alive]
        state = _select(state, parents[alive])
        logits, state = model(tokens[alive][:, None], state)
    return best


def _select(state: Any, rows: Tensor) -> Any:
    """Return the state of the given rows of the batch; a row may occur several times."""
    return tuple(_select(part, rows) for part in state) if isinstance(state, tuple) else state[:, rows]
