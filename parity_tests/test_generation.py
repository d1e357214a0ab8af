"""Text generation: both backends choose the same tokens from the same uniform numbers, with the right probabilities."""

from itertools import product

import numpy as np
import pytest
import torch

from reference import generation as theirs
from scratch import generation as ours

V = 11
TABLE = np.random.default_rng(5).normal(scale=2, size=(V, V))


def our_model(tokens, state):
    """Compute logits from the last two tokens; the state holds one of them."""
    past = np.zeros((1, len(tokens)), np.int64) if state is None else state[0]
    before = np.concatenate([past[0][:, None], tokens[:, :-1]], axis=1)
    return (TABLE[tokens] + 0.5 * TABLE[before][..., ::-1], (tokens[None, :, -1],)), None


def their_model(tokens, state):
    (logits, state), _ = our_model(tokens.numpy(), None if state is None else tuple(part.numpy() for part in state))
    return torch.from_numpy(logits.copy()), tuple(map(torch.from_numpy, state))


OPTIONS = [
    {},
    {"temperature": 0},
    {"temperature": 0.7},
    {"top_k": 3},
    {"top_p": 0.6},
    {"temperature": 1.5, "top_k": 5, "top_p": 0.8},
    {"top_k": 1},
    {"top_p": 1e-9},
]


