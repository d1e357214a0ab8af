"""Recurrent models beyond their cases: tied weights, equal texts from both backends, carried states, bad input."""

import numpy as np
import pytest
import torch
from safetensors import safe_open

import reference.models
import scratch.models
from parity.weights import get_state, load_model, save_model, set_state
from parity_tests.shared import assert_equal_up_to_rounding, assert_refused_in_one_line
from reference import generation as their_generation
from scratch import generation, layers, ops
from scratch.random import manual_seed

V, E, H, B = 11, 7, 6, 3
SIZES = {"vocab_size": V, "embedding_size": E, "hidden_size": H}
TIED = {"vocab_size": V, "embedding_size": H, "hidden_size": H, "tied": True}
LANGUAGES = {"source_vocab_size": V, "target_vocab_size": V + 2, "embedding_size": E, "hidden_size": H}
LENGTHS = np.array([5, 1, 8])
BACKENDS = {"numpy": scratch.models, "torch": reference.models}
every_cell = pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
every_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])
every_attention = pytest.mark.parametrize("attention", ["dot", "additive"])


def twins(name, config, dtype="float64"):
    """Return a model of each backend with the same random weights, all different from the initial ones."""
    manual_seed(0)
    ours = getattr(scratch.models, name)(**config).astype(dtype).eval()
    rng = np.random.default_rng(0)
    for parameter in ours.parameters():
        parameter.data = rng.normal(scale=0.7, size=parameter.data.shape).astype(np.float32).astype(dtype)
    theirs = getattr(reference.models, name)(**config).to(getattr(torch, dtype)).eval()
    set_state(theirs, get_state(ours))
    return ours, theirs


def tokens(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, V, shape)


def flat(state):
    return state if isinstance(state, tuple) else (state,)


# --- tied weights ---


@pytest.mark.parametrize("models", BACKENDS.values(), ids=BACKENDS)
def test_tied_weights_are_one_parameter_with_the_heads_spread(models):
    manual_seed(0)
    torch.manual_seed(0)
    model = models.CharLanguageModel(**TIED)
    assert model.embedding.weight is model.head.weight
    assert sum(name.endswith("weight") for name, _ in model.named_parameters() if not name.startswith("rnn")) == 1
    assert np.abs(get_state(model)["embedding.weight"]).max() <= H**-0.5


@pytest.mark.parametrize("writer", BACKENDS)
@pytest.mark.parametrize("reader", BACKENDS)
def test_tied_weights_are_stored_once_and_stay_tied(tmp_path, writer, reader):
    saved = BACKENDS[writer].CharLanguageModel(**TIED)
    save_model(tmp_path, saved, TIED)
    with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
        assert len({"embedding.weight", "head.weight"} & set(file.keys())) == 1
    loaded = load_model(tmp_path, BACKENDS[reader])
    assert loaded.embedding.weight is loaded.head.weight
    before, after = get_state(saved), get_state(loaded)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


# --- generating text ---


@every_cell
@every_dtype
def test_a_thousand_characters_agree_between_backends(cell, dtype):
    ours, theirs = twins("CharLanguageModel", SIZES | {"cell": cell, "num_layers": 2}, dtype)
    prompt, uniforms = tokens(B, 4), np.random.default_rng(1).random((1000, B))
    text, state = generation.generate(ours, prompt, uniforms)
    other, their_state = their_generation.generate(theirs, torch.from_numpy(prompt), torch.from_numpy(uniforms))
    np.testing.assert_array_equal(text, other)
    assert len(np.unique(text)) == V
    for part, their_part in zip(flat(state), flat(their_state), strict=True):
        assert part.dtype == dtype
        np.testing.assert_allclose(part, their_part, atol=1e-11 if dtype == "float64" else 1e-3)


@every_dtype
def test_generated_names_agree_between_backends(dtype):
    ours, theirs = twins("NameGenerator", SIZES | {"num_layers": 2}, dtype)
    prompt, uniforms = np.zeros((40, 1), np.int64), np.random.default_rng(1).random((25, 40))
    text, _ = generation.generate(ours, prompt, uniforms, temperature=0.8)
    other, _ = their_generation.generate(theirs, torch.from_numpy(prompt), torch.from_numpy(uniforms), temperature=0.8)
    np.testing.assert_array_equal(text, other)


