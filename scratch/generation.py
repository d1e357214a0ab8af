"""Writing with a language model: the next token, a text token by token, and the most likely continuation.

A model is called as `(logits, state), _ = model(tokens, state)` with tokens (B, T), logits (B, T, V) and a state that None
begins: arrays (layers, B, H) or tuples of them. Randomness comes in as uniform numbers, so that the same numbers
make the same text in every backend.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratch.module import Array

Model = Callable[..., Any]


def next_token(logits: Array, uniform: Array, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0) -> Array:
    """Draw a token (B,) for each row of logits (B, V) by its uniform number (B,) from 0 to below 1.

    The logits are divided by the temperature; 0 takes the most likely. top_k keeps so many of the most likely tokens (Fan,
    Lewis & Dauphin 2018, section 5.4), top_p the fewest whose probabilities come to it (Holtzman et al. 2020, section 3.1).
    """
    if not temperature >= 0:
        raise ValueError(f"temperature is {temperature}, expected at least 0; 0 takes the most likely token")
    if top_k is not None and not 1 <= top_k <= logits.shape[-1]:
        raise ValueError(f"top_k is {top_k}, expected 1 to {logits.shape[-1]}, the size of the vocabulary, or None for all")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}, expected above 0 and at most 1")
    if temperature == 0:
        return logits.argmax(axis=-1)
    logits = logits.astype(np.float64)
    p = np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature)
    falling = np.argsort(-p, axis=-1, kind="stable")
    ranked = np.take_along_axis(p, falling, axis=-1)[:, :top_k]
    before = np.cumsum(ranked, axis=-1) - ranked
    ranked[before >= top_p * ranked.sum(axis=-1, keepdims=True)] = 0  # those before it suffice
    p = np.zeros_like(p)
    np.put_along_axis(p, falling[:, :top_k], ranked, axis=-1)
    reached = np.cumsum(p, axis=-1)
    passed = reached <= uniform[:, None] * reached[:, -1:]
    return np.minimum(passed.sum(axis=-1), p.shape[-1] - 1 - np.argmax(p[:, ::-1] > 0, axis=-1))  # at most the last possible


def generate(model: Model, prompt: Array, uniforms: Array, state: Any = None, **options: Any) -> tuple[Array, Any]:
    """Continue prompts (B, T) token by token, as many as there are rows of uniform numbers (steps, B).

    Returns the new tokens (B, steps) and the state after the last but one. The options are those of next_token.
    """
    tokens, fed = [], prompt
    for uniform in uniforms:
        (logits, state), _ = model(fed, state)
        tokens.append(next_token(logits[:, -1], uniform, **options))
        fed = tokens[-1][:, None]
    return np.stack(tokens, axis=1) if tokens else prompt[:, :0], state


def generate_beyond(model: Model, prompt: Array, uniforms: Array, context: int, **options: Any) -> Array:
    """generate for a model whose state holds at most `context` tokens: as long as the text fits, the same tokens.

    Each time the context is full, the model forgets and reads the last half of it, so that every token is written with at
    least so many before it. Returns the new tokens (B, steps).
    """
    text, written = prompt, 0
    while written < len(uniforms):
        seen = text if text.shape[1] <= context else text[:, -max(context // 2, 1) :]
        steps = context - seen.shape[1] + 1  # the last token need not be read
        tokens, _ = generate(model, seen, uniforms[written : written + steps], **options)
        text, written = np.concatenate([text, tokens], axis=1), written + steps
    return text[:, prompt.shape[1] :]


def beam_search(
    model: Model, prompt: Array, steps: int, beams: int, end: int | None = None, length_penalty: float = 0.0, state: Any = None
) -> tuple[Array, float]:
    """The most likely continuation of one prompt (1, T), of those that keeping the `beams` best at each step finds.

    Returns at most `steps` tokens, up to and with `end`, and the sum of their log-probabilities divided by
    length ** length_penalty (Wu et al. 2016, section 7, without its constants).
    """
    (logits, state), _ = model(prompt, state)
    scores, texts = np.zeros(1), np.zeros((1, 0), np.int64)
    best: tuple[Array, float] = texts[0], -np.inf
    for step in range(1, steps + 1):
        last = logits[:, -1].astype(np.float64)
        shifted = last - last.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        total = (scores[:, None] + log_p).ravel()
        kept = np.argsort(-total, kind="stable")[: 2 * beams]  # so that `beams` are left however many of them end
        parents, tokens = np.divmod(kept, log_p.shape[-1])
        texts, scores = np.concatenate([texts[parents], tokens[:, None]], axis=1), total[kept]
        ended = tokens == end if step < steps else np.ones(len(tokens), bool)
        for text, score in zip(texts[ended], scores[ended] / step**length_penalty, strict=True):
            best = max(best, (text, float(score)), key=lambda pair: pair[1])
        alive = np.flatnonzero(~ended)[:beams]
        if not len(alive) or (length_penalty == 0 and best[1] >= scores[alive[0]]):
            break
        texts, scores = texts[alive], scores[alive]
        state = _select(state, parents[alive])
        (logits, state), _ = model(tokens[alive][:, None], state)
    return best


def _select(state: Any, rows: Array) -> Any:
    """The state of some rows of the batch, perhaps of one several times."""
    return tuple(_select(part, rows) for part in state) if isinstance(state, tuple) else state[:, rows]
