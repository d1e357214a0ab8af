"""Attention, its masks, and multi-head attention."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.case import ParityCase
from parity.cases.draws import Inputs
from parity.inputs import Draw
from scratch.module import Array

B, H, L, S, E, V = 3, 2, 13, 17, 5, 7  # batch, heads, queries, keys, and the widths of keys and values
LENGTHS = np.array([6, 17, 1])


def attended(*leading: int, queries: int = L, keys: int = S, groups: int = 0, values: bool = True, spread: bool = False) -> Inputs:
    """Return a draw of queries, keys and values (*leading, ...), the latter two with `groups` heads if these are given.

    With `spread`, the scores differ so much that most weights are near 0.
    """

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        few = (*leading[:-1], groups) if groups else leading
        inputs = {
            "query": draw.normal(*leading, queries, E, scale=8.0 if spread else 1.5),
            "key": draw.normal(*few, keys, E, scale=8.0 if spread else 1.5),
        }
        return inputs | ({"value": draw.normal(*few, keys, V)} if values else {})

    return draw_inputs


def masked(inputs: Inputs, mask: Callable[[Draw], Array]) -> Inputs:
    """Return a draw of the same inputs and an attention mask."""
    return lambda draw: inputs(draw) | {"attn_mask": mask(draw)}


def dropping(inputs: Inputs, *shape: int) -> Inputs:
    """Return a draw of the same inputs and a dropout mask, after the attention mask or None."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        drawn = inputs(draw)
        return drawn | {"attn_mask": drawn.get("attn_mask"), "keep": draw.booleans(*shape)}

    return draw_inputs


def ragged(draw: Draw) -> Array:
    """Return a mask of the keys within each length, the same for every query and head."""
    return (np.arange(S) < LENGTHS[:, None])[:, None, None]


def arbitrary(draw: Draw) -> Array:
    """Draw a mask by which one query attends no key, one attends all keys, and one attends the last key alone."""
    mask = draw.booleans(L, S)
    mask[3], mask[7], mask[9] = False, True, np.arange(S) == S - 1
    return mask


def bias(*shape: int) -> Callable[[Draw], Array]:
    """Return a draw of an additive mask."""
    return lambda draw: draw.normal(*shape)


def bias_with_blind_rows(draw: Draw) -> Array:
    """Draw an additive mask with minus infinity where `arbitrary` is false, for some queries in all places."""
    return np.where(arbitrary(draw), draw.normal(B, 1, L, S), -np.inf)


def given(**inputs: Any) -> Inputs:
    """Return a draw that always gives these inputs."""
    return lambda draw: inputs


