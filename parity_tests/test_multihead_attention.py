"""Multi-head attention beyond its cases: torch's layer, the key-value cache, grouped heads, and bad input."""

import itertools

import numpy as np
import pytest
import torch

import reference.layers
from parity.weights import set_state
from parity_tests.shared import assert_equal_up_to_rounding, assert_refused_in_one_line
from scratch.layers import MultiheadAttention
from scratch.module import constant
from scratch.ops import causal_mask, padding_mask
from scratch.random import manual_seed

RNG = np.random.default_rng(0)
B, L, S, WIDTH, HEADS = 3, 5, 7, 12, 3
LENGTHS = np.array([4, 7, 1])


def normal(*shape):
    return RNG.normal(size=shape)


def layer_of(*sizes, **config):
    """Build a layer in float64 with biases that are not 0."""
    manual_seed(1)
    return MultiheadAttention(*sizes, **config).astype(np.float64)


def with_torchs_names(arrays):
    """Rename our projections as in torch.nn.MultiheadAttention, which joins the three if their shapes allow."""
    arrays = {name: torch.as_tensor(array) for name, array in arrays.items()}
    joined = [arrays.pop(f"{x}_proj.weight") for x in "qkv"]
    biases = [arrays.pop(f"{x}_proj.bias", None) for x in "qkv"]
    if len({weight.shape for weight in joined}) == 1:
        arrays["in_proj_weight"] = torch.cat(joined)
    else:
        arrays |= {f"{x}_proj_weight": weight for x, weight in zip("qkv", joined, strict=True)}
    return arrays if biases[0] is None else arrays | {"in_proj_bias": torch.cat(biases)}


