"""Learned positions for images of another size."""

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import wrap_torch_function


@wrap_torch_function(lambda positions, *others, **options: (positions,))
def interpolate_positions(positions: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Resize a table of positions (1, P + h w, D) for a grid (h, w) of patches to a grid (H, W), by bicubic interpolation.

    The first P positions belong to no patch and stay as they are.
    """
    if tuple(grid) == tuple(size):
        return positions
    h, w = grid
    first, table = positions.tensor_split([positions.shape[1] - h * w], dim=1)
    image = table.unflatten(1, (h, w)).permute(0, 3, 1, 2)
    resized = F.interpolate(image, tuple(size), mode="bicubic", align_corners=False)
    return torch.cat((first, resized.flatten(2).transpose(1, 2)), dim=1)
