"""Images of different sizes in one batch."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def pad_images(images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Pad images (C, h, w) with zeros on the right and below, to (N, C, H, W), and return a mask (N, H, W) of the real pixels."""
    H, W = (max(image.shape[axis] for image in images) for axis in (1, 2))

    def padded(images: Iterable[Tensor]) -> Tensor:
        return torch.stack([F.pad(image, (0, W - image.shape[-1], 0, H - image.shape[-2])) for image in images])

    return padded(images), padded(torch.ones_like(image[0], dtype=torch.bool) for image in images)