@every_attention
@every_dtype
@pytest.mark.parametrize("options", [{"temperature": 0}, {}, {"temperature": 0.7, "top_k": 5, "top_p": 0.9}], ids=str)
def test_free_running_agrees_between_backends(attention, dtype, options):
    ours, theirs = twins("Seq2Seq", LANGUAGES | {"attention": attention, "num_layers": 2}, dtype)
    source, first, uniforms = tokens(B, 8), np.ones((B, 1), np.int64), np.random.default_rng(1).random((60, B))
    text, _ = generation.generate(ours.step, first, uniforms, ours.start(source, LENGTHS), **options)
    start = theirs.start(torch.from_numpy(source), torch.from_numpy(LENGTHS))
    other, _ = their_generation.generate(theirs.step, torch.from_numpy(first), torch.from_numpy(uniforms), start, **options)
    np.testing.assert_array_equal(text, other)
    assert len(np.unique(text)) > 1


@every_attention
@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("row", range(B))
def test_beams_agree_between_backends(attention, beams, row):
    ours, theirs = twins("Seq2Seq", LANGUAGES | {"attention": attention})
    source, lengths, first = tokens(B, 8)[row : row + 1], LENGTHS[row : row + 1], np.array([[1]])
    text, score = generation.beam_search(ours.step, first, 15, beams, 2, 0.6, ours.start(source, lengths))
    start = theirs.start(torch.from_numpy(source), torch.from_numpy(lengths))
    other, their_score = their_generation.beam_search(theirs.step, torch.from_numpy(first), 15, beams, 2, 0.6, start)
    np.testing.assert_array_equal(text, other)
    assert np.isclose(score, their_score, rtol=1e-12)


# --- states ---


@pytest.mark.parametrize(
    ("name", "config"),
    [("CharLanguageModel", {"cell": cell} | tied) for cell in ("rnn", "lstm", "gru") for tied in ({}, TIED)]
    + [("NameGenerator", {})],
    ids=str,
)
def test_two_halves_with_a_carried_state_equal_the_whole(name, config):
    model, _ = twins(name, SIZES | {"num_layers": 2} | config)
    text, rng = tokens(B, 12), np.random.default_rng(1)
    (logits, final), backward = model(text)
    (first, state), first_backward = model(text[:, :5])
    (second, other_final), second_backward = model(text[:, 5:], state)  # both forwards run before either backward
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), logits, rtol=1e-12, atol=1e-14)
    assert_equal_up_to_rounding(flat(other_final), flat(final), 1e-12)

    dlogits, dfinal = rng.normal(size=logits.shape), rng.normal(size=np.shape(flat(final)))
    backward(dlogits, *dfinal)
    whole = {key: p.grad.copy() for key, p in model.named_parameters()}
    model.zero_grad()
    _, dstate, *_ = second_backward(dlogits[:, 5:], *dfinal)
    first_backward(dlogits[:, :5], *flat(dstate))
    for key, p in model.named_parameters():
        np.testing.assert_allclose(p.grad, whole[key], rtol=1e-10, atol=1e-13)


def test_every_name_starts_from_the_learned_state():
    model, _ = twins("NameGenerator", SIZES | {"num_layers": 2})
    (logits, _), backward = model(tokens(B, 5))
    dlogits = np.random.default_rng(1).normal(size=logits.shape)
    backward(dlogits)
    learned, model.start.grad = model.start.grad, None
    start = np.repeat(model.start.data, B, axis=1)
    (same, _), backward = model(tokens(B, 5), start)
    np.testing.assert_array_equal(same, logits)
    _, dstart, _ = backward(dlogits)
    assert dstart.shape == start.shape
    assert_equal_up_to_rounding(learned[:, 0], dstart.sum(axis=1), 1e-13)
    assert model.start.grad is None


@every_attention
def test_single_steps_equal_teacher_forcing(attention):
    model, _ = twins("Seq2Seq", LANGUAGES | {"attention": attention, "num_layers": 2})
    source, target = tokens(B, 8), tokens(B, 6, seed=1)
    logits, _ = model(source, LENGTHS, target)
    state, steps = model.start(source, LENGTHS), []
    for t in range(6):
        (step, state), _ = model.step(target[:, t : t + 1], state)
        steps.append(step)
    np.testing.assert_allclose(np.concatenate(steps, axis=1), logits, rtol=1e-12, atol=1e-14)
    assert [part.shape[1] for part in state] == [B, B, B]


# --- masking ---


@every_attention
def test_attention_weights_cover_the_source_and_agree_between_backends(attention):
    ours, theirs = twins("Seq2Seq", LANGUAGES | {"attention": attention})
    source, target = tokens(B, 8), tokens(B, 6, seed=1)
    weights = ours.attend(source, LENGTHS, target)
    assert weights.shape == (B, 6, 8)
    assert_equal_up_to_rounding(weights.sum(axis=2), 1, 1e-14)
    assert ((weights > 0) == (np.arange(8) < LENGTHS[:, None, None])).all()
    assert weights[2].std(axis=0).max() > 1e-3  # the weights differ from step to step
    other = theirs.attend(*map(torch.from_numpy, (source, LENGTHS, target))).detach()
    np.testing.assert_allclose(weights, other, rtol=1e-11, atol=1e-15)


