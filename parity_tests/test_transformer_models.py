"""Transformers beyond their cases: torch's layers, generation with and without a cache, tied weights, padding, bad input."""

import math

import numpy as np
import pytest
import torch
from safetensors import safe_open

import reference.models
import scratch.models
from parity.weights import get_state, load_model, save_model, set_state
from parity_tests.shared import assert_equal_up_to_rounding, assert_refused_in_one_line
from reference import generation as their_generation
from scratch import generation
from scratch.layers import TransformerDecoderLayer, TransformerEncoderLayer
from scratch.ops import causal_mask, padding_mask
from scratch.random import manual_seed

V, B, S, T, WIDTH, HEADS, INNER = 11, 3, 8, 6, 12, 3, 10
LENGTHS = np.array([5, 1, 8])
PRESENT = padding_mask(LENGTHS, S)[0]
ABSENT = torch.from_numpy(~PRESENT[:, 0, 0])
STACK = {"width": WIDTH, "layers": 2, "heads": HEADS, "feed_forward": INNER}
LANGUAGES = STACK | {"source_vocab_size": V, "target_vocab_size": V + 2, "context": 24}
TIED = LANGUAGES | {"target_vocab_size": V, "tied": True}
BERT = STACK | {"vocab_size": V, "context": 24}
BACKENDS = {"numpy": scratch.models, "torch": reference.models}
every_backend = pytest.mark.parametrize("models", BACKENDS.values(), ids=BACKENDS)
every_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])
every_norm = pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
every_activation = pytest.mark.parametrize("activation", ["relu", "gelu"])


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def tokens(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, V, shape)


def with_random_weights(module, dtype="float64"):
    """Give a module in eval mode random weights, all different from the initial ones."""
    rng = np.random.default_rng(0)
    for name, parameter in module.named_parameters():
        shape = parameter.data.shape
        around, scale = (0, 0.4) if len(shape) > 1 else (1 if name.endswith("weight") else 0, 0.1)
        parameter.data = rng.normal(around, scale, shape).astype(np.float32)
    return module.astype(dtype).eval()


def twins(name, config, dtype="float64"):
    """Return a model of each backend with the same weights."""
    ours = with_random_weights(getattr(scratch.models, name)(**config), dtype)
    theirs = getattr(reference.models, name)(**config).to(getattr(torch, dtype)).eval()
    set_state(theirs, get_state(ours))
    return ours, theirs


# --- torch's own layers ---


def with_torchs_names(arrays):
    """Rename our arrays as in torch.nn.Transformer and its layers."""
    arrays = {name.replace("feed_forward.", ""): torch.as_tensor(array) for name, array in arrays.items()}
    for first in [name for name in arrays if ".q_proj." in name]:
        joined = [arrays.pop(first.replace("q_proj", f"{x}_proj")) for x in "qkv"]
        arrays[first.replace("q_proj.", "in_proj_")] = torch.cat(joined)
    return arrays


def assert_same_layer(ours, theirs, inputs, our_masks, their_masks):
    """Assert that both layers have the same value and gradients, after renaming the weights."""
    theirs.load_state_dict(with_torchs_names(ours.state_dict()))
    y, backward = ours(*inputs, *our_masks)
    y = y[0] if isinstance(y, tuple) else y
    leaves = [torch.from_numpy(x).requires_grad_() for x in inputs]
    expected = theirs(*leaves, **their_masks)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-10, atol=1e-12)
    dy = normal(*y.shape, seed=3)
    expected.backward(torch.from_numpy(dy))
    for gradient, leaf in zip(backward(dy), leaves, strict=False):
        np.testing.assert_allclose(gradient, leaf.grad, rtol=1e-9, atol=1e-11)
    gradients = with_torchs_names({name: p.grad for name, p in ours.named_parameters()})
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(gradients[name], parameter.grad, rtol=1e-9, atol=1e-11, err_msg=name)


BIAS = normal(B, HEADS, S, S, seed=5)
SOURCE_MASKS = {
    "none": ((), {}),
    "padding": ((PRESENT,), {"src_key_padding_mask": ABSENT}),
    "causal": ((None, True), {"src_mask": torch.from_numpy(~causal_mask(S)[0])}),
    "added": ((BIAS,), {"src_mask": torch.from_numpy(BIAS.reshape(B * HEADS, S, S))}),
}


