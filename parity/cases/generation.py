"""Text generation: the choice of the next token, texts of a table as a language model, and beam search."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.inputs import Draw, float32_representable

AFTER = ("clipping",)

ROWS, V = 240, 40
IMPOSSIBLE = -1e4  # a logit of probability 0
WORDS = 11  # of the model that is a table
PIECES = (5, 1, 9)  # of each text, which is continued from its state


def rows(draw: Draw) -> dict[str, Any]:
    """Draw rows of logits with their uniform random numbers.

    A fourth of the rows has equal largest logits, more than a top-k keeps. Another fourth has four possible tokens of equal
    probability, and random numbers at the edges between them. The other random numbers lie next to such an edge.
    """
    logits = draw.normal(ROWS, V, scale=2)
    several = draw.booleans(ROWS // 4, V, p=0.5)
    logits[: ROWS // 4] = np.where(several, 6.0, logits[: ROWS // 4])
    four = np.argsort(draw.rng.random((ROWS // 4, V)), axis=1) < 4
    logits[ROWS // 4 : ROWS // 2] = np.where(four, 1.5, IMPOSSIBLE)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    edges = np.cumsum(p, axis=1) / p.sum(axis=1, keepdims=True)
    uniform = edges[np.arange(ROWS), draw.integers(0, V - 1, ROWS)]
    uniform[ROWS // 4 : ROWS // 2] = draw.integers(0, 4, ROWS // 4) / 4
    uniform[-ROWS // 4 :] = draw.rng.random(ROWS // 4)
    return {"logits": logits, "uniform": float32_representable(np.minimum(uniform, 1 - 1e-6))}


def texts(draw: Draw) -> dict[str, Any]:
    """Draw a table of logits, prompts of several lengths, and uniform random numbers for the pieces of each text."""
    prompts = [draw.integers(0, WORDS, B, T) for B, T in ((3, 4), (1, 1), (2, 6))]
    uniforms = [[float32_representable(draw.rng.random((piece, len(prompt)))) for piece in PIECES] for prompt in prompts]
    return {"table": draw.normal(WORDS, WORDS, WORDS, scale=2), "prompts": prompts, "uniforms": uniforms}


def beyond(draw: Draw) -> dict[str, Any]:
    """Draw a table of logits, prompts shorter and longer than the context, and uniform random numbers for long texts."""
    prompts = [draw.integers(0, WORDS, B, T) for B, T in ((3, 4), (1, 1), (2, 12), (2, 7))]
    uniforms = [[float32_representable(draw.rng.random((31, len(prompt))))] for prompt in prompts]
    return {"table": draw.normal(WORDS, WORDS, WORDS, scale=2), "prompts": prompts, "uniforms": uniforms}


def beams(draw: Draw) -> dict[str, Any]:
    """Draw a table of logits in which two tokens are always equally likely, and prompts of one row."""
    table = draw.normal(WORDS, WORDS, WORDS)
    table[..., 7] = table[..., 3]
    return {"table": table, "prompts": [draw.integers(0, WORDS, 1, T) for T in (2, 1, 5, 3, 3, 4, 2, 2, 1, 6, 3, 7)]}


def case(name: str, function: str, inputs: Callable[[Draw], dict[str, Any]], **options: Any) -> ParityCase:
    """Return the case of a function with these options."""
    return ParityCase(name, f"generation.{function}", inputs, options)


CASES = [
    case("next-token", "next_token", rows),
    case("next-token-greedy", "next_token", rows, temperature=0),
    case("next-token-cold", "next_token", rows, temperature=0.7, top_p=0.6),
    case("next-token-top-k", "next_token", rows, top_k=7),
    case("next-token-top-1", "next_token", rows, top_k=1),
    case("next-token-top-p", "next_token", rows, top_p=0.5),
    case("next-token-all-options", "next_token", rows, temperature=1.5, top_k=9, top_p=0.8),
    case("generate", "generate", texts),
    case("generate-greedy", "generate", texts, temperature=0),
    case("generate-all-options", "generate", texts, temperature=0.8, top_k=5, top_p=0.9),
    case("generate-beyond", "generate_beyond", beyond, context=7),
    case("generate-beyond-short", "generate_beyond", beyond, context=1, top_k=4),
    case("beam-search", "beam_search", beams, steps=9, beams=3),
    case("beam-search-end", "beam_search", beams, steps=9, beams=4, end=4),
    case("beam-search-penalty", "beam_search", beams, steps=9, beams=2, end=3, length_penalty=1.0),
    case("beam-search-one", "beam_search", beams, steps=5, beams=1, end=7, length_penalty=0.5),
]
