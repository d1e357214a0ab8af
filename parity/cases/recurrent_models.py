"""Recurrent models (language, names, sentiment, translation), and their pooling over time and attention to a memory."""

from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import Inputs
from parity.inputs import Draw
from scratch.module import Array

AFTER = ("recurrent_layers",)
V, E, H = 11, 7, 6
B, T = 5, 13
LENGTHS = np.array([6, 13, 1, 9, 12])
Q = 4  # queries over T keys
ATTENDED = np.random.default_rng(0).random((B, Q, T)) < 0.6
ATTENDED[0, 1] = False  # this query may attend no key


def padded(ties: bool = False) -> Inputs:
    """Return a draw of sequences of negative numbers or small integers; the padding is larger than all of them."""

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        x = draw.grid(B, T, E) if ties else draw.normal(B, T, E, offset=-5.0)
        t = np.arange(T)[:, None]
        return {"x": np.where(t < LENGTHS[:, None, None], x, 9.0 + t), "lengths": LENGTHS}

    return draw_inputs


def attention(weighted: bool = False, mask: Array | None = None) -> Inputs:
    """Return a draw of queries, a memory of T steps, perhaps the weights of an additive score, and a mask."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        inputs = {"query": draw.normal(B, Q, E), "key": draw.normal(B, T, E), "value": draw.normal(B, T, H)}
        inputs |= {"weight": draw.normal(E)} if weighted else {}
        return inputs | ({} if mask is None else {"attn_mask": mask})

    return draw_inputs


def text(layers: int = 0, states: int = 1, ragged: bool = False) -> Inputs:
    """Return a draw of tokens, of the initial states of so many layers, and, for ragged batches, of lengths."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        inputs: dict[str, Any] = {"tokens": draw.integers(0, V - 1, B, T)}  # the last row of the table is never looked up
        if layers:
            first = tuple(draw.normal(layers, B, H) for _ in range(states))
            inputs["state"] = first if states > 1 else first[0]
        elif ragged:
            inputs["state"] = None
        return inputs | ({"lengths": LENGTHS} if ragged else {})

    return draw_inputs


def reviews(draw: Draw) -> dict[str, Any]:
    """Draw texts of different lengths, followed by padding; one text contains the padding's token, too."""
    tokens = draw.integers(0, V - 1, B, T)
    tokens[1, 2] = 0
    return {"tokens": np.where(np.arange(T) < LENGTHS[:, None], tokens, 0), "lengths": LENGTHS}


def translation(draw: Draw) -> dict[str, Any]:
    """Draw sources of different lengths, and the targets that the decoder reads."""
    return {"source": draw.integers(0, V - 1, B, T), "lengths": LENGTHS, "target": draw.integers(0, V + 1, B, T + 2)}


POOLING = [
    ParityCase("masked_mean", "ops.masked_mean", padded()),
    ParityCase("masked_max", "ops.masked_max", padded()),
    ParityCase("masked_max-ties", "ops.masked_max", padded(ties=True)),
    ParityCase("MaskedMean", "layers.MaskedMean", padded()),
    ParityCase("MaskedMax", "layers.MaskedMax", padded(ties=True)),
]

ALIGNMENT = [
    ParityCase("additive_attention", "ops.additive_attention", attention(weighted=True)),
    ParityCase("additive_attention-masked", "ops.additive_attention", attention(True, ATTENDED)),
    ParityCase("DotAttention", "layers.DotAttention", attention(mask=ATTENDED)),
    ParityCase("DotAttention-padded", "layers.DotAttention", attention(mask=ATTENDED[:, :1])),
    ParityCase("DotAttention-no-mask", "layers.DotAttention", attention()),
]
ALIGNMENT += [
    ParityCase(
        f"AdditiveAttention{suffix}",
        "layers.AdditiveAttention",
        attention(mask=mask),
        {"query_size": E, "key_size": E, "hidden_size": 4},
    )
    for suffix, mask in (("", ATTENDED), ("-padded", ATTENDED[:, :1]), ("-no-mask", None))
]