@pytest.mark.parametrize("options", [*OPTIONS, {"top_k": V}], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_both_backends_choose_the_same_tokens(options, dtype):
    rng = np.random.default_rng(0)
    logits, uniform = rng.normal(scale=3, size=(5000, V)).astype(dtype), rng.random(5000)
    chosen = ours.next_token(logits, uniform, **options)
    np.testing.assert_array_equal(chosen, theirs.next_token(torch.from_numpy(logits), torch.from_numpy(uniform), **options))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_tokens_are_chosen_with_their_probability(options):
    logits, n = np.log([0.1, 0.05, 0.4, 0.05, 0.25, 0.15]), 20_000
    uniform = (np.arange(n) + 0.5) / n
    counts = np.bincount(ours.next_token(np.tile(logits, (n, 1)), uniform, **options), minlength=6) / n
    if options.get("temperature") == 0:
        p = logits == logits.max()
    else:
        p = np.exp(logits / options.get("temperature", 1))
        rank = np.argsort(np.argsort(-p, kind="stable"))
        p[rank >= options.get("top_k", 6)] = 0
        p /= p.sum()
        p[[p[rank < r].sum() >= options.get("top_p", 1) for r in rank]] = 0
    np.testing.assert_allclose(counts, p / p.sum(), atol=2 / n)


def test_adding_a_constant_to_logits_changes_nothing():
    rng = np.random.default_rng(3)
    logits, uniform = rng.normal(scale=3, size=(50, V)), rng.random(50)
    levels = rng.choice([-2e3, 0, 2e3], (50, 1))
    for module, array in ((ours, np.asarray), (theirs, torch.from_numpy)):
        expected = module.next_token(array(logits), array(uniform))
        np.testing.assert_array_equal(module.next_token(array(logits + levels), array(uniform)), expected)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_tokens_are_chosen_with_float64_precision(dtype):
    logits = np.random.default_rng(4).normal(size=(50, V)).astype(dtype)
    p = np.exp(logits.astype(np.float64))
    edges = np.cumsum(p, axis=1) / p.sum(axis=1, keepdims=True)
    for token in range(V - 1):
        assert (ours.next_token(logits, edges[:, token] - 1e-12) == token).all()
        assert (ours.next_token(logits, edges[:, token] + 1e-12) == token + 1).all()


def test_top_p_keeps_as_few_tokens_as_possible():
    halves, uniforms = np.zeros((3, 2)), np.array([0.1, 0.5, 0.9])
    assert (ours.next_token(halves, uniforms, top_p=0.5) == 0).all()
    assert (theirs.next_token(torch.from_numpy(halves), torch.from_numpy(uniforms), top_p=0.5) == 0).all()


@pytest.mark.parametrize(("uniform", "token"), [(0.0, 1), (np.nextafter(1, 0), 3), (1.0, 3)])
def test_uniform_numbers_0_and_1_choose_a_possible_token(uniform, token):
    logits, uniforms = np.array([[-np.inf, 0.0, 1.0, 2.0, -np.inf]]), np.array([uniform])
    assert ours.next_token(logits, uniforms) == token
    assert theirs.next_token(torch.from_numpy(logits), torch.from_numpy(uniforms)) == token


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_generated_texts_agree_between_backends(options):
    rng = np.random.default_rng(1)
    prompt, uniforms = rng.integers(0, V, (3, 4)), rng.random((200, 3))
    text, (state,) = ours.generate(our_model, prompt, uniforms, **options)
    other, (other_state,) = theirs.generate(their_model, torch.from_numpy(prompt), torch.from_numpy(uniforms), **options)
    np.testing.assert_array_equal(text, other)
    np.testing.assert_array_equal(state, other_state)
    np.testing.assert_array_equal(state[0], text[:, -2])


def test_generation_continues_from_a_state():
    rng = np.random.default_rng(2)
    prompt, uniforms = rng.integers(0, V, (2, 3)), rng.random((30, 2))
    whole, _ = ours.generate(our_model, prompt, uniforms)
    first, state = ours.generate(our_model, prompt, uniforms[:10])
    second, _ = ours.generate(our_model, first[:, -1:], uniforms[10:], state)
    np.testing.assert_array_equal(whole, np.concatenate([first, second], axis=1))
    assert ours.generate(our_model, prompt, uniforms[:0])[0].shape == (2, 0)


def best_of_all(prompt, steps, end, penalty):
    """Return the best of all continuations, found by trying each."""
    best = None
    for text in product(range(V), repeat=steps):
        text = text[: text.index(end) + 1] if end in text else text
        tokens = np.array([[*prompt[0], *text]])
        (logits, _), _ = our_model(tokens, None)
        log_p = logits[0] - np.log(np.exp(logits[0]).sum(axis=-1, keepdims=True))
        n = len(text)
        score = sum(log_p[prompt.shape[1] - 1 + t, text[t]] for t in range(n)) / n**penalty
        best = max(best or (score, text), (score, text))
    return best


@pytest.mark.parametrize("end", [None, 4])
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_wide_beams_find_the_best_text_and_narrow_ones_agree(end, penalty):
    prompt = np.array([[2, 7]])
    text, score = ours.beam_search(our_model, prompt, 3, V**2, end, penalty)
    best_score, best = best_of_all(prompt, 3, end, penalty)
    assert tuple(text) == best
    assert np.isclose(score, best_score)
    for beams in (1, 2, 5):
        text, score = ours.beam_search(our_model, prompt, 9, beams, end, penalty)
        other, other_score = theirs.beam_search(their_model, torch.from_numpy(prompt), 9, beams, end, penalty)
        np.testing.assert_array_equal(text, other)
        assert np.isclose(score, other_score)


def test_a_single_beam_is_greedy():
    prompt = np.array([[2, 7]])
    greedy, _ = ours.generate(our_model, prompt, np.zeros((9, 1)), temperature=0)
    text, _ = ours.beam_search(our_model, prompt, 9, 1)
    np.testing.assert_array_equal(text, greedy[0])


def test_the_default_length_penalty_is_0():
    prompt = np.array([[2, 7]])
    assert ours.beam_search(our_model, prompt, 9, 3)[1] == ours.beam_search(our_model, prompt, 9, 3, length_penalty=0.0)[1]
    for module, model, tokens in ((ours, our_model, prompt), (theirs, their_model, torch.from_numpy(prompt))):
        assert len(module.beam_search(model, tokens, 0, 3)[0]) == 0


def levelled_model(tokens, state):
    """Compute float32 logits with very different levels in the rows and a token of probability 0."""
    (logits, state), _ = our_model(tokens, state)
    logits = logits + 2e3 * (tokens % 3 - 1)[..., None]
    logits[..., 0] -= 4e3
    return (logits.astype(np.float32), state), None


def test_beam_scores_are_computed_in_float64():
    prompt = np.array([[2, 7]])
    text, score = ours.beam_search(levelled_model, prompt, 6, 5)
    (logits, _), _ = levelled_model(np.array([[*prompt[0], *text[:-1]]]), None)
    logits = logits[0, 1:].astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert np.isclose(score, log_p[np.arange(6), text].sum(), rtol=1e-12)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_the_search_stops_when_no_better_text_is_possible(penalty):
    """Use two equally likely tokens, of which one ends the text: without a penalty a longer text is never better."""
    calls = []

    def model(tokens, state):
        calls.append(tokens)
        return (np.zeros((*tokens.shape, 2)), (np.zeros((1, len(tokens))),)), None

    text, score = ours.beam_search(model, np.array([[1]]), 7, 2, end=0, length_penalty=penalty)
    assert np.isclose(score, np.log(0.5))
    assert len(text) == 1
    assert len(calls) == (1 if penalty == 0 else 7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "temperature is -1, expected at least 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0, expected 1 to 11"),
        ({"top_k": 12}, "top_k is 12, expected 1 to 11"),
        ({"top_p": 0}, "top_p is 0, expected above 0"),
        ({"top_p": 1.1}, "top_p is 1.1, expected above 0 and at most 1"),
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ours.next_token(TABLE, np.zeros(V), **options)
    with pytest.raises(ValueError, match=message):
        theirs.next_token(torch.from_numpy(TABLE), torch.zeros(V), **options)
