"""DETR beyond its cases: the authors' names and sizes, torch's layers, padding, frozen norms, training, bad input."""

import numpy as np
import pytest
import torch

import reference.layers.norm
import reference.models
import scratch.models
import scratch.optim
from parity.weights import get_state, set_state
from parity_tests.shared import assert_equal_up_to_rounding, assert_refused_in_one_line, assert_weights_load
from parity_tests.torchvision_names import resnet50, shapes_of
from reference import ops as their_ops
from scratch.layers import DETRDecoderLayer, DETREncoderLayer
from scratch.layers.norm import freeze_batch_norm
from scratch.ops import detections, detr_loss, pad_images, set_loss
from scratch.random import manual_seed

B, Q, S, WIDTH, HEADS, INNER = 3, 7, 5, 12, 3, 10
SMALL = {
    "classes": 4,
    "depth": 10,
    "width": 2,
    "d_model": 12,
    "nhead": 3,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "dim_feedforward": 10,
    "dropout": 0.0,
    "num_queries": 6,
    "in_channels": 2,
    "small_images": True,
}
BACKENDS = {"numpy": scratch.models, "torch": reference.models}
every_backend = pytest.mark.parametrize("models", BACKENDS.values(), ids=BACKENDS)
SIZES = (24, 40), (17, 9), (30, 22)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def with_random_weights(module):
    """Give a module in eval mode random weights, all different from the initial ones."""
    rng = np.random.default_rng(0)
    for name, array in module.state_dict().items():
        if array.dtype.kind == "f":
            around = 1 if name.endswith(("norm.weight", "running_var")) or (array.ndim == 1 and name.endswith("weight")) else 0
            array[...] = np.maximum(rng.normal(around, 0.2, array.shape), 0.1 if around else -9)
    return module.astype(np.float64).eval()


def twins(**config):
    ours = with_random_weights(scratch.models.DETR(**SMALL | config))
    theirs = reference.models.DETR(**SMALL | config).double().eval()
    set_state(theirs, get_state(ours))
    return ours, theirs


def batch(*sizes):
    """Draw images of these sizes, padded to one size."""
    return pad_images([normal(2, *size, seed=i) for i, size in enumerate(sizes)])[0]


# --- the authors' names and sizes ---


def linear(name, out_features, in_features):
    return {f"{name}.weight": (out_features, in_features), f"{name}.bias": (out_features,)}


def authors_layer(attentions):
    """Return the shapes of one layer of the authors' DETR: width 256, feed-forward width 2048."""
    shapes = linear("linear1", 2048, 256) | linear("linear2", 256, 2048)
    for i in range(len(attentions) + 1):
        shapes |= {f"norm{i + 1}.{part}": (256,) for part in ("weight", "bias")}
    for name in attentions:
        shapes |= {f"{name}.in_proj_weight": (768, 256), f"{name}.in_proj_bias": (768,)} | linear(f"{name}.out_proj", 256, 256)
    return shapes


def authors():
    """Return the shapes of the authors' DETR with ResNet-50."""
    backbone = {name: shape for name, shape in shapes_of(resnet50()).items() if not name.startswith("fc.")}
    state = {f"backbone.0.body.{name}": shape for name, shape in backbone.items() if not name.endswith("num_batches_tracked")}
    state |= {"input_proj.weight": (256, 2048, 1, 1), "input_proj.bias": (256,), "query_embed.weight": (100, 256)}
    for stack, attentions in (("encoder", ["self_attn"]), ("decoder", ["self_attn", "multihead_attn"])):
        for i in range(6):
            state |= {f"transformer.{stack}.layers.{i}.{name}": shape for name, shape in authors_layer(attentions).items()}
    state |= {f"transformer.decoder.norm.{part}": (256,) for part in ("weight", "bias")} | linear("class_embed", 92, 256)
    return (
        state
        | linear("bbox_embed.layers.0", 256, 256)
        | linear("bbox_embed.layers.1", 256, 256)
        | linear("bbox_embed.layers.2", 4, 256)
    )


RENAMED = {
    "backbone.0.body.": "backbone.",
    "transformer.": "",
    "query_embed.weight": "queries",
    ".linear": ".feed_forward.linear",
    "bbox_embed.layers.2": "bbox_embed.layers.4",
    "bbox_embed.layers.1": "bbox_embed.layers.2",
}


