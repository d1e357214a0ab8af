"""Images of unequal sizes, padded into one batch."""

from collections.abc import Sequence

import numpy as np

from scratch.checks import one_float_dtype
from scratch.contract import op
from scratch.module import Array, Backward


@op
def pad_images(images: Sequence[Array]) -> tuple[tuple[Array, Array], Backward]:
    """Pad images (C, h, w) with zeros to the right and below: to (N, C, H, W), and a mask (N, H, W) that is false in the padding.

    dimage = dy[:, :h, :w] at the image's place in the batch.
    """
    shapes = [image.shape for image in images]
    if not shapes or any(len(shape) != 3 or shape[0] != shapes[0][0] or shape[0] < 1 for shape in shapes):
        came = ", ".join(map(str, shapes)) or "none"
        raise ValueError(f"pad_images: expected images (C, h, w) of one number of channels, got {came}; C is at least 1")
    one_float_dtype("pad_images", **{f"image {i}": image for i, image in enumerate(images)})
    C, H, W = np.max(shapes, axis=0)
    padded, present = np.zeros((len(images), C, H, W), images[0].dtype), np.zeros((len(images), H, W), bool)
    for i, image in enumerate(images):
        _, h, w = image.shape
        padded[i, :, :h, :w] = image
        present[i, :h, :w] = True
    return (padded, present), lambda dpadded: [dx[:, :h, :w] for dx, (_, h, w) in zip(dpadded, shapes, strict=True)]