SDPA, WEIGHTS = "scaled_dot_product_attention", "attention_weights"
ATTENTION = [
    ParityCase(f"attention{suffix}", f"ops.{SDPA}", inputs, config)
    for suffix, inputs, config in (
        ("", attended(B, H), {}),
        ("-spread", attended(B, H, spread=True), {}),
        ("-one-head", attended(B), {}),
        ("-two-axes", attended(), {}),
        ("-causal", attended(B, H, queries=S), {"is_causal": True}),
        ("-causal-fewer-queries", attended(B, H), {"is_causal": True}),
        ("-causal-more-queries", attended(B, H, queries=S + 4), {"is_causal": True}),
        ("-causal-offset", attended(B, H), {"is_causal": True, "causal_offset": 4}),
        ("-causal-all", attended(B, H, queries=1), {"is_causal": True, "causal_offset": S - 1}),
        ("-scale", attended(B, H), {"scale": 0.3}),
        ("-ragged", masked(attended(B, H), ragged), {}),
        ("-masked", masked(attended(B, H), arbitrary), {}),
        ("-masked-causal", masked(attended(B, H), arbitrary), {"is_causal": True}),
        ("-bias", masked(attended(B, H), bias(B, H, L, S)), {}),
        ("-bias-of-heads", masked(attended(B, H), bias(H, L, S)), {"scale": 1.0}),
        ("-bias-of-keys", masked(attended(B, H), bias(B, 1, 1, S)), {}),
        ("-bias-blind", masked(attended(B, H), bias_with_blind_rows), {}),
        ("-bias-causal", masked(attended(B, H), bias(H, L, S)), {"is_causal": True, "causal_offset": 2}),
        ("-grouped", attended(B, 6, groups=2), {"enable_gqa": True}),
        ("-grouped-bias", masked(attended(B, 6, groups=2), bias(6, L, S)), {"enable_gqa": True, "is_causal": True}),
        ("-blocks", attended(2, 3, queries=131, keys=137), {}),
        ("-blocks-causal", attended(2, 3, queries=257, keys=257), {"is_causal": True}),
        ("-blocks-fewer-keys", attended(2, 3, queries=263, keys=137), {"is_causal": True}),
        ("-blocks-causal-offset", attended(2, 3, queries=131, keys=137), {"is_causal": True, "causal_offset": 6}),
        ("-blocks-bias", masked(attended(2, 3, queries=131, keys=137), bias(3, 131, 137)), {}),
        ("-blocks-grouped", attended(2, 6, queries=131, keys=137, groups=2), {"enable_gqa": True, "is_causal": True}),
        ("-blocks-dropout", dropping(attended(2, 3, queries=131, keys=137), 2, 3, 131, 137), {"dropout_p": 0.3}),
        ("-dropout", dropping(attended(B, H), B, H, L, S), {"dropout_p": 0.3}),
        ("-dropout-ragged", dropping(masked(attended(B, H), ragged), B, H, L, S), {"dropout_p": 0.3, "is_causal": True}),
        ("-dropout-grouped", dropping(attended(B, 6, groups=2), B, 6, L, S), {"dropout_p": 0.3, "enable_gqa": True}),
    )
]
ATTENTION += [
    ParityCase(f"attention_weights{suffix}", f"ops.{WEIGHTS}", inputs, config)
    for suffix, inputs, config in (
        ("", attended(B, H, values=False), {}),
        ("-causal", attended(B, H, values=False), {"is_causal": True, "scale": 0.3, "causal_offset": 1}),
        ("-masked", masked(attended(B, H, values=False), arbitrary), {}),
        ("-bias-grouped", masked(attended(B, 6, groups=2, values=False), bias(6, L, S)), {"enable_gqa": True}),
    )
]

MASKS = [
    ParityCase(f"causal_mask{suffix}", "ops.causal_mask", given(**sizes))
    for suffix, sizes in (
        ("", {"L": 13, "S": None}),
        ("-fewer-queries", {"L": 13, "S": 17}),
        ("-more-queries", {"L": 17, "S": 13}),
        ("-offset", {"L": 5, "S": 17, "offset": 12}),
    )
]
MASKS += [
    ParityCase("padding_mask", "ops.padding_mask", given(lengths=LENGTHS, T=S)),
    ParityCase("padding_mask-none", "ops.padding_mask", given(lengths=np.array([4, 0, 17]), T=S)),
]


WIDTH, HEADS, HEAD = 12, 3, 4


def sequences(queries: int = L, keys: int = S, kdim: int = WIDTH, vdim: int = WIDTH, **others: Callable[[Draw], Any]) -> Inputs:
    """Return a draw of the inputs of a layer: query, key, value and other arguments, each with its own draw."""

    def draw_inputs(draw: Draw) -> dict[str, Any]:
        inputs = {"query": draw.normal(B, queries, WIDTH), "key": draw.normal(B, keys, kdim), "value": draw.normal(B, keys, vdim)}
        optional = {"attn_mask": None, "is_causal": False, "past": None}
        return inputs | (optional if others else {}) | {name: draw_one(draw) for name, draw_one in others.items()}

    return draw_inputs


def always(value: Any) -> Callable[[Draw], Any]:
    """Return a draw that always gives this value."""
    return lambda draw: value


def heads(count: int, length: int) -> Callable[[Draw], Any]:
    """Return a draw of a key-value cache."""
    return lambda draw: (draw.normal(B, count, length, HEAD), draw.normal(B, count, length, HEAD))