def renamed(state):
    """Rename the authors' shapes to the names of this project."""
    here = {}
    for name, shape in state.items():
        for theirs, ours in RENAMED.items():
            name = name.replace(theirs, ours)
        if "in_proj_" in name:
            third = shape[0] // 3, *shape[1:]
            here |= {name.replace("in_proj_", f"{part}_proj."): third for part in "qkv"}
        else:
            here[name] = shape
    return here


def test_every_weight_of_the_authors_has_a_place():
    with torch.device("meta"):  # gives shapes without numbers
        model = reference.models.DETR(91)
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == renamed(authors())
    total = sum(parameter.numel() for parameter in model.parameters())
    untrained = sum(p.numel() for part in (model.backbone.conv1, model.backbone.layer1) for p in part.parameters())
    convolutions = 25_557_032 - (2_048 * 1_000 + 1_000) - 2 * 26_560  # ResNet-50 without fc and without its norms (26,560 channels)
    attention, feed_forward, norm = 4 * (256 * 256 + 256), 2 * 256 * 2048 + 2048 + 256, 2 * 256
    encoder, decoder = attention + feed_forward + 2 * norm, 2 * attention + feed_forward + 3 * norm
    heads = 92 * 257 + 2 * 256 * 257 + 4 * 257
    assert total == convolutions + (2048 * 256 + 256) + 6 * (encoder + decoder) + norm + 100 * 256 + heads == 41_524_768
    assert total - untrained == 41_302_368  # the number that the authors' program prints as trained


def test_scratch_has_the_same_names_and_shapes():
    few = {"encoder_layers": 1, "decoder_layers": 1}
    with torch.device("meta"):
        theirs = reference.models.DETR(91, **few)
    ours = scratch.models.DETR(91, **few)
    assert {name: array.shape for name, array in ours.state_dict().items()} == {
        name: tuple(tensor.shape) for name, tensor in theirs.state_dict().items()
    }
    assert {name for name, _ in ours.named_parameters()} == {name for name, _ in theirs.named_parameters()}


@every_backend
def test_unfrozen_norms_are_trained(models):
    model = models.DETR(**SMALL | {"frozen_norm": False})
    assert any(name.endswith("bn1.weight") for name, _ in model.named_parameters())


def test_an_image_may_be_one_pixel_and_padding():
    present = np.zeros((B, 64, 64), bool)
    present[:, 0, 0] = True
    logits, _ = scratch.models.DETR(**SMALL).eval()(normal(B, SMALL["in_channels"], 64, 64).astype(np.float32), present)[0]
    assert np.isfinite(logits).all()


@every_backend
def test_initial_queries_are_normally_distributed(models):
    queries = get_state(models.DETR(**SMALL | {"num_queries": 400}))["queries"]
    assert abs(queries.std() - 1) < 0.05
    assert abs(queries.mean()) < 0.05


@pytest.mark.parametrize("writer", BACKENDS)
@pytest.mark.parametrize("reader", BACKENDS)
def test_every_backend_loads_the_weights_of_the_other(tmp_path, writer, reader):
    assert_weights_load(tmp_path, BACKENDS[writer].DETR, BACKENDS[reader], SMALL)


# --- layers ---


def torch_layer(layer, attentions):
    """Return torch's layer with the weights of our layer."""
    kind = torch.nn.TransformerEncoderLayer if attentions == ["self_attn"] else torch.nn.TransformerDecoderLayer
    theirs = kind(WIDTH, HEADS, INNER, 0.0, batch_first=True, dtype=torch.float64)
    state = {name.replace("feed_forward.", ""): torch.from_numpy(array) for name, array in layer.state_dict().items()}
    for name in attentions:
        for part in ("weight", "bias"):
            thirds = [state.pop(f"{name}.{which}_proj.{part}") for which in "qkv"]
            state[f"{name}.in_proj_{part}"] = torch.cat(thirds)
    theirs.load_state_dict(state)
    return theirs.eval()


