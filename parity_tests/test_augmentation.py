"""Data augmentation, compared with plain definitions."""

import re

import numpy as np
import pytest

from examples.data import augmentation

IMAGES = np.random.default_rng(0).normal(size=(40, 2, 8, 9)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 4, 40)


def drawn(name, *given, seed=1, **options):
    return getattr(augmentation, name)(np.random.default_rng(seed), *given, **options)


def read_at(image, row, column):
    """Interpolate an image (H, W) at a point; beyond its edges is background."""
    H, W = image.shape
    value = 0.0
    for r in (int(np.floor(row)), int(np.floor(row)) + 1):
        for c in (int(np.floor(column)), int(np.floor(column)) + 1):
            there = image[r, c] if 0 <= r < H and 0 <= c < W else IMAGES.min()
            value += (1 - abs(row - r)) * (1 - abs(column - c)) * there
    return value


def moved(place):
    """Sample every pixel of every image at place(number of the image, row, column)."""
    N, C, H, W = IMAGES.shape
    places = {(n, h, w): place(n, h, w) for n in range(N) for h in range(H) for w in range(W)}
    return np.array(
        [[[[read_at(IMAGES[n, c], *places[n, h, w]) for w in range(W)] for h in range(H)] for c in range(C)] for n in range(N)]
    )


@pytest.mark.parametrize("name", augmentation.OF_IMAGES)
def test_each_depends_on_its_generator_alone_and_changes_no_input(name):
    before = IMAGES.copy()
    once, again, otherwise = (drawn(name, IMAGES, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, otherwise)
    np.testing.assert_array_equal(IMAGES, before)
    assert (once.shape, once.dtype) == (IMAGES.shape, IMAGES.dtype)
    assert not np.shares_memory(once, IMAGES)
    assert drawn(name, IMAGES.astype(np.float64)).dtype == np.float64
    np.testing.assert_array_equal(drawn(name, IMAGES[..., ::-1].copy()[..., ::-1]), once)  # not contiguous


@pytest.mark.parametrize("by", [1, 3])
def test_shift(by):
    rows, columns = np.random.default_rng(1).integers(0, 2 * by + 1, (2, len(IMAGES))) - by
    assert {*rows} == {*range(-by, by + 1)}
    np.testing.assert_array_equal(drawn("shift", IMAGES, by=by), moved(lambda n, h, w: (h + rows[n], w + columns[n])))


def test_crop():
    rng = np.random.default_rng(1)
    share, place = rng.uniform(0.5, 1, 40), rng.uniform(0, 1, (40, 2))
    first = place * (1 - share)[:, None] * [7, 8]
    expected = moved(lambda n, h, w: (first[n, 0] + share[n] * h, first[n, 1] + share[n] * w))
    np.testing.assert_allclose(drawn("crop", IMAGES, least=0.5), expected, rtol=1e-5, atol=1e-5)


def test_flip():
    flipped = drawn("flip", IMAGES)
    turned = [np.array_equal(image, before[:, :, ::-1]) for image, before in zip(flipped, IMAGES, strict=True)]
    kept = [np.array_equal(image, before) for image, before in zip(flipped, IMAGES, strict=True)]
    assert [*np.logical_xor(turned, kept)] == [True] * 40
    assert 10 < sum(turned) < 30


def test_rotation():
    angles = np.radians(np.random.default_rng(1).uniform(-30, 30, 40))

    def place(n, h, w):
        sine, cosine, y, x = np.sin(angles[n]), np.cos(angles[n]), h - 3.5, w - 4
        return 3.5 + cosine * y - sine * x, 4 + sine * y + cosine * x

    np.testing.assert_allclose(drawn("rotation", IMAGES, degrees=30), moved(place), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_cutout(side):
    cut = drawn("cutout", np.ones((200, 2, 8, 9)), side=side)
    possible = set()
    for row in range(8):
        for column in range(9):
            image = np.ones((2, 8, 9))
            image[:, max(row - side // 2, 0) : row - side // 2 + side, max(column - side // 2, 0) : column - side // 2 + side] = 0
            possible.add(image.tobytes())
    found = {image.tobytes() for image in cut}
    assert found <= possible
    assert len(found) > 0.8 * len(possible)


def test_mixup():
    images, probabilities = drawn("mixup", IMAGES, LABELS, classes=4)
    rng = np.random.default_rng(1)
    other, share = rng.permutation(40), rng.beta(0.2, 0.2, 40)
    for n in range(40):
        np.testing.assert_allclose(images[n], share[n] * IMAGES[n] + (1 - share[n]) * IMAGES[other[n]], rtol=1e-5, atol=1e-6)
        expected = np.zeros(4)
        expected[LABELS[n]] += share[n]
        expected[LABELS[other[n]]] += 1 - share[n]
        np.testing.assert_allclose(probabilities[n], expected, rtol=1e-5, atol=1e-6)
    assert images.dtype == probabilities.dtype == np.float32
    assert ((share > 0.1) & (share < 0.9)).sum() > 5


def test_the_smallest_augmentation_changes_nothing():
    for name, options in {"shift": dict(by=0), "crop": dict(least=1), "rotation": dict(degrees=0), "cutout": dict(side=0)}.items():
        np.testing.assert_allclose(drawn(name, IMAGES, **options), IMAGES, atol=1e-12)


BAD_INPUT = {
    "one image": ("shift", [IMAGES[0]], {}, "shift: expected images (N, C, H, W) of floats, got float32 of shape (2, 8, 9)"),
    "whole numbers": ("rotation", [IMAGES.astype(int)], {}, "rotation: expected images (N, C, H, W) of floats, got int64"),
    "a shift the other way": ("shift", [IMAGES], dict(by=-1), "shift: by is -1, expected 0 pixels or more"),
    "no part": ("crop", [IMAGES], dict(least=0), "crop: least is 0, expected a share of the sides above 0, up to 1"),
    "more than all": ("crop", [IMAGES], dict(least=1.5), "crop: least is 1.5"),
    "beyond a half turn": ("rotation", [IMAGES], dict(degrees=200), "rotation: degrees is 200, expected 0 to 180"),
    "a negative side": ("cutout", [IMAGES], dict(side=-2), "cutout: side is -2, expected 0 pixels or more"),
    "no such share": ("mixup", [IMAGES, LABELS, 4], dict(alpha=0), "mixup: alpha is 0, expected a number above 0"),
    "few classes": ("mixup", [IMAGES, LABELS, 3], {}, "mixup: labels from 0 to 3, expected 0 to 2"),
    "few labels": ("mixup", [IMAGES, LABELS[:3], 4], {}, "mixup: expected labels, 40 whole numbers, got int64 of shape (3,)"),
    "labels of images": ("mixup", [IMAGES, IMAGES, 4], {}, "mixup: expected labels, 40 whole numbers, got float32"),
}


@pytest.mark.parametrize(("name", "given", "options", "complaint"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_refused_in_one_line(name, given, options, complaint):
    with pytest.raises(ValueError, match=rf"^{re.escape(complaint)}[^\n]*\Z"):
        drawn(name, *given, **options)
