"""The Dice loss (Milletari, Navab & Ahmadi 2016, section 3)."""

from torch import Tensor
from torch.nn import functional as F


def dice_loss(input: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """Return 1 minus the mean Dice coefficient of the classes, over all pixels of the batch.

    The target holds labels, or a probability for each class.
    """
    if not target.is_floating_point():
        target = F.one_hot(target.long(), input.shape[1]).movedim(-1, 1).to(input.dtype)
    pixels = (0, *range(2, input.dim()))
    overlap = 2 * (input * target).sum(pixels)
    total = input.square().sum(pixels) + target.square().sum(pixels)
    return 1 - ((overlap + smooth) / (total + smooth)).mean()
