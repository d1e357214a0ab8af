"""GPT beyond its cases: the key-value cache, equal texts from both backends, training, tied weights, bad input."""

import itertools

import numpy as np
import pytest
import torch
from safetensors import safe_open

import reference.models
import scratch.models
import scratch.optim
from parity.weights import get_state, load_model, save_model, set_state
from parity_tests.shared import assert_equal_up_to_rounding, assert_refused_in_one_line
from reference import generation as their_generation
from scratch import generation
from scratch.ops import cross_entropy
from scratch.random import manual_seed

V, B = 11, 3
SIZES = {"vocab_size": V, "context": 24, "width": 15, "layers": 3, "heads": 3}
BACKENDS = {"numpy": scratch.models, "torch": reference.models}
every_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])
every_backend = pytest.mark.parametrize("models", BACKENDS.values(), ids=BACKENDS)


def twins(dtype="float64", **config):
    """Return a model of each backend with the same random weights, all different from the initial ones."""
    ours = scratch.models.GPT(**SIZES | config).astype(dtype).eval()
    rng = np.random.default_rng(0)
    for parameter in ours.parameters():
        parameter.data = rng.normal(scale=0.5, size=parameter.data.shape).astype(np.float32).astype(dtype)
    ours.ln_f.bias.data *= 0.1  # a large bias would favour some tokens in every text
    theirs = reference.models.GPT(**SIZES | config).to(getattr(torch, dtype)).eval()
    set_state(theirs, get_state(ours))
    return ours, theirs


def tokens(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, V, shape)


def uncached(model):
    """Return the model for scratch.generation without a cache: its state is the text, which it reads again for each token."""

    def step(text, state):
        text = text if state is None else np.concatenate([state[0][0], text], axis=1)
        logits, _ = model(text)
        return (logits, (text[None],)), None

    return step


# --- the cache ---


@pytest.mark.parametrize("pieces", [[1] * 13, [13], [6, 1, 6], [12, 1]], ids=str)
def test_a_text_in_pieces_gives_the_same_logits(pieces):
    ours, theirs = twins()
    text = tokens(B, 13)
    whole, _ = ours(text)
    state, their_state, found = None, None, []
    for start, stop in itertools.pairwise([0, *np.cumsum(pieces)]):
        (logits, state), backward = ours.step(text[:, start:stop], state)
        their_logits, their_state = theirs.step(torch.from_numpy(text[:, start:stop]), their_state)
        np.testing.assert_allclose(logits, their_logits.detach(), rtol=1e-11, atol=1e-13)
        assert backward is None
        assert [part.shape for part in state] == [(3, B, 3, stop, 5)] * 2
        for part, their_part in zip(state, their_state, strict=True):
            np.testing.assert_allclose(part, their_part, rtol=1e-11, atol=1e-13)
            assert not their_part.requires_grad
        found.append(logits)
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, rtol=1e-11, atol=1e-13)


@every_dtype
@pytest.mark.parametrize("options", [{"temperature": 0}, {}, {"temperature": 0.7, "top_k": 5, "top_p": 0.9}], ids=str)
def test_tokens_agree_with_and_without_the_cache_and_between_backends(dtype, options):
    ours, theirs = twins(dtype)
    prompt, uniforms = tokens(40, 4), np.random.default_rng(1).random((20, 40))
    text, state = generation.generate(ours.step, prompt, uniforms, **options)
    slow, _ = generation.generate(uncached(ours), prompt, uniforms, **options)
    other, _ = their_generation.generate(theirs.step, torch.from_numpy(prompt), torch.from_numpy(uniforms), **options)
    np.testing.assert_array_equal(text, slow)
    np.testing.assert_array_equal(text, other)
    assert len(np.unique(text)) > 2
    assert [part.dtype for part in state] == [dtype] * 2


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("end", [None, 2])
def test_beams_agree_with_and_without_the_cache_and_between_backends(beams, end):
    ours, theirs = twins()
    for prompt in tokens(5, 1, 4):
        text, score = generation.beam_search(ours.step, prompt, 15, beams, end, 0.6)
        slow, slow_score = generation.beam_search(uncached(ours), prompt, 15, beams, end, 0.6)
        other, their_score = their_generation.beam_search(theirs.step, torch.from_numpy(prompt), 15, beams, end, 0.6)
        np.testing.assert_array_equal(text, slow)
        np.testing.assert_array_equal(text, other)
        assert np.allclose([slow_score, their_score], score, rtol=1e-12)


