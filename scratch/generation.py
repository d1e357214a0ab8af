"""Text generation with a language model: sampling of the next token, of a whole text, and beam search.

A model is called as `(logits, state), _ = model(tokens, state)` with tokens (B, T) and logits (B, T, V). The state is None at the
start; later it is an array (layers, B, H) or a tuple of such arrays. Uniform random numbers are arguments, so that the same
numbers give the same text in every backend.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratch.module import Array

Model = Callable[..., Any]


def next_token(logits: Array, uniform: Array, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0) -> Array:
    """Draw a token (B,) for each row of logits (B, V) with its uniform number (B,), from 0 to below 1.

    The logits are divided by the temperature; temperature 0 takes the most likely token. top_k keeps only the top_k most likely
    tokens (Fan, Lewis & Dauphin 2018, section 5.4). top_p keeps the fewest tokens whose probabilities sum to at least top_p
    (Holtzman et al. 2020, section 3.1).
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
    ranked[before >= top_p * ranked.sum(axis=-1, keepdims=True)] = 0  # the tokens before sum to top_p
    p = np.zeros_like(p)
    np.put_along_axis(p, falling[:, :top_k], ranked, axis=-1)
    reached = np.cumsum(p, axis=-1)
    passed = reached <= uniform[:, None] * reached[:, -1:]
    return np.minimum(passed.sum(axis=-1), p.shape[-1] - 1 - np.argmax(p[:, ::-1] > 0, axis=-1))  # at most the last kept token


def generate(model: Model, prompt: Array, uniforms: Array, state: Any = None, **options: Any) -> tuple[Array, Any]:
    """Continue prompts (B, T) by one token for each row of uniform numbers (steps, B).

    Return the new tokens (B, steps) and the state before the last token is read. The options are those of next_token.
    """
    tokens, fed = [], prompt
    for uniform in uniforms:
        (logits, state), _ = model(fed, state)
        tokens.append(next_token(logits[:, -1], uniform, **options))
        fed = tokens[-1][:, None]
    return np.stack(tokens, axis=1) if tokens else prompt[:, :0], state


def generate_beyond(model: Model, prompt: Array, uniforms: Array, context: int, **options: Any) -> Array:
    """Continue prompts (B, T) as `generate` does, for a model whose state holds at most `context` tokens.

    While the text fits, the tokens are those of `generate`. Each time the context is full, the state is dropped and the model
    reads the last half of the context again. So every token sees at least half a context. Return the new tokens (B, steps).
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
    """Search for the most likely continuation of one prompt (1, T), keeping the `beams` best texts at each step.

    Return at most `steps` tokens, the last of which may be `end`, and their score: the sum of their log-probabilities divided
    by length ** length_penalty (Wu et al. 2016, section 7, without its constants).
    """
    (logits, state), _ = model(prompt, state)
    scores, texts = np.zeros(1), np.zeros((1, 0), np.int64)
    best: tuple[Array, float] = texts[0], -np.inf
    for step in range(1, steps + 1):
        last = logits[:, -1].astype(np.float64)
        shifted = last - last.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        total = (scores[:, None] + log_p).ravel()
        kept = np.argsort(-total, kind="stable")[: 2 * beams]  # twice, so that `beams` texts go on even if others end
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
    """Return the state of some rows of the batch; a row may be chosen several times."""
    return tuple(_select(part, rows) for part in state) if isinstance(state, tuple) else state[:, rows]