@every_norm
@every_activation
@pytest.mark.parametrize("mask", SOURCE_MASKS)
def test_an_encoder_layer_agrees_with_torchs(norm_first, activation, mask):
    config = {"dim_feedforward": INNER, "activation": activation, "layer_norm_eps": 1e-3, "norm_first": norm_first}
    ours = with_random_weights(TransformerEncoderLayer(WIDTH, HEADS, **config))
    theirs = torch.nn.TransformerEncoderLayer(WIDTH, HEADS, **config, batch_first=True, dtype=torch.float64).eval()
    assert_same_layer(ours, theirs, [normal(B, S, WIDTH)], *SOURCE_MASKS[mask])


OWN_BIAS = normal(B, HEADS, T, T, seed=6)
LATER = torch.from_numpy(~causal_mask(T)[0])
TARGET_MASKS = {
    "none": ((), {}),
    "causal": ((None, None, True), {"tgt_mask": LATER}),
    "padding": ((None, PRESENT, True), {"tgt_mask": LATER, "memory_key_padding_mask": ABSENT}),
    "added": (
        (OWN_BIAS, BIAS[:, :, :T]),
        {
            "tgt_mask": torch.from_numpy(OWN_BIAS.reshape(B * HEADS, T, T)),
            "memory_mask": torch.from_numpy(BIAS[:, :, :T].reshape(B * HEADS, T, S)),
        },
    ),
}


@every_norm
@every_activation
@pytest.mark.parametrize("mask", TARGET_MASKS)
def test_a_decoder_layer_agrees_with_torchs(norm_first, activation, mask):
    config = {"dim_feedforward": INNER, "activation": activation, "layer_norm_eps": 1e-3, "norm_first": norm_first}
    ours = with_random_weights(TransformerDecoderLayer(WIDTH, HEADS, **config))
    theirs = torch.nn.TransformerDecoderLayer(WIDTH, HEADS, **config, batch_first=True, dtype=torch.float64).eval()
    assert_same_layer(ours, theirs, [normal(B, T, WIDTH), normal(B, S, WIDTH, seed=1)], *TARGET_MASKS[mask])


@every_norm
@pytest.mark.parametrize("bias", [True, False])
def test_layers_have_torchs_defaults_and_parameters(norm_first, bias):
    for ours, theirs in (
        (TransformerEncoderLayer, torch.nn.TransformerEncoderLayer),
        (TransformerDecoderLayer, torch.nn.TransformerDecoderLayer),
    ):
        layer = ours(WIDTH, HEADS, norm_first=norm_first, bias=bias)
        shapes = {name: tuple(tensor.shape) for name, tensor in with_torchs_names(layer.state_dict()).items()}
        state = theirs(WIDTH, HEADS, norm_first=norm_first, bias=bias).state_dict()
        assert shapes == {name: tuple(tensor.shape) for name, tensor in state.items()}
        assert [m.p for _, m in layer.named_modules() if hasattr(m, "p")] == [0.1] * (3 if "Encoder" in ours.__name__ else 4)


def torch_transformer(norm_first):
    """Build torch.nn.Transformer as in the paper: it has a norm after the last layer only with norm_first."""
    sizes = WIDTH, HEADS, INNER, 0.1
    config = {"norm_first": norm_first, "batch_first": True, "dtype": torch.float64}
    if norm_first:
        return torch.nn.Transformer(WIDTH, HEADS, 2, 2, INNER, **config)
    encoder = torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(*sizes, **config), 2)
    decoder = torch.nn.TransformerDecoder(torch.nn.TransformerDecoderLayer(*sizes, **config), 2)
    return torch.nn.Transformer(WIDTH, HEADS, custom_encoder=encoder, custom_decoder=decoder, **config)


