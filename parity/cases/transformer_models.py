"""Transformers: encoder and decoder layers, the encoder-decoder, BERT."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import Inputs
from parity.inputs import Draw
from scratch.module import Array

AFTER = ("feed_forward",)
B, S, T = 3, 13, 17
WIDTH, HEADS, INNER = 15, 3, 11
LENGTHS = np.array([6, 13, 1])
PRESENT = (np.arange(S) < LENGTHS[:, None])[:, None, None]


def sequence(**others: Any) -> Inputs:
    """Return a draw of the inputs of an encoder layer: src (B, S, WIDTH) and others, as values or draws."""
    return lambda draw: {"src": draw.normal(B, S, WIDTH)} | drawn(draw, {"src_mask": None, "is_causal": False} | others)


def sequences(**others: Any) -> Inputs:
    """Return a draw of the inputs of a decoder layer: tgt (B, T, WIDTH), memory (B, S, WIDTH) and others, as values or draws."""
    given = {"tgt_mask": None, "memory_mask": None, "tgt_is_causal": True} | others
    return lambda draw: {"tgt": draw.normal(B, T, WIDTH), "memory": draw.normal(B, S, WIDTH)} | drawn(draw, given)


def drawn(draw: Draw, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs, with the result of each that is a function of a draw."""
    return {name: value(draw) if callable(value) else value for name, value in inputs.items()}


def added(*shape: int) -> Callable[[Draw], Array]:
    """Return a draw of an additive mask."""
    return lambda draw: draw.normal(*shape)