def test_layers_without_positions_agree_with_torchs():
    src, tgt, memory = normal(B, S, WIDTH), normal(B, Q, WIDTH, seed=1), normal(B, S, WIDTH, seed=2)
    encoder, decoder = (with_random_weights(layer(WIDTH, HEADS, INNER, 0.0)) for layer in (DETREncoderLayer, DETRDecoderLayer))
    expected = torch_layer(encoder, ["self_attn"])(torch.from_numpy(src)).detach()
    np.testing.assert_allclose(encoder(src, 0 * src)[0], expected, rtol=1e-10, atol=1e-12)
    expected = torch_layer(decoder, ["self_attn", "multihead_attn"])(torch.from_numpy(tgt), torch.from_numpy(memory)).detach()
    np.testing.assert_allclose(decoder(tgt, memory, 0 * tgt, 0 * memory)[0], expected, rtol=1e-10, atol=1e-12)


def test_positions_change_the_attention_weights_but_not_the_values():
    """Attend to a memory of one place: it gets the whole weight, whatever its position."""
    layer = with_random_weights(DETRDecoderLayer(WIDTH, HEADS, INNER, 0.0))
    tgt, memory, of_tgt, positions = (normal(B, n, WIDTH, seed=n) for n in (Q, 1, Q, 1))
    np.testing.assert_allclose(
        layer(tgt, memory, of_tgt, positions)[0], layer(tgt, memory, of_tgt, 7 * positions)[0], rtol=1e-12, atol=1e-13
    )
    more, places = normal(B, S, WIDTH), normal(B, S, WIDTH, seed=9)
    assert not np.allclose(layer(tgt, more, of_tgt, places)[0], layer(tgt, more, of_tgt, 7 * places)[0])


# --- the model ---


def test_padding_gets_no_attention():
    ours, theirs = twins()
    images, present = batch(*SIZES)
    weights = ours.attend(images, present)
    assert weights.shape == (B, 3, 6, 4, 5)  # the feature map has an eighth of 30x40
    assert_equal_up_to_rounding(weights.sum(axis=(3, 4)), 1, 1e-12)
    for i, (h, w) in enumerate(SIZES):
        inside = np.zeros((4, 5), bool)
        rows, columns = (np.array([int(k * n / m) for k in range(m)]) for n, m in ((30, 4), (40, 5)))
        inside[np.ix_(rows < h, columns < w)] = True
        assert not weights[i, :, :, ~inside].any()
        assert (weights[i, :, :, inside] > 0).all()
    expected = theirs.attend(*map(torch.from_numpy, (images, present))).detach()
    np.testing.assert_allclose(weights, expected, rtol=1e-9, atol=1e-14)


def test_images_of_one_size_need_no_mask():
    ours, theirs = twins()
    images = normal(B, 2, 17, 24)
    everywhere = np.ones((B, 17, 24), bool)
    for one, other in zip(ours(images)[0], ours(images, everywhere)[0], strict=True):
        assert np.array_equal(one, other)
    for one, other in zip(ours(images)[0], theirs(torch.from_numpy(images)), strict=True):
        np.testing.assert_allclose(one, other.detach(), rtol=1e-9, atol=1e-11)