@every_norm
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_encoder_and_decoder_agree_with_torchs_transformer(norm_first):
    model, _ = twins("Transformer", LANGUAGES | {"norm_first": norm_first})
    theirs = torch_transformer(norm_first).eval()
    state = {name: a for name, a in model.state_dict().items() if name.startswith(("encoder.", "decoder."))}
    theirs.load_state_dict(with_torchs_names(state))
    source, target = normal(B, S, WIDTH), normal(B, T, WIDTH, seed=1)
    memory, encoder_backward = model.encoder(source, PRESENT)
    y, decoder_backward = model.decoder(target, memory, PRESENT)
    leaves = [torch.from_numpy(x).requires_grad_() for x in (source, target)]
    expected = theirs(*leaves, tgt_mask=LATER, src_key_padding_mask=ABSENT, memory_key_padding_mask=ABSENT)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-10, atol=1e-12)

    dy = normal(*y.shape, seed=3)
    expected.backward(torch.from_numpy(dy))
    dtarget, dmemory, _ = decoder_backward(dy)
    dsource, _ = encoder_backward(dmemory)
    for gradient, leaf in zip((dsource, dtarget), leaves, strict=True):
        np.testing.assert_allclose(gradient, leaf.grad, rtol=1e-9, atol=1e-11)
    gradients = with_torchs_names({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(gradients[name], parameter.grad, rtol=1e-9, atol=1e-11, err_msg=name)


# --- definitions of the papers ---


def test_the_embedding_is_scaled_and_added_to_sinusoids():
    model, _ = twins("Transformer", LANGUAGES)
    x, _ = model.source_embedding(tokens(B, S))
    angles = np.arange(S)[:, None] / 10000 ** (np.arange(0, WIDTH, 2) / WIDTH)
    positions = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(S, WIDTH)
    table = model.source_embedding.embedding.weight.data
    assert_equal_up_to_rounding(x, math.sqrt(WIDTH) * table[tokens(B, S)] + positions, 1e-13)


def test_bert_agrees_with_its_layers_put_together():
    model, _ = twins("BERT", BERT | {"layers": 1})
    text, segments = tokens(B, S), tokens(B, S, seed=1) % 2
    (token_logits, next_logits), _ = model(text, segments, LENGTHS)
    state = {name: torch.from_numpy(array) for name, array in model.state_dict().items()}

    def linear(x, name):
        return torch.nn.functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(x, name):
        return torch.nn.functional.layer_norm(x, (WIDTH,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-12)

    x = state["embedding.tokens.weight"][text] + state["embedding.segments.weight"][segments]
    x = norm(x + state["embedding.positions.weight"][:S], "embedding.norm")
    layer = torch.nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, 0, "gelu", 1e-12, batch_first=True, dtype=torch.float64)
    layer.load_state_dict(with_torchs_names(model.layers[0].state_dict()))
    x = layer(x, src_key_padding_mask=ABSENT)
    hidden = norm(torch.nn.functional.gelu(linear(x, "token_head.linear")), "token_head.norm")
    expected = hidden @ state["embedding.tokens.weight"].T + state["token_head.decoder.bias"]
    np.testing.assert_allclose(token_logits, expected.detach(), rtol=1e-10, atol=1e-12)
    pooled = torch.tanh(linear(x[:, 0], "pooler.linear"))
    np.testing.assert_allclose(next_logits, linear(pooled, "next_head").detach(), rtol=1e-10, atol=1e-12)


@every_backend
def test_initial_weights_have_the_published_spread(models):
    manual_seed(0)
    torch.manual_seed(0)
    bert = get_state(models.BERT(vocab_size=97, context=61, width=60, layers=1, heads=4, feed_forward=120))
    for name, array in bert.items():
        if array.ndim > 1 and array.size > 1000:
            assert abs(array.std() / 0.02 - 1) < 0.1, name
        assert array.ndim > 1 or (array == (0 if name.endswith("bias") else 1)).all(), name
    state = get_state(models.Transformer(97, 97, 61, 60, 1, 4, 120, tied=True))
    assert abs(state["head.weight"].std() * 60**0.5 - 1) < 0.1
    assert 0.9 * (6 / 180) ** 0.5 < np.abs(state["encoder.layers.0.feed_forward.linear1.weight"]).max() <= (6 / 180) ** 0.5


@every_backend
def test_bert_has_no_dropout_inside_the_feed_forward_block(models):
    layer = models.BERT(**BERT, dropout=0.4).layers[1]
    assert (layer.feed_forward.dropout.p, layer.dropout1.p, layer.dropout2.p, layer.self_attn.dropout) == (0, 0.4, 0.4, 0.4)


# --- tied weights ---

TIES = {
    "Transformer": (TIED, ["head.weight", "source_embedding.embedding.weight", "target_embedding.embedding.weight"]),
    "BERT": (BERT, ["embedding.tokens.weight", "token_head.decoder.weight"]),
}


@pytest.mark.parametrize("name", TIES)
@every_backend
def test_tied_weights_are_one_parameter(models, name):
    config, names = TIES[name]
    model = getattr(models, name)(**config)
    assert sum(key in names for key, _ in model.named_parameters()) == 1
    assert set(names) <= set(get_state(model))


@pytest.mark.parametrize("name", TIES)
@pytest.mark.parametrize("writer", BACKENDS)
@pytest.mark.parametrize("reader", BACKENDS)
def test_tied_weights_are_stored_once_and_stay_tied(tmp_path, writer, reader, name):
    config, names = TIES[name]
    saved = getattr(BACKENDS[writer], name)(**config)
    save_model(tmp_path, saved, config)
    with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
        assert len(set(names) & set(file.keys())) == 1
    loaded = load_model(tmp_path, BACKENDS[reader])
    assert sum(key in names for key, _ in loaded.named_parameters()) == 1
    before, after = get_state(saved), get_state(loaded)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[key], after[key]) for key in before)


