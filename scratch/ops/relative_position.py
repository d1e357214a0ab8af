"""Distances between positions, in buckets that are wider for larger distances."""

import math

import numpy as np

from scratch.contract import op
from scratch.module import Array, Backward


@op
def relative_position_bucket(
    relative_position: Array, bidirectional: bool = True, num_buckets: int = 32, max_distance: int = 128
) -> tuple[Array, Backward]:
    """Return the bucket of each relative position, key minus query, as in T5 (Raffel et al. 2020, section 2.1).

    Half of the buckets hold one distance each. The others grow logarithmically up to max_distance, and the last holds all
    larger distances. If bidirectional, the second half of all buckets is for keys after the query; else these keys have
    distance 0. There is no gradient.
    """
    count = num_buckets // 2 if bidirectional else num_buckets
    exact = count // 2
    if relative_position.dtype.kind != "i" or exact < 1 or max_distance <= exact or (bidirectional and num_buckets % 2):
        raise ValueError(
            "relative_position_bucket: expected signed whole numbers, num_buckets of at least "
            f"{4 if bidirectional else 2}, even if bidirectional, and a max_distance above {exact}, "
            f"got {relative_position.dtype}, {num_buckets} and {max_distance}"
        )
    relative_position = relative_position.astype(np.int64)  # so that no smaller dtype overflows
    distance = np.abs(relative_position) if bidirectional else np.maximum(-relative_position, 0)
    share = np.log(np.maximum(distance, exact) / exact) / math.log(max_distance / exact)  # from 0 at exact to 1 at max_distance
    far = np.minimum(exact + (share * (count - exact)).astype(np.int64), count - 1)
    bucket = np.where(distance < exact, distance, far)
    if bidirectional:
        bucket += count * (relative_position > 0)
    return bucket, lambda dy: None