SIZES: dict[str, Any] = {"vocab_size": V, "embedding_size": E, "hidden_size": H}
MODELS = [
    ParityCase(f"char-lm-{cell}{suffix}", "models.CharLanguageModel", inputs, config | {"cell": cell})
    for cell, states in (("rnn", 1), ("lstm", 2), ("gru", 1))
    for suffix, inputs, config in (
        ("", text(1, states), SIZES),
        ("-no-state", text(), SIZES),
        ("-deep", text(3, states), SIZES | {"num_layers": 3, "dropout": 0.3}),
        ("-tied", text(2, states), SIZES | {"num_layers": 2, "embedding_size": H, "tied": True}),
    )
]
MODELS += [
    ParityCase(f"names{suffix}", "models.NameGenerator", inputs, SIZES | config)
    for suffix, inputs, config in (
        ("", text(), {}),
        ("-state", text(1), {}),
        ("-ragged", text(ragged=True), {"num_layers": 2}),
        ("-ragged-state", text(2, ragged=True), {"num_layers": 2}),
        ("-deep", text(ragged=True), {"num_layers": 3, "dropout": 0.3}),
    )
]
MODELS += [
    ParityCase(f"sentiment{suffix}", "models.SentimentClassifier", reviews, SIZES | config)
    for suffix, config in (
        ("", {}),
        ("-max", {"pooling": "max", "classes": 3}),
        ("-deep", {"num_layers": 3, "dropout": 0.3}),
        ("-deep-max", {"num_layers": 2, "dropout": 0.3, "pooling": "max"}),
    )
]
LANGUAGES: dict[str, Any] = {"source_vocab_size": V, "target_vocab_size": V + 2, "embedding_size": E, "hidden_size": H}
MODELS += [
    ParityCase(
        f"seq2seq-{attention}{suffix}",
        "models.Seq2Seq",
        translation,
        LANGUAGES | config | {"attention": attention},
    )
    for attention in ("dot", "additive")
    for suffix, config in (("", {}), ("-deep", {"num_layers": 3, "dropout": 0.3}))
]

CASES = [*POOLING, *ALIGNMENT, *MODELS]


def with_lengths(*shape: int) -> Inputs:
    """Return a draw of sequences (B, T, C) and of their lengths."""
    return lambda draw: {"x": draw.normal(*shape), "lengths": draw.integers(1, shape[1] + 1, shape[0])}


def attended(B: int, queries: int, keys: int, width: int, weighted: bool = False) -> Inputs:
    """Return a draw of queries, a memory of as wide keys and values, and perhaps the weights of an additive score."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        inputs = {"query": draw.normal(B, queries, width), "key": draw.normal(B, keys, width), "value": draw.normal(B, keys, width)}
        return inputs | ({"weight": draw.normal(width)} if weighted else {})

    return draw_inputs


def text_of(time: int, lengths: bool = False) -> Inputs:
    """Return a draw of one text of so many tokens, and perhaps of its length."""
    return lambda draw: {"tokens": draw.integers(1, V - 1, 1, time)} | ({"lengths": np.array([time])} if lengths else {})


def one_translated(draw: Draw) -> dict[str, Any]:
    """Draw a source of 6 tokens, and the 4 tokens of the target that the decoder reads."""
    return {"source": draw.integers(0, V - 1, 1, 6), "lengths": np.array([6]), "target": draw.integers(0, V + 1, 1, 4)}


CASES += [
    ParityCase(f"{name}-{size}", path, with_lengths(*shape))
    for name, path in (
        ("masked_mean", "ops.masked_mean"),
        ("masked_max", "ops.masked_max"),
        ("MaskedMean", "layers.MaskedMean"),
        ("MaskedMax", "layers.MaskedMax"),
    )
    for size, shape in (("batch-of-one", (1, 6, 5)), ("square", (66, 3, 66)))
]
CASES += [
    case
    for size, sizes in (("batch-of-one", (1, 3, 4, 5)), ("square", (17, 15, 5, 17)))
    for case in (
        ParityCase(f"additive_attention-{size}", "ops.additive_attention", attended(*sizes, weighted=True)),
        ParityCase(f"DotAttention-{size}", "layers.DotAttention", attended(*sizes)),
        ParityCase(
            f"AdditiveAttention-{size}",
            "layers.AdditiveAttention",
            attended(*sizes),
            {"query_size": sizes[-1], "key_size": sizes[-1], "hidden_size": 4},
        ),
    )
]
CASES += [
    ParityCase(f"{name}-batch-of-one", f"models.{model}", inputs, config)
    for name, model, inputs, config in (
        *((f"char-lm-{cell}", "CharLanguageModel", text_of(6), SIZES | {"cell": cell}) for cell in ("rnn", "lstm", "gru")),
        ("names", "NameGenerator", text_of(6), SIZES),
        ("sentiment", "SentimentClassifier", text_of(6, lengths=True), SIZES | {"classes": 3, "num_layers": 2}),
        ("seq2seq", "Seq2Seq", one_translated, LANGUAGES),
    )
]