def kept(draw: Draw) -> tuple[Array, ...]:
    """Draw a decoder layer's key-value cache: of 5 tokens and of the memory."""
    return tuple(draw.normal(B, HEADS, length, WIDTH // HEADS) for length in (5, 5, S, S))


SIZES: dict[str, Any] = {"d_model": WIDTH, "nhead": HEADS, "dim_feedforward": INNER, "dropout": 0.0}
LAYERS = [
    ParityCase(
        f"Transformer{layer}{suffix}",
        f"layers.Transformer{layer}",
        inputs,
        SIZES | config,
        constants=("past",),
    )
    for layer, suffix, inputs, config in (
        ("EncoderLayer", "", sequence(), {}),
        ("EncoderLayer", "-pre-norm", sequence(), {"norm_first": True}),
        ("EncoderLayer", "-ragged", sequence(src_mask=PRESENT), {"activation": "gelu", "layer_norm_eps": 1e-3}),
        ("EncoderLayer", "-ragged-pre-norm", sequence(src_mask=PRESENT), {"norm_first": True, "dropout": 0.3}),
        ("EncoderLayer", "-causal", sequence(is_causal=True), {"bias": False}),
        ("EncoderLayer", "-added", sequence(src_mask=added(HEADS, S, S), is_causal=True), {"norm_first": True, "bias": False}),
        ("EncoderLayer", "-dropout", sequence(src_mask=PRESENT), {"dropout": 0.3}),
        ("DecoderLayer", "", sequences(), {}),
        ("DecoderLayer", "-pre-norm", sequences(), {"norm_first": True}),
        ("DecoderLayer", "-ragged", sequences(memory_mask=PRESENT), {"activation": "gelu", "layer_norm_eps": 1e-3}),
        ("DecoderLayer", "-ragged-pre-norm", sequences(memory_mask=PRESENT), {"norm_first": True, "dropout": 0.3}),
        ("DecoderLayer", "-added", sequences(tgt_mask=added(T, T), memory_mask=added(B, 1, T, S)), {"bias": False}),
        ("DecoderLayer", "-dropout", sequences(memory_mask=PRESENT), {"dropout": 0.3}),
        ("DecoderLayer", "-past", sequences(memory=None, memory_mask=PRESENT, past=kept), {}),
        ("DecoderLayer", "-past-pre-norm", sequences(memory=None, memory_mask=PRESENT, past=kept), {"norm_first": True}),
    )
]
LAYERS += [
    ParityCase(f"Transformer{layer}-default", f"layers.Transformer{layer}", inputs, {"d_model": WIDTH, "nhead": HEADS})
    for layer, inputs in (("EncoderLayer", sequence()), ("DecoderLayer", sequences()))
]

V = 19


def translation(draw: Draw) -> dict[str, Any]:
    """Draw sources of different lengths, and the targets that the decoder reads."""
    return {"source": draw.integers(0, V - 1, B, S), "lengths": LENGTHS, "target": draw.integers(0, V - 1, B, T)}


# In a deep stack with large residual branches all tokens become similar, and mistakes in attention no longer show.
QUIET = {".out_proj.": 0.25, ".linear2.": 0.25, ".norm1.bias": 0.25, ".norm2.bias": 0.25, ".norm3.bias": 0.25, ".q_proj.weight": 2}
LANGUAGES: dict[str, Any] = {"source_vocab_size": V, "target_vocab_size": V + 2, "context": T, "dropout": 0.0}
STACK: dict[str, Any] = {"width": WIDTH, "layers": 1, "heads": HEADS, "feed_forward": INNER}
TRANSFORMER = [
    ParityCase(f"transformer{suffix}", "models.Transformer", translation, LANGUAGES | STACK | config, scales=scales)
    for suffix, config, scales in (
        ("", {}, {}),
        ("-pre-norm", {"norm_first": True}, {}),
        ("-two", {"layers": 2}, {}),
        ("-dropout", {"layers": 2, "dropout": 0.3, "norm_first": True}, {}),
        ("-tied", {"layers": 2, "tied": True, "target_vocab_size": V, "dropout": 0.3}, {}),
        ("-deep", {"layers": 6, "width": 14, "heads": 2}, QUIET),
    )
]


def passages(draw: Draw) -> dict[str, Any]:
    """Draw texts of different lengths, each but the shortest with two segments."""
    return {
        "tokens": draw.integers(0, V - 1, B, S),
        "segments": (np.arange(S) >= np.array([[4], [7], [S]])).astype(np.int64),
        "lengths": LENGTHS,
    }


BERT = [
    ParityCase(f"bert{suffix}", "models.BERT", passages, {"vocab_size": V, "context": T} | STACK | config, scales=scales)
    for suffix, config, scales in (
        ("", {"dropout": 0.0}, {}),
        ("-default-dropout", {}, {}),
        ("-two", {"layers": 2, "segments": 3, "dropout": 0.3}, {}),
        ("-deep", {"layers": 12, "width": 14, "heads": 2, "dropout": 0.0}, QUIET),
    )
]

CASES = [*LAYERS, *TRANSFORMER, *BERT]


def so_long(batch: int, time: int, width: int, memory: int = 0) -> Inputs:
    """Return a draw of the inputs of a layer: src (batch, time, width), or tgt with a memory of so many steps."""
    if memory:
        return lambda draw: {"tgt": draw.normal(batch, time, width), "memory": draw.normal(batch, memory, width)}
    return lambda draw: {"src": draw.normal(batch, time, width), "src_mask": None, "is_causal": False}


def one_passage(draw: Draw) -> dict[str, Any]:
    """Draw a text of 8 tokens in three segments."""
    return {"tokens": draw.integers(0, V - 1, 1, 8), "segments": np.arange(8)[None] // 3, "lengths": np.array([8])}


def one_translated(draw: Draw) -> dict[str, Any]:
    """Draw a source of 8 tokens, and the 6 tokens of the target that the decoder reads."""
    return {"source": draw.integers(0, V - 1, 1, 8), "lengths": np.array([8]), "target": draw.integers(0, V - 1, 1, 6)}


CASES += [
    ParityCase(
        f"Transformer{layer}Layer-{size}",
        f"layers.Transformer{layer}Layer",
        so_long(*shape, memory=memory),
        {"d_model": shape[-1], "nhead": HEADS, "dim_feedforward": INNER} | config,
        constants=("past",),
    )
    for layer, memory in (("Encoder", 0), ("Decoder", 5))
    for size, shape, config in (
        ("batch-of-one", (1, 4, 6), {}),
        ("batch-of-one-pre-norm", (1, 4, 6), {"dropout": 0.0, "norm_first": True}),
        ("square", (18, 13, 18), {"dropout": 0.0, "norm_first": True}),
    )
]
CASES += [  # with the default dropout
    ParityCase("bert-batch-of-one", "models.BERT", one_passage, {"vocab_size": V, "context": T, "segments": 3} | STACK),
    ParityCase(
        "transformer-batch-of-one",
        "models.Transformer",
        one_translated,
        {"source_vocab_size": V, "target_vocab_size": V + 2, "context": T} | STACK,
    ),
]