def test_the_order_of_queries_does_not_matter():
    ours, _ = twins()
    images, present = batch(*SIZES)
    (logits, boxes), _ = ours(images, present)
    order = np.random.default_rng(0).permutation(6)
    ours.queries.data = ours.queries.data[order]
    (others, other_boxes), _ = ours(images, present)
    np.testing.assert_allclose(others, logits[:, :, order], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(other_boxes, boxes[:, :, order], rtol=1e-10, atol=1e-12)


def test_each_decoder_layer_predicts_as_if_it_were_the_last():
    ours, _ = twins()
    images, present = batch(*SIZES)
    (logits, boxes), _ = ours(images, present)
    ours.decoder.layers = ours.decoder.layers[:2]
    (fewer, fewer_boxes), _ = ours(images, present)
    np.testing.assert_allclose(fewer, logits[:2], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(fewer_boxes, boxes[:2], rtol=1e-10, atol=1e-12)
    assert (boxes > 0).all()
    assert (boxes < 1).all()


# --- frozen norms ---


def test_frozen_norms_agree_with_a_network_in_eval_mode():
    ours = with_random_weights(scratch.models.ResNet(10, None, 2, 3)).astype(np.float32)
    theirs = reference.models.ResNet(10, None, 2, 3).eval()
    set_state(theirs, get_state(ours))
    images = normal(B, 2, 33, 40).astype(np.float32)
    before, expected = ours(images)[0], theirs(torch.from_numpy(images)).detach()
    freeze_batch_norm(ours)
    reference.layers.norm.freeze_batch_norm(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert not any("bn" in name for model in (ours, theirs) for name, _ in model.named_parameters())
    state = get_state(ours)
    np.testing.assert_allclose(ours.train()(images)[0], before, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(theirs.train()(torch.from_numpy(images)).detach(), expected, rtol=1e-3, atol=1e-4)
    assert all(np.array_equal(array, ours.state_dict()[name]) for name, array in state.items())


# --- the loss and the detections ---

LABELS = np.array([[1, -1, 3], [-1, -1, -1], [0, 2, 2]])


def targets():
    rng = np.random.default_rng(3)
    return np.concatenate([rng.uniform(0.3, 0.7, (B, 3, 2)), rng.uniform(0.1, 0.4, (B, 3, 2))], axis=2)


def predictions(layers=3):
    return normal(layers, B, Q, 5), 1 / (1 + np.exp(-normal(layers, B, Q, 4, seed=1)))


def test_the_loss_is_the_sum_over_the_layers():
    logits, boxes = predictions()
    whole, backward = detr_loss(logits, boxes, LABELS, targets())
    each = [set_loss(logits[i], boxes[i], LABELS, targets()) for i in range(3)]
    assert_equal_up_to_rounding(whole, np.sum([parts for parts, _ in each], axis=0), 1e-13)
    dlogits, dboxes, *none = backward(1.0, 2.0, 3.0)
    assert none == [None, None]
    for i, (_, of_layer) in enumerate(each):
        for array, expected in zip((dlogits[i], dboxes[i]), of_layer(1.0, 2.0, 3.0), strict=False):
            assert np.array_equal(array, expected)


def test_without_auxiliary_losses_only_the_last_layer_is_trained():
    logits, boxes = predictions()
    last, backward = detr_loss(logits, boxes, LABELS, targets(), auxiliary=False)
    assert_equal_up_to_rounding(last, set_loss(logits[-1], boxes[-1], LABELS, targets())[0], 1e-13)
    for gradient in backward(1.0, 1.0, 1.0)[:2]:
        assert not gradient[:-1].any()
        assert gradient[-1].any()


def test_detections_are_the_best_classes_with_their_boxes():
    logits = np.log(np.array([[[0.1, 0.6, 0.3], [0.2, 0.1, 0.7]]]))
    boxes = np.array([[[0.5, 0.4, 0.2, 0.6], [0.1, 0.1, 0.1, 0.1]]])
    (scores, labels, corners), backward = detections(logits, boxes)
    np.testing.assert_allclose(scores, [[0.6, 0.2]])
    assert labels.tolist() == [[1, 0]]
    np.testing.assert_allclose(corners, [[[0.4, 0.1, 0.6, 0.7], [0.05, 0.05, 0.15, 0.15]]])
    assert backward(scores, corners) == (None, None)
    theirs = their_ops.detections(torch.from_numpy(logits), torch.from_numpy(boxes))
    for one, other in zip((scores, labels, corners), theirs, strict=True):
        np.testing.assert_allclose(one, other)


# --- training ---


@pytest.mark.parametrize("frozen_norm", [True, False])
def test_training_steps_agree_between_both_backends(frozen_norm):
    manual_seed(0)
    ours = scratch.models.DETR(**SMALL, frozen_norm=frozen_norm).astype(np.float64)
    theirs = reference.models.DETR(**SMALL, frozen_norm=frozen_norm).double()
    set_state(theirs, get_state(ours))
    optimizer = scratch.optim.AdamW(ours.parameters(), lr=3e-3)
    their_optimizer = torch.optim.AdamW(theirs.parameters(), lr=3e-3)
    images, present = batch(*SIZES)
    arrays = images, present, LABELS, targets()
    tensors = [torch.from_numpy(array) for array in arrays]
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        predicted, backward = ours(images, present)
        parts, loss_backward = detr_loss(*predicted, LABELS, targets())
        backward(*loss_backward(*(np.ones_like(part) for part in parts))[:2])
        optimizer.step()
        their_optimizer.zero_grad()
        their_parts = their_ops.detr_loss(*theirs(*tensors[:2]), *tensors[2:])
        sum(their_parts).backward()
        their_optimizer.step()
        losses.append((*parts, *(part.item() for part in their_parts)))
    losses = np.array(losses)
    np.testing.assert_allclose(losses[:, :3], losses[:, 3:], rtol=1e-6)
    assert losses[-1, :3].sum() < 0.8 * losses[0, :3].sum()


# --- bad input ---

BOTH = {
    "heads": ({"nhead": 5}, "DETR: nhead 5 does not divide d_model 12; each head has an equal share of it"),
    "no heads": ({"nhead": 0}, "DETR: nhead 0 does not divide d_model 12; each head has an equal share of it"),
    "odd width": ({"d_model": 15}, "DETR: d_model is 15, expected an even number: half of it is for rows, half for columns"),
    "no queries": (
        {"num_queries": 0},
        "DETR: expected at least one of each, got classes 4, encoder_layers 2, decoder_layers 3 and num_queries 0",
    ),
    "no layers": (
        {"decoder_layers": 0},
        "DETR: expected at least one of each, got classes 4, encoder_layers 2, decoder_layers 0 and num_queries 6",
    ),
    "depth": ({"depth": 51}, "ResNet: depth is 51, expected one of 10, 14, 18, 26, 34, 50, 101, 152"),
}


@every_backend
@pytest.mark.parametrize("what", BOTH)
def test_wrong_arguments_are_refused_in_one_line(models, what):
    config, message = BOTH[what]
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        models.DETR(**SMALL | config)
    assert message == str(caught.value)


def called(images=None, present=None, method="forward", **config):
    model = scratch.models.DETR(**SMALL | config)
    return getattr(model, method)(np.zeros((B, 2, 16, 24), np.float32) if images is None else images, present)


def padding_first():
    present = np.ones((B, 16, 24), bool)
    present[1, :4] = False
    return present


LAYER = DETRDecoderLayer(WIDTH, HEADS, INNER)
ROWS, MORE = np.zeros((B, Q, WIDTH), np.float32), np.zeros((B, S, WIDTH), np.float32)
BAD = {
    "channels": (
        lambda: called(np.zeros((B, 3, 16, 24), np.float32)),
        "DETR: expected images of 2 channels, got 3; in_channels says how many there are",
    ),
    "one image": (lambda: called(np.zeros((2, 16, 24), np.float32)), "DETR: expected images (N, 2, H, W), got shape (2, 16, 24)"),
    "too small": (
        lambda: called(np.zeros((B, 2, 24, 7), np.float32)),
        "DETR: images of 24x7 are too small for its depth, expected at least 8 a side; enlarge them",
    ),
    "too small for a stem for large images": (
        lambda: called(small_images=False),
        "DETR: images of 16x24 are too small for its depth, expected at least 32 a side; enlarge them",
    ),
    "a mask of another batch": (
        lambda: called(present=np.ones((2, 16, 24), bool)),
        "DETR: expected present of shape (3, 16, 24), got (2, 16, 24)",
    ),
    "a mask of the feature map": (
        lambda: called(present=np.ones((B, 2, 3), bool), method="attend"),
        "DETR: expected present of shape (3, 16, 24), got (3, 2, 3)",
    ),
    "a mask of numbers": (
        lambda: called(present=np.ones((B, 16, 24))),
        "DETR: present is float64, expected bool (true: not padding)",
    ),
    "padding above": (
        lambda: called(present=padding_first()),
        "DETR: image 1 is padding at its upper left corner; pad to the right and below",
    ),
    "heads of a layer": (lambda: DETREncoderLayer(12, 5), "DETREncoderLayer: nhead 5 does not divide d_model 12"),
    "heads of the other layer": (lambda: DETRDecoderLayer(12, 5), "DETRDecoderLayer: nhead 5 does not divide d_model 12"),
    "positions": (
        lambda: DETREncoderLayer(WIDTH, HEADS)(ROWS, MORE),
        "DETREncoderLayer: expected positions of shape (3, 7, 12), got (3, 5, 12)",
    ),
    "a width": (lambda: DETREncoderLayer(9, 3)(ROWS, ROWS), "DETREncoderLayer: expected src (B, T, 9), got (3, 7, 12)"),
    "a width of queries": (lambda: DETRDecoderLayer(9, 3)(ROWS, MORE, ROWS, MORE), "DETRDecoderLayer: expected tgt (B, T, 9), got"),
    "a memory that is no sequence": (lambda: LAYER(ROWS, MORE[0], ROWS, MORE), "DETRDecoderLayer: expected memory (B, T, 12), got"),
    "a mask of the encoder": (
        lambda: DETREncoderLayer(WIDTH, HEADS)(ROWS, ROWS, np.ones((B, 1, 1, Q + 1), bool)),
        "DETREncoderLayer: expected src_mask of a shape that broadcasts to (3, 3, 7, 7), got (3, 1, 1, 8)",
    ),
    "positions of the memory": (
        lambda: LAYER(ROWS, MORE, ROWS, ROWS),
        "DETRDecoderLayer: expected positions of shape (3, 5, 12), got (3, 7, 12)",
    ),
    "positions of the queries": (
        lambda: LAYER.attend(ROWS, MORE, MORE, MORE),
        "DETRDecoderLayer: expected tgt_positions of shape (3, 7, 12), got (3, 5, 12)",
    ),
    "memories of another batch": (
        lambda: LAYER(ROWS, MORE[:2], ROWS, MORE[:2]),
        "DETRDecoderLayer: expected memory of shape (3, 5, 12), got (2, 5, 12)",
    ),
    "a mask of another memory": (
        lambda: LAYER(ROWS, MORE, ROWS, MORE, np.ones((B, 1, 1, Q), bool)),
        "DETRDecoderLayer: expected memory_mask of a shape that broadcasts to (3, 3, 7, 5), got (3, 1, 1, 7)",
    ),
    "more objects than queries": (
        lambda: detr_loss(*(array[:, :, :2] for array in predictions()), LABELS, targets()),
        "bipartite_matching: image 2 has 3 objects for 2 queries, expected at most one for each",
    ),
    "objects of another batch": (
        lambda: detr_loss(*predictions(), LABELS[:2], targets()[:2]),
        "set_loss: expected labels of shape (3, 3), got (2, 3)",
    ),
    "one layer": (
        lambda: detr_loss(*(array[0] for array in predictions()), LABELS, targets()),
        "(layers, B, Q, 4) of as many layers, at least one, got (3, 7, 5) and (3, 7, 4)",
    ),
    "boxes of fewer layers": (
        lambda: detr_loss(predictions()[0], predictions(2)[1], LABELS, targets()),
        "of as many layers, at least one, got (3, 3, 7, 5) and (2, 3, 7, 4)",
    ),
    "detections of all layers": (
        lambda: detections(*predictions()),
        "detections: expected logits (B, Q, K + 1) of at least one class, got (3, 3, 7, 5); take one layer's",
    ),
    "boxes of other queries": (
        lambda: detections(predictions()[0][0], predictions()[1][0, :, :4]),
        "detections: expected boxes of shape (3, 7, 4), got (3, 4, 4)",
    ),
    "images of other channels": (
        lambda: pad_images([np.zeros((1, 3, 4)), np.zeros((2, 3, 4))]),
        "pad_images: expected images (C, h, w) of one number of channels, got (1, 3, 4), (2, 3, 4)",
    ),
    "no images": (lambda: pad_images([]), "pad_images: expected images (C, h, w) of one number of channels, got none"),
    "images of two dtypes": (
        lambda: pad_images([np.zeros((1, 3, 4)), np.zeros((1, 3, 4), np.float32)]),
        "pad_images: expected one floating-point dtype, got image 0 float64, image 1 float32",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])


def test_weights_of_another_class_count_are_refused_before_loading():
    state = get_state(scratch.models.DETR(**SMALL))
    model = scratch.models.DETR(**SMALL | {"classes": 7})
    before = get_state(model)
    with pytest.raises(ValueError, match=r"class_embed.weight has shape \(5, 12\), expected \(8, 12\)"):
        model.load_state_dict(state)
    assert all(np.array_equal(array, model.state_dict()[name]) for name, array in before.items())