MASKS = {
    "none": (None, {}),
    "padding": (padding_mask(LENGTHS, S)[0], {"key_padding_mask": torch.from_numpy(np.arange(S) >= LENGTHS[:, None])}),
    "causal": (causal_mask(L, S)[0], {"attn_mask": torch.from_numpy(~causal_mask(L, S)[0])}),
    "added": (added := normal(L, S), {"attn_mask": torch.from_numpy(added)}),
    "added to heads": (
        added := normal(B, HEADS, L, S),
        {"attn_mask": torch.from_numpy(added.reshape(B * HEADS, L, S))},
    ),
    "both": (
        padding_mask(LENGTHS, S)[0] & causal_mask(L, S)[0],
        {
            "key_padding_mask": torch.from_numpy(np.arange(S) >= LENGTHS[:, None]),
            "attn_mask": torch.from_numpy(~causal_mask(L, S)[0]),
        },
    ),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("widths", [{}, {"kdim": 7, "vdim": 10}, {"kdim": 9}])
@pytest.mark.parametrize("mask", MASKS)
def test_the_layer_agrees_with_torchs_after_renaming_weights(mask, widths, bias):
    ours = layer_of(WIDTH, HEADS, bias=bias, **widths)
    theirs = torch.nn.MultiheadAttention(WIDTH, HEADS, bias=bias, batch_first=True, dtype=torch.float64, **widths)
    theirs.load_state_dict(with_torchs_names(ours.state_dict()))
    inputs = normal(B, L, WIDTH), normal(B, S, widths.get("kdim", WIDTH)), normal(B, S, widths.get("vdim", WIDTH))
    our_mask, their_masks = MASKS[mask]

    (y, _), backward = ours(*inputs, our_mask)
    leaves = [torch.from_numpy(x).requires_grad_() for x in inputs]
    expected, weights = theirs(*leaves, **their_masks, average_attn_weights=False)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(ours.attend(*inputs, our_mask), weights.detach(), rtol=1e-11, atol=1e-13)

    dy = normal(*y.shape)
    expected.backward(torch.from_numpy(dy))
    for gradient, leaf in zip(backward(dy), leaves, strict=False):
        np.testing.assert_allclose(gradient, leaf.grad, rtol=1e-10, atol=1e-13)
    gradients = with_torchs_names({name: p.grad for name, p in ours.named_parameters()})
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(gradients[name], parameter.grad, rtol=1e-10, atol=1e-12, err_msg=name)


KINDS = {"plain": {}, "grouped": {"num_kv_heads": 1}, "wide": {"head_dim": 5, "num_heads": 4, "num_kv_heads": 2}}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pieces", [[1] * 9, [9], [4, 1, 4], [1, 8]])
def test_a_sequence_in_cached_pieces_gives_the_same_values(kind, pieces):
    layer = layer_of(WIDTH, **{"num_heads": HEADS} | KINDS[kind])
    x = normal(B, 9, WIDTH)
    (whole, kept), _ = layer(x, x, x, None, True)
    past, found = None, []
    for start, stop in itertools.pairwise([0, *np.cumsum(pieces)]):
        piece = x[:, start:stop]
        (y, past), _ = layer(piece, piece, piece, None, True, past)
        found.append(y)
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, rtol=1e-11, atol=1e-13)
    assert_equal_up_to_rounding(past, kept, 1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cached_memory_gives_the_same_values_again(kind):
    layer = layer_of(WIDTH, **{"num_heads": HEADS} | KINDS[kind])
    x, memory, mask = normal(B, L, WIDTH), normal(B, S, WIDTH), padding_mask(LENGTHS, S)[0]
    (y, kept), backward = layer(x, memory, memory, mask)
    (again, still_kept), again_backward = layer(x, None, None, mask, False, kept)
    np.testing.assert_array_equal(again, y)
    np.testing.assert_array_equal(still_kept, kept)
    dx, *_ = backward(np.ones_like(y))
    again_dx, *others = again_backward(np.ones_like(y))
    np.testing.assert_array_equal(again_dx, dx)
    assert others == [None] * 5


def test_selected_rows_of_the_cache_continue_their_sequences():
    layer = layer_of(WIDTH, HEADS)
    x, next_x = normal(B, L, WIDTH), normal(4, 1, WIDTH)
    (_, kept), _ = layer(x, x, x, None, True)
    rows = np.array([2, 0, 2, 1])
    layers_first = tuple(np.stack([part, part]) for part in kept)  # (layers, B, ...): scratch.generation selects rows of this form
    chosen = tuple(part[:, rows][0] for part in layers_first)
    (y, _), _ = layer(next_x, next_x, next_x, None, True, chosen)
    longer = np.concatenate([x[rows], next_x], axis=1)
    (expected, _), _ = layer(longer, longer, longer, None, True)
    np.testing.assert_allclose(y, expected[:, -1:], rtol=1e-11, atol=1e-13)


def test_grouped_heads_equal_repeated_heads():
    grouped, plain = layer_of(WIDTH, 6, num_kv_heads=2), layer_of(WIDTH, 6)
    state = grouped.state_dict()
    for name in ("k_proj.weight", "k_proj.bias", "v_proj.weight", "v_proj.bias"):
        heads = state[name].reshape(2, 2, -1)
        state[name] = heads.repeat(3, axis=0).reshape(12, *state[name].shape[1:])
    plain.load_state_dict(state)
    inputs = normal(B, L, WIDTH), normal(B, S, WIDTH), normal(B, S, WIDTH)
    (y, _), backward = grouped(*inputs)
    (expected, _), expected_backward = plain(*inputs)
    assert_equal_up_to_rounding(y, expected, 1e-12)
    dy = normal(*y.shape)
    for gradient, other in zip(backward(dy)[:3], expected_backward(dy), strict=False):
        np.testing.assert_allclose(gradient, other, rtol=1e-10, atol=1e-13)
    summed = plain.k_proj.weight.grad.reshape(2, 3, 2, WIDTH).sum(axis=1).reshape(4, WIDTH)
    np.testing.assert_allclose(grouped.k_proj.weight.grad, summed, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("past", [False, True])
def test_attention_weights_agree_between_twins(past):
    ours = layer_of(WIDTH, HEADS, num_kv_heads=1, dropout=0.5)
    theirs = reference.layers.MultiheadAttention(WIDTH, HEADS, num_kv_heads=1, dropout=0.5).double()
    set_state(theirs, ours.state_dict())
    kept = (normal(B, 1, 4, 4), normal(B, 1, 4, 4)) if past else None
    inputs = normal(B, L, WIDTH), normal(B, L, WIDTH), normal(B, L, WIDTH), None, True
    tensors = [torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in inputs]
    weights = ours.attend(*inputs, kept)
    expected = theirs.attend(*tensors, None if kept is None else tuple(map(torch.from_numpy, kept)))
    np.testing.assert_allclose(weights, expected.detach(), rtol=1e-12, atol=1e-15)
    assert_equal_up_to_rounding(weights.sum(axis=-1), 1, 1e-12)


def test_dropout_draws_a_new_mask_and_keeps_the_mean():
    layer = layer_of(WIDTH, HEADS, dropout=0.5)
    x = normal(B, L, WIDTH)
    first, second, *others = (layer(x, x, x)[0][0] for _ in range(2000))
    assert not np.array_equal(first, second)
    (expected, _), _ = layer.eval()(x, x, x)
    np.testing.assert_allclose(np.mean([first, second, *others], axis=0), expected, atol=0.03)
    np.testing.assert_array_equal(layer(x, x, x)[0][0], expected)


def test_a_constant_mask_has_no_gradient():
    layer = layer_of(WIDTH, HEADS)
    x, mask = normal(B, L, WIDTH), normal(L, L)
    (y, _), backward = layer(x, x, x, mask)
    assert backward(np.ones_like(y))[3].shape == mask.shape
    with constant(mask):
        (y, _), backward = layer(x, x, x, mask)
    assert backward(np.ones_like(y))[3] is None


def test_a_layer_may_have_width_1():
    layer = layer_of(1, 1)
    x = normal(1, 1, 1)
    (y, (keys, values)), backward = layer(x, x, x)
    assert y.shape == x.shape == backward(y)[0].shape
    assert keys.shape == values.shape == (1, 1, 1, 1)


X = normal(B, L, WIDTH)
BAD = {
    "sizes": (lambda: layer_of(WIDTH, 0), "expected positive sizes, got embed_dim 12, num_heads 0"),
    "key width": (lambda: layer_of(WIDTH, HEADS, kdim=0), "vdim None, num_kv_heads None, head_dim None"),
    "heads": (lambda: layer_of(WIDTH, 5), "MultiheadAttention: num_heads 5 does not divide embed_dim 12; give head_dim"),
    "key heads": (lambda: layer_of(WIDTH, HEADS, num_kv_heads=2), "num_kv_heads 2 does not divide num_heads 3"),
    "dropout": (lambda: layer_of(WIDTH, HEADS, dropout=-0.1), "dropout is -0.1, expected a probability, 0 to 1"),
    "query": (lambda: layer_of(WIDTH, HEADS)(X[..., 1:], X, X), "expected query (B, T, 12), got (3, 5, 11)"),
    "key": (lambda: layer_of(WIDTH, HEADS, kdim=7)(X, X, X), "expected key (B, T, 7), got (3, 5, 12)"),
    "value": (lambda: layer_of(WIDTH, HEADS)(X, X, X[0]), "expected value (B, T, 12), got (5, 12)"),
    "lengths of key and value": (lambda: layer_of(WIDTH, HEADS)(X, X, X[:, 1:]), "with all axes but the last as in key"),
    "batch of the key": (lambda: layer_of(WIDTH, HEADS)(X, X[:2], X[:2]), "MultiheadAttention: expected one batch, got query "),
    "no key": (lambda: layer_of(WIDTH, HEADS)(X), "MultiheadAttention: expected key and value, or past in their place"),
    "no value": (lambda: layer_of(WIDTH, HEADS)(X, X), "MultiheadAttention: expected key and value, or past in their place"),
    "keys of the past": (
        lambda: layer_of(WIDTH, HEADS)(X, X, X, None, True, (normal(B, 2, 4, 4), normal(B, 2, 4, 4))),
        "MultiheadAttention: expected the keys of past of shape (3, 3, 4, 4), got (3, 2, 4, 4)",
    ),
    "values of the past": (
        lambda: layer_of(WIDTH, HEADS)(X, X, X, None, True, (normal(B, HEADS, 4, 4), normal(B, HEADS, 5, 4))),
        "MultiheadAttention: expected the values of past of shape (3, 3, 4, 4), got (3, 3, 5, 4)",
    ),
    "mask's shape": (
        lambda: layer_of(WIDTH, HEADS)(X, X, X, np.ones((B, L), bool)),
        "expected attn_mask of a shape that broadcasts to (3, 3, 5, 5), got (3, 5)",
    ),
    "mask's dtype": (
        lambda: layer_of(WIDTH, HEADS)(X, X, X, np.ones((L, L), int)),
        "attn_mask is int64, expected bool (true: may attend) or float64 to be added",
    ),
    "length": (lambda: padding_mask(np.array([3, 8]), 7), "padding_mask: expected lengths from 0 to 7, got 3 to 8"),
    "negative length": (lambda: padding_mask(np.array([3, -1]), 7), "padding_mask: expected lengths from 0 to 7, got -1 to 3"),
    "float lengths": (
        lambda: padding_mask(np.array([3.0]), 7),
        "padding_mask: expected lengths (B,) of whole numbers, got float64 of shape (1,)",
    ),
    "axes of lengths": (lambda: padding_mask(np.array([[3]]), 7), "of whole numbers, got int64 of shape (1, 1)"),
    "negative size": (lambda: causal_mask(-1), "causal_mask: expected sizes and an offset of at least 0, got L -1, S None"),
    "negative offset": (lambda: causal_mask(3, 4, -1), "got L 3, S 4 and offset -1"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])
