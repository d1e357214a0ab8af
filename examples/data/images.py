"""Images with labels: scikit-learn's digits and MNIST."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from examples.data.public_file import PublicFile
from scratch.module import Array

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
MNIST = tuple(
    PublicFile("mnist", name, md5, tuple(mirror + name for mirror in MIRRORS))
    for name, md5 in (
        ("train-images-idx3-ubyte.gz", "6bbc9ace898e44ae57da46a324031adb"),
        ("train-labels-idx1-ubyte.gz", "a25bea736e30d166cdddb491f175f624"),
        ("t10k-images-idx3-ubyte.gz", "2646ac647ad5339dbf082846283269ea"),
        ("t10k-labels-idx1-ubyte.gz", "27ae3e4e09519cfbb04c329615203637"),
    )
)


@dataclass(frozen=True)
class Dataset:
    """Training images and held-out test images (N, channels, H, W) in float32, with labels (N,) in int64."""

    name: str
    train_x: Array
    train_y: Array
    test_x: Array
    test_y: Array
    classes: int


def digits() -> Dataset:
    """Return scikit-learn's 1,797 handwritten digits of 8x8 pixels; the test set is always the same fifth of each class."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise ValueError(f'digits come with scikit-learn, which is missing ({error}): pip install "scikit-learn>=1.4"') from error
    images, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        images.reshape(-1, 8, 8), labels, test_size=0.2, stratify=labels, random_state=0
    )
    return _dataset("digits", train_x, train_y, test_x, test_y)


def mnist() -> Dataset:
    """Return MNIST: 60,000 + 10,000 handwritten digits of 28x28 pixels (LeCun et al. 1998); ValueError if a file is missing."""
    return _dataset("mnist", *(read_idx(file.read(), source=file.name) for file in MNIST))


def read_idx(content: bytes, source: str = "content") -> Array:
    """Return the array of uint8 that the bytes of an IDX file hold; ValueError if they are not such a file."""
    zero, kind, rank = struct.unpack_from(">HBB", content) if len(content) >= 4 else (None, None, 0)
    if (zero, kind) != (0, 8) or len(content) < 4 + 4 * rank:
        start = content[:16].hex(" ") or "nothing"
        raise ValueError(f"{source}: expected the header of an IDX file of bytes (00 00 08, the rank, the sizes), got {start}")
    shape = struct.unpack_from(f">{rank}I", content, 4)
    size = math.prod(shape)
    if len(content) != 4 + 4 * rank + size:
        raise ValueError(f"{source}: expected {size} bytes of data for shape {shape}, got {len(content) - 4 - 4 * rank}")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def untied(images: Array) -> Array:
    """Add noise of half a grey level to images, so that `parity check` can compare gradients on them.

    All pixels of a blank background are equal. Then rounding would decide which pixel of a max pooling window gets the gradient.
    """
    half = np.diff(np.unique(images)).min() / 2
    return images + np.random.default_rng(0).uniform(-half, half, images.shape).astype(images.dtype)


IMAGES = {"digits": digits, "mnist": mnist}  # the values of --data


def _dataset(name: str, train_x: Array, train_y: Array, test_x: Array, test_y: Array) -> Dataset:
    """Normalise all pixels by the mean and the standard deviation of the training images."""
    mean, deviation = train_x.mean(dtype=np.float64), train_x.std(dtype=np.float64)

    def images(x: Array) -> Array:
        x = x.reshape(len(x), 1, *x.shape[-2:]).astype(np.float32)
        x -= np.float32(mean)
        x /= np.float32(deviation)
        return x

    return Dataset(name, images(train_x), train_y.astype(np.int64), images(test_x), test_y.astype(np.int64), classes=10)