MULTI = "MultiheadAttention"
MULTIHEAD = [
    ParityCase(
        f"{MULTI}{suffix}",
        f"layers.{MULTI}",
        inputs,
        {"embed_dim": WIDTH, "num_heads": HEADS} | config,
        constants=("past",),
    )
    for suffix, inputs, config in (
        ("", sequences(), {}),
        ("-causal", sequences(keys=L, is_causal=always(True)), {}),
        ("-widths", sequences(kdim=7, vdim=10), {"kdim": 7, "vdim": 10, "bias": False}),
        ("-ragged", sequences(attn_mask=ragged), {}),
        ("-masked", sequences(attn_mask=arbitrary), {"head_dim": 5}),
        ("-bias", sequences(attn_mask=bias(HEADS, L, S)), {"head_dim": 5, "scale": 1.0, "bias": False}),
        ("-grouped", sequences(attn_mask=ragged), {"num_heads": 6, "num_kv_heads": 2, "head_dim": 4}),
        ("-one-key-head", sequences(keys=L, is_causal=always(True)), {"num_kv_heads": 1}),
        ("-dropout", sequences(attn_mask=ragged), {"dropout": 0.3}),
        ("-dropout-grouped", sequences(is_causal=always(True)), {"num_heads": 6, "num_kv_heads": 3, "head_dim": 4, "dropout": 0.3}),
        ("-past", sequences(keys=L, is_causal=always(True), past=heads(HEADS, 5)), {}),
        ("-past-grouped", sequences(keys=L, is_causal=always(True), past=heads(1, 5)), {"num_kv_heads": 1}),
        ("-step", sequences(queries=1, keys=1, is_causal=always(True), past=heads(HEADS, S)), {}),
        ("-memory", sequences(key=always(None), value=always(None), attn_mask=ragged, past=heads(HEADS, S)), {}),
    )
]

CASES = [*ATTENTION, *MASKS, *MULTIHEAD]


def of_size(*leading: int, queries: int, keys: int, width: int, values: bool = True) -> Inputs:
    """Return a draw of queries (*leading, queries, width), and of as wide keys and values."""

    def draw_inputs(draw: Draw) -> dict[str, Array]:
        shapes = {"query": queries, "key": keys} | ({"value": keys} if values else {})
        return {name: draw.normal(*leading, length, width) for name, length in shapes.items()}

    return draw_inputs


CASES += [
    ParityCase(f"attention-{name}", f"ops.{SDPA}", inputs, config)
    for name, inputs, config in (
        ("batch-of-one", of_size(1, 2, queries=9, keys=5, width=6), {}),
        ("square", of_size(18, queries=13, keys=7, width=18), {}),
        ("blocks-batch-of-one", of_size(1, queries=131, keys=5, width=1), {"is_causal": True}),
        ("blocks-two-axes", of_size(queries=131, keys=17, width=131), {}),
    )
]
CASES += [
    ParityCase(f"attention_weights-{name}", f"ops.{WEIGHTS}", inputs, config)
    for name, inputs, config in (
        ("two-axes", of_size(queries=5, keys=3, width=5, values=False), {}),
        ("batch-of-one", of_size(1, queries=13, keys=5, width=6, values=False), {"is_causal": True}),
        ("square", of_size(18, queries=13, keys=7, width=18, values=False), {}),
    )
]
CASES += [
    ParityCase("causal_mask-one-query", "ops.causal_mask", given(L=1, S=None)),
    ParityCase("causal_mask-large", "ops.causal_mask", given(L=67, S=67)),
    ParityCase("padding_mask-batch-of-one", "ops.padding_mask", given(lengths=np.array([3]), T=5)),
    ParityCase("padding_mask-large", "ops.padding_mask", given(lengths=np.arange(4098) % 4, T=3)),
]
CASES += [
    ParityCase(f"{MULTI}-{name}", f"layers.{MULTI}", inputs, {"embed_dim": width, "num_heads": count}, constants=("past",))
    for name, inputs, width, count in (
        ("batch-of-one", of_size(1, queries=13, keys=13, width=15), 15, 3),
        ("square", of_size(18, queries=13, keys=7, width=18), 18, 1),
    )
]
