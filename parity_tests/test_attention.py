"""Attention beyond its cases: blocks of queries against the definition, memory, extreme scores, and bad input."""

import tracemalloc

import numpy as np
import pytest

from parity_tests.shared import assert_refused_in_one_line
from scratch.fast.blockwise_attention import BLOCK
from scratch.ops import attention_weights, scaled_dot_product_attention

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape)


def by_definition(*arrays, **options):
    """Compute attention by its definition, for any number of queries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scratch.ops.attention.suits_blocks", lambda query: False)
        return scaled_dot_product_attention(*arrays, **options)


def assert_agree(found, expected, rtol=1e-11):
    for ours, theirs in zip(found, expected, strict=True):
        if theirs is None:
            assert ours is None
        else:
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"is_causal": True, "causal_offset": 3}])
@pytest.mark.parametrize("S", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 1])
@pytest.mark.parametrize("L", [BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 1])
def test_blocks_agree_with_the_definition_at_their_edges(L, S, options):
    arrays = normal(2, 3, L, 5), normal(2, 3, S, 5), normal(2, 3, S, 4)
    dy = normal(2, 3, L, 4)
    y, backward = scaled_dot_product_attention(*arrays, **options)
    expected, expected_backward = by_definition(*arrays, **options)
    assert_agree([y, *backward(dy)], [expected, *expected_backward(dy)])


L, S = BLOCK + 3, BLOCK + 7
MASKS = {
    "one for all": lambda: RNG.random((L, S)) < 0.7,
    "keys": lambda: (np.arange(S) < np.array([[S], [5]]))[:, None, None],
    "queries": lambda: RNG.random((3, L, 1)) < 0.5,
    "added": lambda: normal(2, 3, L, S),
    "added to heads": lambda: normal(3, L, S),
    "added to keys": lambda: normal(2, 1, 1, S),
    "added to queries": lambda: normal(L, 1),
    "added to a row": lambda: normal(S),
    "added to all": lambda: normal(1, 1, 1, 1),
    "a number": lambda: np.array(0.3),
    "added infinities": lambda: np.where(RNG.random((2, 1, L, S)) < 0.7, normal(2, 1, L, S), -np.inf),
}


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("groups", [3, 1])
@pytest.mark.parametrize("mask", MASKS)
def test_blocks_agree_with_the_definition_under_masks(mask, groups, is_causal):
    attn_mask = MASKS[mask]()
    arrays = normal(2, 3, L, 5), normal(2, groups, S, 5), normal(2, groups, S, 4), attn_mask, RNG.random((2, 3, L, S)) < 0.8
    options = dict(dropout_p=0.2, is_causal=is_causal, enable_gqa=True, scale=0.7)
    dy = normal(2, 3, L, 4)
    y, backward = scaled_dot_product_attention(*arrays, **options)
    expected, expected_backward = by_definition(*arrays, **options)
    assert_agree([y, *backward(dy)], [expected, *expected_backward(dy)])


def test_dropping_every_weight_gives_0():
    for queries in (5, BLOCK + 1):
        keep = np.zeros((2, queries, 7), bool)
        y, backward = scaled_dot_product_attention(
            normal(2, queries, 3), normal(2, 7, 3), normal(2, 7, 4), None, keep, dropout_p=1.0
        )
        assert not y.any()
        assert not any(gradient.any() for gradient in backward(normal(*y.shape))[:3])


@pytest.mark.parametrize("queries", [5, BLOCK + 1])
@pytest.mark.parametrize("keys", [0, 7])
@pytest.mark.parametrize("minus_infinity", [False, True])
def test_a_query_without_keys_has_value_and_gradients_0(queries, keys, minus_infinity):
    may = np.zeros((queries, keys), bool)
    mask = np.full((queries, keys), -np.inf) if minus_infinity else may
    y, backward = scaled_dot_product_attention(normal(2, queries, 3), normal(2, keys, 3), normal(2, keys, 4), mask)
    assert (y == 0).all()
    assert not any(gradient.any() for gradient in backward(normal(*y.shape)) if gradient is not None)


@pytest.mark.parametrize("lowest", [-1e4, -1e9, np.finfo(np.float32).min])
def test_blocks_agree_with_the_definition_on_very_low_scores(lowest):
    mask = np.full((2, 1, 1, S), lowest, np.float32)
    mask[0, ..., :9] = 0
    arrays = [normal(2, 3, n, 4).astype(np.float32) for n in (L, S, S)]
    dy = normal(2, 3, L, 4).astype(np.float32)
    y, backward = scaled_dot_product_attention(*arrays, mask)
    expected, expected_backward = by_definition(*arrays, mask)
    assert_agree([y, *backward(dy)[:3]], [expected, *expected_backward(dy)[:3]], rtol=1e-4)


def test_causal_attention_ignores_later_keys():
    query, key, value = normal(2, 300, 3), normal(2, 300, 3), normal(2, 300, 4)
    y, _ = scaled_dot_product_attention(query, key, value, is_causal=True)
    key[:, 200:], value[:, 200:] = np.nan, np.nan
    other, _ = scaled_dot_product_attention(query[:, :200], key, value, is_causal=True)
    np.testing.assert_array_equal(other, y[:, :200])


@pytest.mark.parametrize("needs", [(True,) * 5, (True, True, True, False, False)])
@pytest.mark.parametrize("queries", [5, BLOCK + 1])
def test_a_constant_mask_has_no_gradient(queries, needs):
    arrays = normal(2, queries, 3), normal(2, 7, 3), normal(2, 7, 4), normal(queries, 7)
    y, backward = scaled_dot_product_attention(*arrays)
    *others, dmask, _ = backward(np.ones_like(y), needs)
    assert (dmask is not None) == needs[3]
    assert all(gradient.any() for gradient in others)


def peak_memory(T, is_causal, backward=True):
    """Return the peak memory in bytes, without the inputs, of attention over T steps."""
    arrays = [normal(2, 2, T, 16).astype(np.float32) for _ in range(4)]
    tracemalloc.start()
    run = scaled_dot_product_attention(*arrays[:3], is_causal=is_causal)
    if backward:
        run[1](arrays[3])
    _, largest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return largest


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("backward", [False, True])
def test_memory_grows_linearly_with_the_length(backward, is_causal, monkeypatch):
    monkeypatch.setattr("scratch.fast.threads._chosen", 1)  # with two threads, chance decides whether both reach their peak at once
    peak_memory(1024, is_causal, backward)  # the first call allocates memory that is kept
    short, long = (peak_memory(T, is_causal, backward) for T in (1024, 2048))
    assert long < 2.1 * short
    assert long < 2048 * 2048 * 4  # less than the matrix of one head


BAD = {
    "no width": (
        lambda: attention_weights(normal(2, 3, 0), normal(2, 4, 0)),
        "attention_weights: expected query (..., L, E) and key (..., S, E), got (2, 3, 0) and (2, 4, 0)",
    ),
    "dtypes": (
        lambda: scaled_dot_product_attention(normal(3, 4), normal(5, 4).astype("f4"), normal(5, 2)),
        "scaled_dot_product_attention: expected one floating-point dtype, got query float64, key float32, value float64",
    ),
    "widths": (
        lambda: attention_weights(normal(3, 4), normal(5, 3)),
        "attention_weights: expected query (..., L, E) and key (..., S, E), got (3, 4) and (5, 3)",
    ),
    "axes": (
        lambda: attention_weights(normal(2, 3, 4), normal(5, 4)),
        "expected query (..., L, E) and key (..., S, E), got (2, 3, 4) and (5, 4)",
    ),
    "batch": (
        lambda: attention_weights(normal(2, 3, 4), normal(1, 5, 4)),
        "expected all axes before the last two the same, got query (2, 3, 4) and key (1, 5, 4)",
    ),
    "heads": (
        lambda: attention_weights(normal(2, 5, 3, 4), normal(2, 2, 5, 4), enable_gqa=True),
        "expected heads of query divisible by those of key, all axes before the same, got query (2, 5, 3, 4) and key (2, 2, 5, 4)",
    ),
    "heads without grouping": (
        lambda: attention_weights(normal(2, 4, 3, 4), normal(2, 2, 5, 4)),
        "expected all axes before the last two the same, got query (2, 4, 3, 4) and key (2, 2, 5, 4)",
    ),
    "values": (
        lambda: scaled_dot_product_attention(normal(2, 3, 4), normal(2, 5, 4), normal(2, 6, 4)),
        "expected value (..., S, V) with all axes but the last as in key (2, 5, 4), got (2, 6, 4)",
    ),
    "mask's shape": (
        lambda: attention_weights(normal(2, 3, 4), normal(2, 5, 4), np.ones((3, 4), bool)),
        "expected attn_mask of a shape that broadcasts to (2, 3, 5), got (3, 4)",
    ),
    "mask's axes": (
        lambda: attention_weights(normal(3, 4), normal(5, 4), np.ones((1, 3, 5), bool)),
        "expected attn_mask of a shape that broadcasts to (3, 5), got (1, 3, 5)",
    ),
    "mask's dtype": (
        lambda: attention_weights(normal(3, 4), normal(5, 4), np.ones((3, 5), int)),
        "attn_mask is int64, expected bool (true: may attend) or float64 to be added",
    ),
    "mask's precision": (
        lambda: attention_weights(normal(3, 4), normal(5, 4), np.ones((3, 5), "f4")),
        "attn_mask is float32, expected bool (true: may attend) or float64 to be added",
    ),
    "offset": (
        lambda: attention_weights(normal(3, 4), normal(5, 4), is_causal=True, causal_offset=-1),
        "attention_weights: causal_offset is -1, expected at least 0",
    ),
    "dropout": (
        lambda: scaled_dot_product_attention(normal(3, 4), normal(5, 4), normal(5, 4), dropout_p=1.5),
        "dropout_p is 1.5, expected a probability, 0 to 1",
    ),
    "dropout without a mask": (
        lambda: scaled_dot_product_attention(normal(3, 4), normal(5, 4), normal(5, 4), dropout_p=0.5),
        "dropout_p is 0.5, expected a boolean `keep` of shape (3, 5) with it",
    ),
    "keep's dtype": (
        lambda: scaled_dot_product_attention(normal(3, 4), normal(5, 4), normal(5, 4), None, np.ones((3, 5)), 0.5),
        "keep is float64, expected bool",
    ),
    "keep's shape": (
        lambda: scaled_dot_product_attention(normal(3, 4), normal(5, 4), normal(5, 4), None, np.ones((1, 5), bool), 0.5),
        "expected keep of shape (3, 5), got (1, 5)",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])