# --- generating text ---


def uncached(model, source, lengths):
    """Return the model for scratch.generation without a cache: its state is the text (T, B), which it reads again each time."""

    def step(fed, state):
        text = fed if state is None else np.concatenate([state.T, fed], axis=1)
        sources = np.broadcast_to(source, (len(text), source.shape[1]))
        logits, _ = model(sources, np.broadcast_to(lengths, len(text)), text)
        return (logits, text.T), None

    return step


OPTIONS = {"greedy": {"temperature": 0}, "sampled": {}, "narrowed": {"temperature": 0.7, "top_k": 5, "top_p": 0.9}}


@every_norm
@every_dtype
@pytest.mark.parametrize("options", OPTIONS)
def test_texts_agree_with_and_without_the_cache_and_between_backends(norm_first, dtype, options):
    ours, theirs = twins("Transformer", LANGUAGES | {"norm_first": norm_first}, dtype)
    source, first, uniforms = tokens(B, S), tokens(B, 2, seed=1), np.random.default_rng(1).random((20, B))
    text, state = generation.generate(ours.step, first, uniforms, ours.start(source, LENGTHS), **OPTIONS[options])
    plain, _ = generation.generate(uncached(ours, source, LENGTHS), first, uniforms, **OPTIONS[options])
    start = theirs.start(torch.from_numpy(source), torch.from_numpy(LENGTHS))
    other, their_state = their_generation.generate(
        theirs.step, torch.from_numpy(first), torch.from_numpy(uniforms), start, **OPTIONS[options]
    )
    np.testing.assert_array_equal(text, plain)
    np.testing.assert_array_equal(text, other)
    assert len(np.unique(text)) > 1
    for part, their_part in zip(state, their_state, strict=True):
        assert part.shape == their_part.shape
        assert part.dtype in (dtype, bool)
        np.testing.assert_allclose(part, their_part.detach(), rtol=0, atol=1e-11 if dtype == "float64" else 1e-4)


@every_norm
@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("row", range(B))
def test_beams_agree_with_and_without_the_cache_and_between_backends(norm_first, beams, row):
    ours, theirs = twins("Transformer", LANGUAGES | {"norm_first": norm_first})
    source, lengths, first = tokens(B, S)[row : row + 1], LENGTHS[row : row + 1], np.array([[1]])
    text, score = generation.beam_search(ours.step, first, 15, beams, 2, 0.6, ours.start(source, lengths))
    plain, plain_score = generation.beam_search(uncached(ours, source, lengths), first, 15, beams, 2, 0.6)
    start = theirs.start(torch.from_numpy(source), torch.from_numpy(lengths))
    other, their_score = their_generation.beam_search(theirs.step, torch.from_numpy(first), 15, beams, 2, 0.6, start)
    np.testing.assert_array_equal(text, plain)
    np.testing.assert_array_equal(text, other)
    assert_equal_up_to_rounding([plain_score, their_score], score, 1e-11)