MASKED = {
    "sentiment, mean": ("SentimentClassifier", SIZES | {"num_layers": 2, "pooling": "mean"}, ()),
    "sentiment, max": ("SentimentClassifier", SIZES | {"num_layers": 2, "pooling": "max"}, ()),
    "seq2seq, dot": ("Seq2Seq", LANGUAGES | {"attention": "dot"}, (tokens(B, 6, seed=1),)),
    "seq2seq, additive": ("Seq2Seq", LANGUAGES | {"attention": "additive"}, (tokens(B, 6, seed=1),)),
}


@pytest.mark.parametrize("what", MASKED)
def test_padding_and_batch_do_not_change_a_texts_logits(what):
    name, config, others = MASKED[what]
    model, _ = twins(name, config)
    text = tokens(B, 8)
    logits, _ = model(text, LENGTHS, *others)
    padded, _ = model(np.where(np.arange(8) < LENGTHS[:, None], text, (text + 3) % V), LENGTHS, *others)
    np.testing.assert_array_equal(padded, logits)
    for row, length in enumerate(LENGTHS):
        alone, _ = model(text[row : row + 1, :length], LENGTHS[row : row + 1], *(other[row : row + 1] for other in others))
        np.testing.assert_allclose(alone[0], logits[row], rtol=1e-12, atol=1e-14)


def test_the_padding_row_has_no_gradient():
    model, _ = twins("SentimentClassifier", SIZES)
    text = tokens(B, 8)
    text[0, 2] = text[2, 7] = 0
    logits, backward = model(text, LENGTHS)
    backward(np.ones_like(logits))
    assert not model.embedding.weight.grad[0].any()
    assert model.embedding.weight.grad[text[0, 0]].all()


# --- bad input ---

BOTH = {
    "cell": ("CharLanguageModel", SIZES | {"cell": "elman"}, "cell is 'elman', expected one of rnn, lstm, gru"),
    "tied widths": (
        "CharLanguageModel",
        SIZES | {"tied": True},
        "tied weights need one width, got embedding_size 7 and hidden_size 6",
    ),
    "pooling": ("SentimentClassifier", SIZES | {"pooling": "last"}, "pooling is 'last', expected one of mean, max"),
    "attention": ("Seq2Seq", LANGUAGES | {"attention": "general"}, "attention is 'general', expected one of dot, additive"),
    "odd width": (
        "Seq2Seq",
        LANGUAGES | {"hidden_size": 7},
        "hidden_size is 7, expected an even number: each direction of the encoder makes half of it",
    ),
}


@pytest.mark.parametrize("models", BACKENDS.values(), ids=BACKENDS)
@pytest.mark.parametrize("what", BOTH)
def test_wrong_arguments_are_refused_in_one_line(models, what):
    name, config, message = BOTH[what]
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        getattr(models, name)(**config)
    assert f"{name}: {message}" == str(caught.value)


def char_lm(cell="lstm"):
    return scratch.models.CharLanguageModel(**SIZES, cell=cell)


def state(batch=B, width=H):
    return np.zeros((1, batch, width), np.float32)


def additive(**changes):
    arrays = {name: np.zeros(shape) for name, shape in (("query", (3, 2, 4)), ("key", (3, 5, 4)), ("value", (3, 5, 6)))}
    return ops.additive_attention(**arrays | {"weight": np.zeros(4)} | changes)