def test_the_cache_of_an_earlier_call_has_no_gradient():
    """Continue a text from a cache, which is a constant: no gradient reaches the first part of the text."""
    model, _ = twins()
    text = tokens(B, 9)
    (_, state), _ = model.step(text[:, :5])
    logits, backward = model(text[:, 5:], state)
    assert backward(np.ones_like(logits)) == (None, None)
    assert not model.wpe.weight.grad[:5].any()
    assert model.wpe.weight.grad[5:9].all()
    assert not model.wpe.weight.grad[9:].any()


# --- texts longer than the context ---


@pytest.mark.parametrize("prompt_length", [1, 4, 23, 24, 25, 60])
def test_texts_beyond_the_context_agree_between_backends(prompt_length):
    ours, theirs = twins()
    prompt, uniforms = tokens(B, prompt_length), np.random.default_rng(1).random((100, B))
    text = generation.generate_beyond(ours.step, prompt, uniforms, 24)
    other = their_generation.generate_beyond(theirs.step, torch.from_numpy(prompt), torch.from_numpy(uniforms), 24)
    np.testing.assert_array_equal(text, other)
    assert text.shape == (B, 100)
    fits = max(25 - prompt_length, 0)
    within, _ = generation.generate(ours.step, prompt[:, : 24 if fits else 0], uniforms[:fits])
    np.testing.assert_array_equal(text[:, :fits], within)