@every_norm
@pytest.mark.parametrize("pieces", [[1] * T, [T], [2, 1, 3]], ids=str)
def test_a_text_in_pieces_equals_teacher_forcing(norm_first, pieces):
    ours, theirs = twins("Transformer", LANGUAGES | {"norm_first": norm_first})
    source, target = tokens(B, S), tokens(B, T, seed=1)
    logits, _ = ours(source, LENGTHS, target)
    state, their_state, found = ours.start(source, LENGTHS), theirs.start(*map(torch.from_numpy, (source, LENGTHS))), []
    for piece in np.split(target, np.cumsum(pieces)[:-1], axis=1):
        (step, state), _ = ours.step(piece, state)
        their_step, their_state = theirs.step(torch.from_numpy(piece), their_state)
        np.testing.assert_allclose(step, their_step.detach(), rtol=1e-10, atol=1e-12)
        found.append(step)
    np.testing.assert_allclose(np.concatenate(found, axis=1), logits, rtol=1e-11, atol=1e-13)


def test_beam_search_can_select_rows_of_a_state():
    model, _ = twins("Transformer", LANGUAGES)
    state = model.start(tokens(B, S), LENGTHS)
    own, of_memory = (2, B, HEADS, 0, WIDTH // HEADS), (2, B, HEADS, S, WIDTH // HEADS)
    assert [part.shape for part in state] == [own, own, of_memory, of_memory, (S, B)]
    (_, later), _ = model.step(tokens(B, 3), state)
    assert [part.shape for part in later] == [(2, B, HEADS, 3, WIDTH // HEADS)] * 2 + [of_memory, of_memory, (S, B)]
    assert all(one is other for one, other in zip(state[2:], later[2:], strict=True))
    rows = np.array([2, 0, 2, 1])
    (some, _), _ = model.step(tokens(B, 1)[rows], tuple(part[:, rows] for part in later))
    (all_rows, _), _ = model.step(tokens(B, 1), later)
    assert_equal_up_to_rounding(some, all_rows[rows], 1e-12)


@every_norm
def test_a_decoder_layer_continues_from_its_cache(norm_first):
    layer = with_random_weights(TransformerDecoderLayer(WIDTH, HEADS, INNER, norm_first=norm_first))
    x, memory = normal(B, T, WIDTH), normal(B, S, WIDTH, seed=1)
    (whole, kept), _ = layer(x, memory, None, PRESENT, True)
    (first, past), _ = layer(x[:, :2], memory, None, PRESENT, True)
    (second, still_kept), backward = layer(x[:, 2:], None, None, PRESENT, True, past)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=1e-11, atol=1e-13)
    for one, other in zip(still_kept, kept, strict=True):
        assert_equal_up_to_rounding(one, other, 1e-12)
    gradients = backward(np.ones_like(second))
    assert gradients[0].shape == second.shape
    assert gradients[1:] == (None,) * 5
    weights = layer.attend(x, memory, None, PRESENT, True)
    assert_equal_up_to_rounding(layer.attend(x[:, 2:], None, None, PRESENT, True, past), weights[:, :, 2:], 1e-11)


# --- masking ---


def test_attention_weights_cover_the_source_and_agree_between_backends():
    ours, theirs = twins("Transformer", LANGUAGES)
    source, target = tokens(B, S), tokens(B, T, seed=1)
    weights = ours.attend(source, LENGTHS, target)
    assert weights.shape == (B, T, S)
    assert_equal_up_to_rounding(weights.sum(axis=2), 1, 1e-13)
    assert ((weights > 0) == (np.arange(S) < LENGTHS[:, None, None])).all()
    assert weights[2].std(axis=0).max() > 1e-3  # the weights differ from step to step
    other = theirs.attend(*map(torch.from_numpy, (source, LENGTHS, target))).detach()
    np.testing.assert_allclose(weights, other, rtol=1e-10, atol=1e-14)


def test_berts_attention_weights_agree_between_backends():
    ours, theirs = twins("BERT", BERT)
    inputs = tokens(B, S), tokens(B, S, seed=1) % 2, LENGTHS
    weights = ours.attend(*inputs)
    assert weights.shape == (2, B, HEADS, S, S)
    assert_equal_up_to_rounding(weights.sum(axis=-1), 1, 1e-13)
    assert ((weights > 0) == PRESENT).all()
    other = theirs.attend(*map(torch.from_numpy, inputs)).detach()
    np.testing.assert_allclose(weights, other, rtol=1e-10, atol=1e-14)


def test_padding_and_batch_do_not_change_a_translation():
    model, _ = twins("Transformer", LANGUAGES)
    source, target = tokens(B, S), tokens(B, T, seed=1)
    logits, backward = model(source, LENGTHS, target)
    padded, _ = model(np.where(PRESENT[:, 0, 0], source, (source + 3) % V), LENGTHS, target)
    np.testing.assert_array_equal(padded, logits)
    for row, length in enumerate(LENGTHS):
        alone, _ = model(source[row : row + 1, :length], LENGTHS[row : row + 1], target[row : row + 1])
        np.testing.assert_allclose(alone[0], logits[row], rtol=1e-11, atol=1e-13)
    backward(normal(*logits.shape))
    absent = sorted(set(range(V)) - set(source[PRESENT[:, 0, 0]]))
    assert absent  # tokens that occur only in the padding
    assert not model.source_embedding.embedding.weight.grad[absent].any()


def test_later_tokens_do_not_change_earlier_logits():
    model, _ = twins("Transformer", LANGUAGES)
    source, target = tokens(B, S), tokens(B, T, seed=1)
    logits, _ = model(source, LENGTHS, target)
    for t in range(1, T):
        changed = np.concatenate([target[:, :t], (target[:, t:] + 1) % V], axis=1)
        other, _ = model(source, LENGTHS, changed)
        np.testing.assert_array_equal(other[:, :t], logits[:, :t])
        assert (other[:, t] != logits[:, t]).all()


def test_padding_and_batch_do_not_change_berts_logits():
    model, _ = twins("BERT", BERT)
    text, segments, there = tokens(B, S), tokens(B, S, seed=1) % 2, PRESENT[:, 0, 0]
    (token_logits, next_logits), _ = model(text, segments, LENGTHS)
    padded, _ = model(np.where(there, text, (text + 3) % V), np.where(there, segments, 1 - segments), LENGTHS)
    np.testing.assert_array_equal(padded[0][there], token_logits[there])
    np.testing.assert_array_equal(padded[1], next_logits)
    for row, length in enumerate(LENGTHS):
        alone, _ = model(text[row : row + 1, :length], segments[row : row + 1, :length], LENGTHS[row : row + 1])
        np.testing.assert_allclose(alone[0][0], token_logits[row, :length], rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(alone[1][0], next_logits[row], rtol=1e-11, atol=1e-13)


# --- bad input ---

BOTH = {
    "heads": ("Transformer", LANGUAGES | {"heads": 5}, "heads 5 does not divide width 12; each head has an equal share of it"),
    "no heads": ("Transformer", LANGUAGES | {"heads": 0}, "heads 0 does not divide width 12; each head has an equal share of it"),
    "no layers": ("Transformer", LANGUAGES | {"layers": 0}, "expected at least one of each, got layers 0 and context 24"),
    "tied vocabularies": (
        "Transformer",
        LANGUAGES | {"tied": True},
        "tied weights need one vocabulary, got source_vocab_size 11 and target_vocab_size 13",
    ),
    "BERT's heads": ("BERT", BERT | {"heads": 5}, "heads 5 does not divide width 12; each head has an equal share of it"),
    "BERT's layers": ("BERT", BERT | {"layers": 0}, "expected at least one of each, got layers 0 and segments 2"),
}


@every_backend
@pytest.mark.parametrize("what", BOTH)
def test_wrong_arguments_are_refused_in_one_line(models, what):
    name, config, message = BOTH[what]
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        getattr(models, name)(**config)
    assert f"{name}: {message}" == str(caught.value)


def transformer():
    return scratch.models.Transformer(**LANGUAGES)


def translate(source=None, lengths=LENGTHS, target=None):
    return transformer()(tokens(B, S) if source is None else source, lengths, tokens(B, T) if target is None else target)


def step(fed, **changes):
    names = "keys", "values", "memory_keys", "memory_values", "mask"
    state = dict(zip(names, transformer().start(tokens(B, S), LENGTHS), strict=True))
    return transformer().step(fed, tuple((state | changes).values()))


def bert(text=None, segments=None, lengths=LENGTHS):
    zeros = np.zeros((B, S), int)
    return scratch.models.BERT(**BERT)(tokens(B, S) if text is None else text, zeros if segments is None else segments, lengths)


def encode(src=None, src_mask=None):
    return TransformerEncoderLayer(WIDTH, HEADS, INNER)(single(B, S, WIDTH) if src is None else src, src_mask)


def decode(tgt=None, memory=None, tgt_mask=None, memory_mask=None, past=None):
    tgt = single(B, T, WIDTH) if tgt is None else tgt
    return TransformerDecoderLayer(WIDTH, HEADS, INNER)(tgt, memory, tgt_mask, memory_mask, False, past)


def single(*shape):
    return np.zeros(shape, np.float32)


def kept(own=(B, HEADS, 2, 4), of_memory=(B, HEADS, S, 4)):
    return single(*own), single(*own), single(*of_memory), single(*of_memory)


BAD = {
    "nhead": (lambda: TransformerEncoderLayer(12, 5), "TransformerEncoderLayer: nhead 5 does not divide d_model 12"),
    "decoder's nhead": (lambda: TransformerDecoderLayer(12, 5), "TransformerDecoderLayer: nhead 5 does not divide d_model 12"),
    "activation": (lambda: TransformerEncoderLayer(12, 3, activation="swish"), "activation is 'swish', expected one of relu"),
    "dropout": (lambda: TransformerEncoderLayer(12, 3, dropout=2), "dropout is 2, expected a probability, 0 to 1"),
    "src": (lambda: encode(single(B, S, 9)), "TransformerEncoderLayer: expected src (B, T, 12), got (3, 8, 9)"),
    "src without batch": (lambda: encode(single(S, WIDTH)), "TransformerEncoderLayer: expected src (B, T, 12), got (8, 12)"),
    "src_mask": (
        lambda: encode(src_mask=np.ones((B, S), bool)),
        "TransformerEncoderLayer: expected src_mask of a shape that broadcasts to (3, 3, 8, 8), got (3, 8)",
    ),
    "src_mask of numbers": (
        lambda: encode(src_mask=np.ones((S, S), int)),
        "TransformerEncoderLayer: src_mask is int64, expected bool (true: may attend) or float32 to be added",
    ),
    "tgt": (
        lambda: decode(single(B, T, 9), single(B, S, WIDTH)),
        "TransformerDecoderLayer: expected tgt (B, T, 12), got (3, 6, 9)",
    ),
    "memory": (lambda: decode(memory=single(B, S, 9)), "TransformerDecoderLayer: expected memory (B, T, 12), got (3, 8, 9)"),
    "other memory": (
        lambda: decode(memory=single(2, S, WIDTH)),
        "TransformerDecoderLayer: expected a memory for each tgt, got memory (2, 8, 12) and tgt (3, 6, 12)",
    ),
    "no memory": (
        lambda: decode(),
        "TransformerDecoderLayer: expected memory or past, one of them and None for the other",
    ),
    "memory and past": (
        lambda: decode(memory=single(B, S, WIDTH), past=kept()),
        "TransformerDecoderLayer: expected memory or past, one of them and None for the other",
    ),
    "past": (
        lambda: decode(past=kept(own=(2, HEADS, 2, 4))),
        "TransformerDecoderLayer: expected past[0] of shape (3, 3, 2, 4), got (2, 3, 2, 4)",
    ),
    "past of the memory": (
        lambda: decode(past=kept(of_memory=(B, HEADS, S, 5))),
        "TransformerDecoderLayer: expected past[2] of shape (3, 3, 8, 4), got (3, 3, 8, 5)",
    ),
    "tgt_mask": (
        lambda: decode(tgt_mask=np.ones((T, T), bool), past=kept()),
        "TransformerDecoderLayer: expected tgt_mask of a shape that broadcasts to (3, 3, 6, 8), got (6, 6)",
    ),
    "memory_mask": (
        lambda: decode(memory=single(B, S, WIDTH), memory_mask=np.ones((T, T), bool)),
        "TransformerDecoderLayer: expected memory_mask of a shape that broadcasts to (3, 3, 6, 8), got (6, 6)",
    ),
    "memory_mask of doubles": (
        lambda: decode(memory=single(B, S, WIDTH), memory_mask=np.ones((T, S))),
        "TransformerDecoderLayer: memory_mask is float64, expected bool (true: may attend) or float32 to be added",
    ),
    "source token": (
        lambda: translate(np.full((B, S), V)),
        "Transformer: source hold 11, expected numbers from 0 to 10",
    ),
    "negative target token": (
        lambda: translate(target=np.full((B, T), -1)),
        "Transformer: target hold -1, expected numbers from 0 to 12",
    ),
    "float source": (lambda: translate(normal(B, S)), "Transformer: expected source to be whole numbers, got float64"),
    "no batch": (lambda: translate(tokens(S)), "Transformer: expected source (B, T) of at least one step, got shape (8,)"),
    "long source": (
        lambda: translate(tokens(B, 25)),
        "Transformer: source is 25 tokens long, expected at most 24, the context",
    ),
    "long target": (
        lambda: translate(target=tokens(B, 25)),
        "Transformer: target is 25 tokens long, expected at most 24, the context",
    ),
    "no target": (lambda: translate(target=tokens(B, 0)), "Transformer: expected target (B, T) of at least one step"),
    "other target": (
        lambda: translate(target=tokens(4, T)),
        "Transformer: expected as many targets as sources, got 4 and 3",
    ),
    "length 0": (lambda: translate(lengths=np.array([5, 0, 8])), "Transformer: expected lengths from 1 to 8, got 0 to 8"),
    "length beyond S": (lambda: translate(tokens(B, 7)), "Transformer: expected lengths from 1 to 7, got 1 to 8"),
    "empty prompt": (lambda: step(tokens(B, 0)), "Transformer: expected tokens (B, T) of at least one step, got shape (3, 0)"),
    "token of a step": (
        lambda: step(np.full((B, 1), V + 2)),
        "Transformer: tokens hold 13, expected numbers from 0 to 12",
    ),
    "beyond the context": (
        lambda: step(tokens(B, 2), keys=single(2, B, HEADS, 23, 4), values=single(2, B, HEADS, 23, 4)),
        "Transformer: tokens is 23 and 2 more tokens long, expected at most 24, the context",
    ),
    "another batch": (
        lambda: step(tokens(2, 1)),
        "TransformerDecoderLayer: expected past[0] of shape (2, 3, 0, 4), got (3, 3, 0, 4)",
    ),
    "BERT's token": (lambda: bert(np.full((B, S), V)), "BERT: tokens hold 11, expected numbers from 0 to 10"),
    "segment": (lambda: bert(segments=np.full((B, S), 2)), "BERT: segments hold 2, expected numbers from 0 to 1"),
    "segments": (
        lambda: bert(segments=np.zeros((B, T), int)),
        "BERT: expected a segment for each token, got segments (3, 6) and tokens (3, 8)",
    ),
    "BERT's context": (lambda: bert(tokens(B, 25)), "BERT: tokens is 25 tokens long, expected at most 24, the context"),
    "BERT's text": (lambda: bert(tokens(B, 0)), "BERT: expected tokens (B, T) of at least one step, got shape (3, 0)"),
    "BERT's lengths": (lambda: bert(lengths=LENGTHS[:2]), "BERT: expected lengths, 3 whole numbers, got int64 of shape (2,)"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])
