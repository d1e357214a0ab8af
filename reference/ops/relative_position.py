"""Buckets of relative positions (Raffel et al. 2020, section 2.1)."""

import math

import torch
from torch import Tensor
from torch.overrides import wrap_torch_function


@wrap_torch_function(lambda relative_position, *others, **options: (relative_position,))
def relative_position_bucket(
    relative_position: Tensor, bidirectional: bool = True, num_buckets: int = 32, max_distance: int = 128
) -> Tensor:
    """Return the bucket of each relative position (key minus query): T5 has fewer buckets for larger distances."""
    relative_position = relative_position.long()  # in int8, the absolute value of -128 is -128
    buckets = torch.zeros_like(relative_position)
    if bidirectional:
        num_buckets //= 2
        buckets += (relative_position > 0) * num_buckets
        distance = relative_position.abs()
    else:
        distance = (-relative_position).clamp(min=0)
    exact = num_buckets // 2
    share = torch.log(distance.clamp(min=1).double() / exact) / math.log(max_distance / exact)  # 0 at exact, 1 at max_distance
    far = exact + (share * (num_buckets - exact)).long()
    return buckets + torch.where(distance < exact, distance, far.clamp(max=num_buckets - 1))