@pytest.mark.parametrize("context", [1, 2, 7, 24])
def test_tokens_beyond_the_context_see_at_least_half_of_it(context):
    """Generate with a model that records how much it has read, which must never exceed the context."""
    seen = []

    def model(text, state):
        read = text.shape[1] + (0 if state is None else len(state[0]))
        seen.append(read)
        return (np.zeros((*text.shape, 2)), (np.zeros((read, len(text))),)), None

    text = generation.generate_beyond(model, np.zeros((1, 3), int), np.full((50, 1), 0.5), context)
    assert text.shape == (1, 50)
    assert len(seen) == 50
    assert max(seen) <= context
    assert min(seen[context:]) == max(context // 2, 1)


def test_generating_no_tokens_returns_an_empty_text():
    assert generation.generate_beyond(twins()[0].step, tokens(B, 4), np.zeros((0, B)), 24).shape == (B, 0)


# --- weights ---


@every_backend
def test_initial_weights_have_the_spread_of_gpt_2(models):
    manual_seed(0)
    torch.manual_seed(0)
    model = models.GPT(vocab_size=501, context=301, width=96, layers=8, heads=4)
    for name, array in get_state(model).items():
        if array.ndim == 1:
            assert (array == (1 if name.endswith("weight") else 0)).all(), name
        else:
            std = 0.005 if name.endswith(("out_proj.weight", "linear2.weight")) else 0.02
            assert abs(array.std() / std - 1) < 0.03, name
            assert abs(array.mean()) < 0.03 * std, name


@every_backend
def test_the_embedding_and_the_head_share_one_weight(models):
    model = models.GPT(**SIZES)
    assert model.wte.weight is model.lm_head.weight
    names = [name for name, _ in model.named_parameters()]
    assert "wte.weight" in names
    assert "lm_head.weight" not in names
    assert len(names) == 2 + 3 * 16 + 2


@pytest.mark.parametrize("writer", BACKENDS)
@pytest.mark.parametrize("reader", BACKENDS)
def test_the_tied_weight_is_stored_once_and_stays_tied(tmp_path, writer, reader):
    saved = BACKENDS[writer].GPT(**SIZES)
    save_model(tmp_path, saved, SIZES)
    with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
        assert len({"wte.weight", "lm_head.weight"} & set(file.keys())) == 1
    loaded = load_model(tmp_path, BACKENDS[reader])
    assert loaded.wte.weight is loaded.lm_head.weight
    before, after = get_state(saved), get_state(loaded)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


# --- training ---


def test_two_hundred_training_steps_agree_between_backends():
    manual_seed(0)
    ours = scratch.models.GPT(**SIZES).astype(np.float64)
    theirs = reference.models.GPT(**SIZES).double()
    set_state(theirs, get_state(ours))
    options = {"lr": 3e-3, "weight_decay": 0.1}
    optimizer = scratch.optim.AdamW(ours.parameters(), **options)
    their_optimizer = torch.optim.AdamW(theirs.parameters(), **options)
    rng = np.random.default_rng(0)
    text = np.tile(rng.integers(0, V, 19), 9)
    losses = []
    for _ in range(200):
        starts = rng.integers(0, len(text) - 14, 4)
        batch = np.stack([text[start : start + 14] for start in starts])
        fed, labels = batch[:, :-1], batch[:, 1:].reshape(-1)

        optimizer.zero_grad()
        logits, backward = ours(fed)
        loss, loss_backward = cross_entropy(logits.reshape(-1, V), labels)
        backward(loss_backward(np.ones_like(loss))[0].reshape(logits.shape))
        optimizer.step()

        their_optimizer.zero_grad()
        their_logits = theirs(torch.from_numpy(fed))
        their_loss = torch.nn.functional.cross_entropy(their_logits.reshape(-1, V), torch.from_numpy(labels))
        their_loss.backward()
        their_optimizer.step()
        losses.append((float(loss), their_loss.item()))
    np.testing.assert_allclose(*zip(*losses, strict=True), rtol=1e-9)
    assert losses[-1][0] < 0.5 * losses[0][0]
    before, after = get_state(theirs), get_state(ours)
    for name, array in before.items():
        if not name.endswith("k_proj.bias"):  # its gradient is 0, so Adam divides rounding errors by themselves
            assert np.abs(after[name] - array).max() <= 1e-9 * np.abs(array).max(), name


# --- attention ---


def test_attention_weights_are_causal_and_agree_between_backends():
    ours, theirs = twins()
    text = tokens(B, 13)
    weights = ours.attend(text)
    assert weights.shape == (3, B, 3, 13, 13)
    assert_equal_up_to_rounding(weights.sum(axis=-1), 1, 1e-13)
    assert ((weights > 0) == np.tri(13, dtype=bool)).all()
    np.testing.assert_allclose(weights, theirs.attend(torch.from_numpy(text)).detach(), rtol=1e-10, atol=1e-14)


def test_returned_attention_weights_are_those_applied_to_values():
    model, _ = twins()
    text = tokens(B, 13)
    attended_values = []
    for block in model.blocks:
        block.attention.out_proj.forward = lambda x, forward=block.attention.out_proj.forward: (
            attended_values.append(x) or forward(x)
        )
    (_, (_, values)), _ = model.step(text)
    attended = np.stack(attended_values).reshape(3, B, 13, 3, 5).swapaxes(2, 3)
    np.testing.assert_allclose(model.attend(text) @ values, attended, rtol=1e-11, atol=1e-13)


def test_later_tokens_do_not_change_earlier_logits():
    model, _ = twins()
    text = tokens(B, 13)
    logits, _ = model(text)
    for t in range(1, 13):
        changed = text.copy()
        changed[:, t:] = (changed[:, t:] + 1) % V
        np.testing.assert_allclose(model(changed)[0][:, :t], logits[:, :t], rtol=1e-12, atol=1e-13)


# --- bad input ---

BOTH = {
    "heads": ({"heads": 4}, "GPT: heads 4 does not divide width 15; each head has an equal share of it"),
    "no heads": ({"heads": 0}, "GPT: heads 0 does not divide width 15; each head has an equal share of it"),
    "no layers": ({"layers": 0}, "GPT: expected at least one of each, got layers 0 and context 24"),
    "no context": ({"context": 0}, "GPT: expected at least one of each, got layers 3 and context 0"),
}


@every_backend
@pytest.mark.parametrize("what", BOTH)
def test_wrong_arguments_are_refused_in_one_line(models, what):
    config, message = BOTH[what]
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        models.GPT(**SIZES | config)
    assert message == str(caught.value)


BEYOND = "GPT: tokens is 25 tokens long, expected at most 24, the context"


@pytest.mark.parametrize("method", ["forward", "step", "attend"])
def test_a_text_longer_than_the_context_is_refused(method):
    ours, theirs = twins()
    for model, text in ((ours, tokens(B, 25)), (theirs, torch.from_numpy(tokens(B, 25)))):
        with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
            getattr(model, method)(text)
        assert str(caught.value) == BEYOND


def test_generation_beyond_the_context_is_refused():
    ours, theirs = twins()
    prompt, uniforms = tokens(B, 20), np.zeros((6, B))
    generation.generate(ours.step, prompt, uniforms[:5])
    with pytest.raises(ValueError, match="GPT: tokens is 24 and 1 more tokens long, expected at most 24, the context"):
        generation.generate(ours.step, prompt, uniforms)
    with pytest.raises(ValueError, match="GPT: tokens is 24 and 1 more tokens long, expected at most 24, the context"):
        their_generation.generate(theirs.step, torch.from_numpy(prompt), torch.from_numpy(uniforms))


def gpt():
    return scratch.models.GPT(**SIZES)


def state(*shapes):
    return tuple(np.zeros(shape, np.float32) for shape in shapes)


FITTING = (3, B, 3, 4, 5)
BAD = {
    "no prompt": (
        lambda: generation.generate(gpt().step, tokens(B, 0), np.zeros((5, B))),
        "GPT: expected tokens (B, T) of at least one step, got shape (3, 0); one text is a batch of 1",
    ),
    "no prompt beyond": (
        lambda: generation.generate_beyond(gpt().step, tokens(B, 0), np.zeros((5, B)), 24),
        "GPT: expected tokens (B, T) of at least one step, got shape (3, 0); one text is a batch of 1",
    ),
    "no text": (lambda: gpt()(tokens(B, 0)), "GPT: expected tokens (B, T) of at least one step"),
    "no batch": (lambda: gpt()(tokens(5)), "got shape (5,); one text is a batch of 1"),
    "nothing to attend": (lambda: gpt().attend(tokens(B, 0)), "GPT: expected tokens (B, T) of at least one step"),
    "token": (lambda: gpt()(np.array([[0, V]])), "GPT: tokens hold 11, expected numbers from 0 to 10"),
    "negative token": (lambda: gpt().step(np.array([[0, -1]])), "GPT: tokens hold -1, expected numbers from 0 to 10"),
    "float tokens": (lambda: gpt()(np.zeros((B, 4))), "GPT: expected tokens to be whole numbers, got float64"),
    "dropout": (lambda: scratch.models.GPT(**SIZES, dropout=1.5), "Dropout: p is 1.5, expected a probability, 0 to 1"),
    "state of another batch": (
        lambda: gpt().step(tokens(2, 1), state(FITTING, FITTING)),
        "GPT: expected the keys of state of shape (3, 2, 3, 4, 5), got (3, 3, 3, 4, 5)",
    ),
    "state of fewer layers": (
        lambda: gpt()(tokens(B, 1), state((2, *FITTING[1:]), (2, *FITTING[1:]))),
        "GPT: expected the keys of state of shape (3, 3, 3, 4, 5), got (2, 3, 3, 4, 5)",
    ),
    "values of another length": (
        lambda: gpt().step(tokens(B, 1), state(FITTING, (3, B, 3, 5, 5))),
        "GPT: expected the values of state of shape (3, 3, 3, 4, 5), got (3, 3, 3, 5, 5)",
    ),
    "state of another dtype": (
        lambda: gpt().astype(np.float64).step(tokens(B, 1), state(FITTING, FITTING)),
        "GPT: expected one floating-point dtype, got keys float32, values float32, weight float64",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])
