"""The Vision Transformer beyond its cases: torchvision's names and sizes, torch's layers, other image sizes, bad input."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import reference.models
import scratch.models
import scratch.optim
from parity.weights import get_state, set_state
from parity_tests.shared import assert_equal_up_to_rounding, assert_refused_in_one_line, assert_weights_load
from reference.models.vit import SIZES
from scratch.layers import SelfAttention
from scratch.models.vit import SIZES as OUR_SIZES
from scratch.models.vit import EncoderBlock
from scratch.ops import cross_entropy, interpolate_positions
from scratch.ops.interpolate_positions import cubic_weights
from scratch.random import manual_seed

B, WIDTH, HEADS, INNER = 3, 12, 3, 10
STACK = {"classes": 5, "width": WIDTH, "layers": 2, "heads": HEADS, "feed_forward": INNER}
SMALL = {"in_channels": 2, "image_size": (12, 15), "patch_size": (4, 3)} | STACK
BACKENDS = {"numpy": scratch.models, "torch": reference.models}
every_backend = pytest.mark.parametrize("models", BACKENDS.values(), ids=BACKENDS)
every_pool = pytest.mark.parametrize("pool", ["token", "mean"])


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def with_random_weights(module):
    """Give a module in eval mode random weights, all different from the initial ones."""
    rng = np.random.default_rng(0)
    for name, parameter in module.named_parameters():
        around = 1 if "ln" in name and name.endswith("weight") else 0
        parameter.data = rng.normal(around, 0.3, parameter.data.shape).astype(np.float32)
    return module.astype(np.float64).eval()


def twins(**config):
    ours = with_random_weights(scratch.models.ViT(**SMALL | config))
    theirs = reference.models.ViT(**SMALL | config).double().eval()
    set_state(theirs, get_state(ours))
    return ours, theirs


# --- torchvision's names and sizes ---

# torchvision.models.vit_b_16().state_dict(); its twelve layers have the same shapes
LAYER = {
    "ln_1.weight": (768,),
    "ln_1.bias": (768,),
    "self_attention.in_proj_weight": (2304, 768),
    "self_attention.in_proj_bias": (2304,),
    "self_attention.out_proj.weight": (768, 768),
    "self_attention.out_proj.bias": (768,),
    "ln_2.weight": (768,),
    "ln_2.bias": (768,),
    "mlp.0.weight": (3072, 768),
    "mlp.0.bias": (3072,),
    "mlp.3.weight": (768, 3072),
    "mlp.3.bias": (768,),
}
VIT_B_16 = {
    "class_token": (1, 1, 768),
    "conv_proj.weight": (768, 3, 16, 16),
    "conv_proj.bias": (768,),
    "encoder.pos_embedding": (1, 197, 768),
    **{f"encoder.layers.encoder_layer_{i}.{name}": shape for i in range(12) for name, shape in LAYER.items()},
    "encoder.ln.weight": (768,),
    "encoder.ln.bias": (768,),
    "heads.head.weight": (1000, 768),
    "heads.head.bias": (1000,),
}
PUBLISHED = {"Ti": 5_717_416, "S": 22_050_664, "B": 86_567_656, "L": 304_326_632}


def build_without_numbers(size):
    with torch.device("meta"):  # gives shapes without numbers
        return reference.models.ViT(3, 224, 16, 1000, **SIZES[size])


def test_names_and_shapes_agree_with_torchvision():
    model = scratch.models.ViT(3, 224, 16, 1000, **OUR_SIZES["B"])
    for state in (model.state_dict(), build_without_numbers("B").state_dict()):
        assert {name: tuple(array.shape) for name, array in state.items()} == VIT_B_16
        assert list(state) == list(VIT_B_16)
    assert sum(parameter.data.size for parameter in model.parameters()) == PUBLISHED["B"]


@pytest.mark.parametrize("size", PUBLISHED)
def test_parameter_counts_are_the_published_ones(size):
    assert OUR_SIZES == SIZES
    assert sum(parameter.numel() for parameter in build_without_numbers(size).parameters()) == PUBLISHED[size]


@every_backend
def test_initial_weights_have_torchvisions_spread(models):
    manual_seed(0)
    torch.manual_seed(0)
    state = get_state(models.ViT(3, (28, 42), (7, 14), 10, width=96, layers=3, heads=4, feed_forward=120))
    for name, array in state.items():
        if "ln" in name:
            assert (array == (1 if name.endswith("weight") else 0)).all(), name
        elif "mlp" in name and name.endswith("bias"):
            assert 0.8e-6 < array.std() < 1.2e-6, name
        elif name.endswith("bias") or name in ("class_token", "heads.head.weight"):
            assert not array.any(), name
        elif name in (stds := {"encoder.pos_embedding": 0.02, "conv_proj.weight": (3 * 7 * 14) ** -0.5}):
            assert abs(array.std() / stds[name] - 1) < 0.05, name
        else:
            bound = 96**-0.5 if "out_proj" in name else math.sqrt(6 / sum(array.shape))
            assert 0.99 * bound < np.abs(array).max() <= bound, name
            assert abs(array.std() * math.sqrt(3) / bound - 1) < 0.05, name


@pytest.mark.parametrize("writer", BACKENDS)
@pytest.mark.parametrize("reader", BACKENDS)
def test_every_backend_loads_the_weights_of_the_other(tmp_path, writer, reader):
    assert_weights_load(tmp_path, BACKENDS[writer].ViT, BACKENDS[reader], SMALL)


# --- torch's own layers ---


def test_self_attention_agrees_with_torchs_multihead_attention():
    ours = with_random_weights(SelfAttention(WIDTH, HEADS))
    theirs = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, dtype=torch.float64)
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in ours.state_dict().items()})
    x, dy = normal(B, 7, WIDTH), normal(B, 7, WIDTH, seed=1)
    leaf = torch.from_numpy(x).requires_grad_()
    y, backward = ours(x)
    expected, weights = theirs(leaf, leaf, leaf, average_attn_weights=False)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(ours.attend(x), weights.detach(), rtol=1e-11, atol=1e-13)
    expected.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(backward(dy), leaf.grad, rtol=1e-10, atol=1e-11)
    for name, parameter in theirs.named_parameters():
        our_gradient = dict(ours.named_parameters())[name].grad
        np.testing.assert_allclose(our_gradient, parameter.grad, rtol=1e-10, atol=1e-11, err_msg=name)


def torch_layer(state, prefix):
    """Return torch.nn.TransformerEncoderLayer with the weights of a block."""
    layer = torch.nn.TransformerEncoderLayer(
        WIDTH, HEADS, INNER, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True, dtype=torch.float64
    )
    names = {"self_attention": "self_attn", "ln_1": "norm1", "ln_2": "norm2", "mlp.0": "linear1", "mlp.3": "linear2"}
    own = {name.removeprefix(prefix): torch.from_numpy(array) for name, array in state.items() if name.startswith(prefix)}
    for theirs, torchs in names.items():
        own = {name.replace(theirs, torchs): array for name, array in own.items()}
    layer.load_state_dict(own)
    return layer


def test_a_block_agrees_with_torchs_pre_norm_encoder_layer():
    block = with_random_weights(EncoderBlock(WIDTH, HEADS, INNER, 0.0))
    x = normal(B, 7, WIDTH)
    y, _ = block(x)
    expected = torch_layer(block.state_dict(), "")(torch.from_numpy(x))
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-11, atol=1e-12)


@every_pool
@pytest.mark.parametrize("size", [(12, 15), (20, 9)], ids=str)
def test_the_model_agrees_with_its_layers_put_together(pool, size):
    model, _ = twins(pool=pool)
    images = normal(B, 2, *size)
    state = {name: torch.from_numpy(array) for name, array in model.state_dict().items()}
    patches = torch.from_numpy(images).unfold(2, 4, 4).unfold(3, 3, 3)  # (B, 2, H / 4, W / 3, 4, 3)
    patches = patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    x = patches @ state["conv_proj.weight"].flatten(1).T + state["conv_proj.bias"]
    x = torch.cat([state["class_token"].expand(B, 1, WIDTH), x], dim=1)
    token, table = state["encoder.pos_embedding"].split([1, 15], dim=1)
    grid = table.reshape(1, 3, 5, WIDTH).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, (size[0] // 4, size[1] // 3), mode="bicubic").permute(0, 2, 3, 1).flatten(1, 2)
    x = x + torch.cat([token, grid], dim=1)
    for i in range(2):
        x = torch_layer(model.state_dict(), f"encoder.layers.encoder_layer_{i}.")(x)
    x = F.layer_norm(x, (WIDTH,), state["encoder.ln.weight"], state["encoder.ln.bias"], 1e-6)
    pooled = x[:, 0] if pool == "token" else x[:, 1:].mean(dim=1)
    expected = pooled @ state["heads.head.weight"].T + state["heads.head.bias"]
    np.testing.assert_allclose(model(images)[0], expected.detach(), rtol=1e-10, atol=1e-12)


# --- positions ---


@pytest.mark.parametrize("n", [1, 2, 5, 14])
@pytest.mark.parametrize("m", [1, 3, 14, 24])
def test_cubic_interpolation_weights_agree_with_torch(n, m):
    weights = cubic_weights(n, m)
    assert_equal_up_to_rounding(weights.sum(axis=1), 1, 1e-13)
    for i in range(n):
        image = torch.from_numpy(np.eye(n)[i]).reshape(1, 1, 1, n)
        expected = F.interpolate(image, (1, m), mode="bicubic")[0, 0, 0]
        np.testing.assert_allclose(weights[:, i], expected, rtol=1e-12, atol=1e-14)


def test_interpolated_positions_keep_their_places():
    rows, columns = np.mgrid[:6, :8]
    table = np.stack([rows, columns], axis=-1).reshape(1, 48, 2).astype(float)
    larger, _ = interpolate_positions(table, (6, 8), (18, 16))
    larger = larger.reshape(18, 16, 2)
    assert (np.diff(larger[:, 5, 0])[3:-3] > 0).all()  # rows keep their order
    assert (np.diff(larger[7, :, 1])[3:-3] > 0).all()
    np.testing.assert_allclose(
        larger[1::3][:, 0, 0], range(6), atol=1e-12
    )  # old rows lie at every third new row, from the second on


@every_pool
def test_only_positions_distinguish_the_order_of_patches(pool):
    """Shuffle the patches: without positions the logits stay the same."""
    model, _ = twins(pool=pool)
    images = normal(B, 2, 12, 15)
    shuffled = images.reshape(B, 2, 3, 4, 15)[:, :, [2, 0, 1]].reshape(images.shape)
    assert not np.allclose(model(images)[0], model(shuffled)[0])
    model.encoder.pos_embedding.data[:] = 0
    np.testing.assert_allclose(model(images)[0], model(shuffled)[0], rtol=1e-11, atol=1e-12)


def test_images_may_have_any_size_that_patches_divide():
    ours, theirs = twins()
    for H, W in ((4, 3), (8, 30), (24, 15)):
        images = normal(B, 2, H, W)
        np.testing.assert_allclose(ours(images)[0], theirs(torch.from_numpy(images)).detach(), rtol=1e-9, atol=1e-11)


# --- attention ---


def test_attention_weights_agree_between_backends():
    ours, theirs = twins()
    images = normal(B, 2, 12, 15)
    weights = ours.attend(images)
    assert weights.shape == (2, B, HEADS, 16, 16)
    assert_equal_up_to_rounding(weights.sum(axis=-1), 1, 1e-13)
    assert weights.std(axis=3).max() > 1e-3  # the weights differ from query to query
    np.testing.assert_allclose(weights, theirs.attend(torch.from_numpy(images)).detach(), rtol=1e-10, atol=1e-14)


# --- training ---


@every_pool
def test_fifty_training_steps_agree_between_backends(pool):
    manual_seed(0)
    ours = scratch.models.ViT(**SMALL, pool=pool).astype(np.float64)
    theirs = reference.models.ViT(**SMALL, pool=pool).double()
    set_state(theirs, get_state(ours))
    optimizer = scratch.optim.AdamW(ours.parameters(), lr=3e-3)
    their_optimizer = torch.optim.AdamW(theirs.parameters(), lr=3e-3)
    images, labels = normal(8, 2, 12, 15), np.arange(8) % 5
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        logits, backward = ours(images)
        loss, loss_backward = cross_entropy(logits, labels)
        backward(loss_backward(np.ones_like(loss))[0])
        optimizer.step()
        their_optimizer.zero_grad()
        their_loss = F.cross_entropy(theirs(torch.from_numpy(images)), torch.from_numpy(labels))
        their_loss.backward()
        their_optimizer.step()
        losses.append((float(loss), their_loss.item()))
    np.testing.assert_allclose(*zip(*losses, strict=True), rtol=1e-7)
    assert losses[-1][0] < 0.5 * losses[0][0]


# --- bad input ---

BOTH = {
    "heads": ({"heads": 5}, "ViT: heads 5 does not divide width 12; each head has an equal share of it"),
    "no heads": ({"heads": 0}, "ViT: heads 0 does not divide width 12; each head has an equal share of it"),
    "no layers": ({"layers": 0}, "ViT: expected at least one layer, got layers 0"),
    "pool": ({"pool": "max"}, "ViT: pool is 'max', expected one of token, mean"),
    "image size": (
        {"image_size": (12, 16)},
        "ViT: patches of 4x3 do not cut images of 12x16 evenly; resize or crop the images",
    ),
    "image smaller than a patch": (
        {"image_size": 3},
        "ViT: patches of 4x3 do not cut images of 3x3 evenly; resize or crop the images",
    ),
}


@every_backend
@pytest.mark.parametrize("what", BOTH)
def test_wrong_arguments_are_refused_in_one_line(models, what):
    config, message = BOTH[what]
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        models.ViT(**SMALL | config)
    assert message == str(caught.value)


@pytest.mark.parametrize("method", ["forward", "attend"])
def test_images_that_patches_do_not_divide_are_refused(method):
    ours, theirs = twins()
    for model, images in ((ours, normal(B, 2, 13, 15)), (theirs, torch.from_numpy(normal(B, 2, 13, 15)))):
        with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
            getattr(model, method)(images)
        assert str(caught.value) == "ViT: patches of 4x3 do not cut images of 13x15 evenly; resize or crop the images"


def vit(**config):
    return scratch.models.ViT(**SMALL | config)


BAD = {
    "channels": (
        lambda: vit()(np.zeros((B, 3, 12, 15), np.float32)),
        "conv2d: x has 3 channels; a weight of shape (12, 2, 4, 3) in 1 groups takes 2",
    ),
    "one image": (lambda: vit()(np.zeros((2, 12, 15), np.float32)), "conv2d: expected x (N, C, H, W)"),
    "dtype": (lambda: vit()(np.zeros((B, 2, 12, 15))), "conv2d: expected one floating-point dtype, got x float64"),
    "patch size": (lambda: vit(patch_size=0), "ViT: patch_size is 0, expected an int or a pair of ints, each at least 1"),
    "sizes": (lambda: vit(image_size=(12, 15, 3)), "ViT: image_size is (12, 15, 3), expected an int or a pair of ints"),
    "dropout": (lambda: vit(dropout=1.5), "Dropout: p is 1.5, expected a probability, 0 to 1"),
    "heads of attention": (lambda: SelfAttention(12, 5), "SelfAttention: num_heads 5 does not divide embed_dim 12"),
    "a vector": (
        lambda: SelfAttention(12, 3).attend(np.zeros((4, 12), np.float32)),
        "SelfAttention: expected x (B, T, 12), got (4, 12)",
    ),
    "another width": (
        lambda: SelfAttention(12, 3)(np.zeros((B, 4, 11), np.float32)),
        "SelfAttention: expected x (B, T, 12), got (3, 4, 11)",
    ),
    "fewer positions than patches": (
        lambda: interpolate_positions(np.zeros((1, 11, 4)), (3, 4), (5, 6)),
        "interpolate_positions: expected positions (1, P + h w, D) and sizes of at least 1, got (1, 11, 4) for a grid (3, 4)",
    ),
    "no patches": (lambda: interpolate_positions(np.zeros((1, 13, 4)), (3, 4), (5, 0)), "size is (5, 0), expected"),
    "a table of two axes": (lambda: interpolate_positions(np.zeros((13, 4)), (3, 4), (5, 6)), "got (13, 4) for a grid (3, 4)"),
    "whole numbers": (
        lambda: interpolate_positions(np.zeros((1, 13, 4), int), (3, 4), (5, 6)),
        "interpolate_positions: expected one floating-point dtype, got positions int64",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line(what):
    assert_refused_in_one_line(*BAD[what])


def test_weights_of_another_class_count_are_refused_before_loading():
    state = get_state(scratch.models.ViT(**SMALL))
    model = vit(classes=7)
    before = get_state(model)
    with pytest.raises(ValueError, match=r"heads.head.weight has shape \(5, 12\), expected \(7, 12\)"):
        model.load_state_dict(state)
    assert all(np.array_equal(array, model.state_dict()[name]) for name, array in before.items())