seq2seq, sentiment, names = (
    lambda: scratch.models.Seq2Seq(**LANGUAGES),
    lambda: scratch.models.SentimentClassifier(**SIZES),
    lambda: scratch.models.NameGenerator(**SIZES),
)
BAD = {
    "no text": (
        lambda: char_lm()(tokens(B, 0)),
        "CharLanguageModel: expected tokens (B, T) of at least one step, got shape (3, 0)",
    ),
    "no batch": (lambda: char_lm()(tokens(5)), "got shape (5,); one text is a batch of 1"),
    "token": (lambda: char_lm()(np.array([[0, V]])), "embedding: number 11 is out of range: expected 0 to 10"),
    "negative token": (lambda: names()(np.array([[0, -1]])), "embedding: number -1 is out of range: expected 0 to 10"),
    "float tokens": (lambda: char_lm()(np.zeros((B, 4))), "embedding: expected whole numbers and weight (V, E), got float64"),
    "a pair for a GRU": (
        lambda: char_lm("gru")(tokens(B, 4), (state(), state())),
        "GRU: expected states of shape [(1, 3, 6)], got [(1, 3, 6), (1, 3, 6)]",
    ),
    "one state for an LSTM": (
        lambda: char_lm()(tokens(B, 4), state()),
        "LSTM: expected states of shape [(1, 3, 6), (1, 3, 6)], got [(1, 3, 6)]",
    ),
    "state of another batch": (
        lambda: char_lm("rnn")(tokens(B, 4), state(batch=4)),
        "RNN: expected states of shape [(1, 3, 6)], got [(1, 4, 6)]",
    ),
    "state of another width": (
        lambda: names()(tokens(B, 4), state(width=5)),
        "GRU: expected states of shape [(1, 3, 6)], got [(1, 3, 5)]",
    ),
    "state of another dtype": (
        lambda: names()(tokens(B, 4), state().astype(np.float64)),
        "gru: expected one floating-point dtype, got x float32, h0 float64",
    ),
    "length 0": (lambda: sentiment()(tokens(B, 8), np.array([5, 0, 8])), "LSTM: expected lengths from 1 to 8, got 0 to 8"),
    "length beyond T": (lambda: names()(tokens(B, 7), None, LENGTHS), "GRU: expected lengths from 1 to 7, got 1 to 8"),
    "too few lengths": (
        lambda: sentiment()(tokens(B, 8), LENGTHS[:2]),
        "LSTM: expected lengths, 3 whole numbers, got int64 of shape (2,)",
    ),
    "no sizes": (lambda: scratch.models.NameGenerator(V, E, 0), "GRU: expected positive sizes"),
    "no vocabulary": (lambda: scratch.models.SentimentClassifier(0, E, H), "Embedding: expected positive sizes, got 0 and 7"),
    "dropout": (lambda: scratch.models.CharLanguageModel(V, E, H, dropout=1.5), "dropout is 1.5, expected a probability, 0 to 1"),
    "no source": (lambda: seq2seq()(tokens(B, 0), LENGTHS, tokens(B, 4)), "Seq2Seq: expected source (B, T) of at least one step"),
    "no target": (lambda: seq2seq()(tokens(B, 8), LENGTHS, tokens(B, 0)), "Seq2Seq: expected target (B, T) of at least one step"),
    "other target": (
        lambda: seq2seq()(tokens(B, 8), LENGTHS, tokens(4, 4)),
        "Seq2Seq: expected as many targets as sources, got 4 and 3",
    ),
    "source length": (lambda: seq2seq().start(tokens(B, 7), LENGTHS), "GRU: expected lengths from 1 to 7, got 1 to 8"),
    "no step": (
        lambda: seq2seq().step(tokens(B, 0), seq2seq().start(tokens(B, 8), LENGTHS)),
        "Seq2Seq: expected tokens (B, T) of at least one step",
    ),
    "images to pool": (
        lambda: layers.MaskedMean()(np.zeros((3, 8)), LENGTHS),
        "masked_mean: expected x (B, T, C) of at least one step, got (3, 8)",
    ),
    "length to pool": (
        lambda: ops.masked_max(np.zeros((3, 7, 2)), LENGTHS),
        "masked_max: expected lengths from 1 to 7, got 1 to 8; leave empty ones out",
    ),
    "whole numbers to pool": (
        lambda: ops.masked_mean(np.zeros((3, 8, 2), int), LENGTHS),
        "masked_mean: expected one floating-point dtype, got x int64",
    ),
    "query": (
        lambda: additive(query=np.zeros((3, 4))),
        "additive_attention: expected query (B, T, A), key (B, S, A) and value (B, S, V), got (3, 4), (3, 5, 4) and (3, 5, 6)",
    ),
    "key": (lambda: additive(key=np.zeros((3, 5, 3))), "additive_attention: expected key of shape (3, 5, 4), got (3, 5, 3)"),
    "value": (lambda: additive(value=np.zeros((3, 4, 6))), "additive_attention: expected value of shape (3, 5, 6), got (3, 4, 6)"),
    "weight": (lambda: additive(weight=np.zeros(5)), "additive_attention: expected weight of shape (4,), got (5,)"),
    "float mask": (
        lambda: additive(attn_mask=np.zeros((3, 2, 5))),
        "additive_attention: attn_mask is float64, expected bool (true: may attend)",
    ),
    "mask": (
        lambda: additive(attn_mask=np.ones((3, 5), bool)),
        "additive_attention: expected attn_mask of a shape that broadcasts to (3, 2, 5), got (3, 5)",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])
