"""Mistakes in T5's buckets of relative positions."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from parity.mistakes.register import definition, mistake

wrong_bucket = partial(mistake, "relative_position_bucket")


def floored(steps: Tensor) -> Tensor:
    """Round down to the number of a bucket."""
    return steps.long()


def joined(distance: Tensor, far: Tensor, exact: int, count: int) -> Tensor:
    """Return the bucket of each distance: one of its own below `exact`, a shared one beyond."""
    return torch.where(distance < exact, distance, far.clamp(max=count - 1))


@definition("relative_position_bucket")
def relative_position_bucket(
    relative_position: Tensor,
    bidirectional: bool = True,
    num_buckets: int = 32,
    max_distance: int = 128,
    *,
    one_side: Callable[[int], int] = lambda num_buckets: num_buckets // 2,
    exact: Callable[[int], int] = lambda count: count // 2,
    earlier: Callable[[Tensor], Tensor] = lambda relative: (-relative).clamp(min=0),
    rounded: Callable[[Tensor], Tensor] = floored,
    joined: Callable[[Tensor, Tensor, int, int], Tensor] = joined,
    after: Callable[[Tensor], Tensor] = lambda relative: relative > 0,
) -> Tensor:
    """Compute the buckets in stages."""
    count = one_side(num_buckets) if bidirectional else num_buckets
    limit = exact(count)
    distance = relative_position.abs() if bidirectional else earlier(relative_position)
    share = (distance.clamp(min=1).double() / limit).log() / math.log(max_distance / limit)
    bucket = joined(distance, limit + rounded(share * (count - limit)), limit, count)
    return bucket + after(relative_position) * one_side(num_buckets) if bidirectional else bucket


@wrong_bucket("uses query minus key as the relative position; it is key minus query")
def query_minus_key(
    relative_position: Tensor, bidirectional: bool = True, num_buckets: int = 32, max_distance: int = 128
) -> Tensor:
    return relative_position_bucket(-relative_position, bidirectional, num_buckets, max_distance)


@wrong_bucket("treats the attention as bidirectional where it is causal, or as causal where it is bidirectional")
def other_direction(
    relative_position: Tensor, bidirectional: bool = True, num_buckets: int = 32, max_distance: int = 128
) -> Tensor:
    return relative_position_bucket(relative_position, not bidirectional, num_buckets, max_distance)


@wrong_bucket("does not halve the number of buckets, though keys before and after the query share them", "one_side")
def not_halved(num_buckets: int) -> int:
    return num_buckets


@wrong_bucket("gives every bucket one distance: no buckets are left for large distances", "exact")
def all_exact(count: int) -> int:
    return count


@wrong_bucket("gives one distance each to a quarter of the buckets; it is half of them", "exact")
def quarter_exact(count: int) -> int:
    return count // 4


@wrong_bucket("gives one bucket too few a distance of its own", "exact")
def one_exact_less(count: int) -> int:
    return count // 2 - 1


@wrong_bucket("gives one bucket too many a distance of its own", "exact")
def one_exact_more(count: int) -> int:
    return count // 2 + 1


@wrong_bucket("puts large distances into the bucket after theirs: off by one", "rounded")
def one_bucket_late(steps: Tensor) -> Tensor:
    return steps.long() + 1


@wrong_bucket("rounds the number of a large distance's bucket to the nearest; it is rounded down", "rounded")
def rounded_to_nearest(steps: Tensor) -> Tensor:
    return steps.round().long()


@wrong_bucket("rounds the number of a large distance's bucket up; it is rounded down", "rounded")
def rounded_up(steps: Tensor) -> Tensor:
    return steps.ceil().long()


@wrong_bucket("uses one bucket more than num_buckets", "joined")
def one_bucket_more(distance: Tensor, far: Tensor, exact: int, count: int) -> Tensor:
    return torch.where(distance < exact, distance, far.clamp(max=count))


@wrong_bucket("leaves the last bucket empty", "joined")
def one_bucket_fewer(distance: Tensor, far: Tensor, exact: int, count: int) -> Tensor:
    return torch.where(distance < exact, distance, far.clamp(max=count - 2))


@wrong_bucket("has no buckets for large distances: it clips each distance to the last bucket", "joined")
def no_logarithm(distance: Tensor, far: Tensor, exact: int, count: int) -> Tensor:
    return distance.clamp(max=count - 1)


@wrong_bucket("treats later keys like earlier ones at the same distance; in causal attention later keys have distance 0", "earlier")
def later_as_earlier(relative: Tensor) -> Tensor:
    return relative.abs()


@wrong_bucket("uses the default max_distance, 128")
def default_max_distance(
    relative_position: Tensor, bidirectional: bool = True, num_buckets: int = 32, max_distance: int = 128
) -> Tensor:
    return relative_position_bucket(relative_position, bidirectional, num_buckets, 128)


@wrong_bucket("uses the default num_buckets, 32")
def default_num_buckets(
    relative_position: Tensor, bidirectional: bool = True, num_buckets: int = 32, max_distance: int = 128
) -> Tensor:
    return relative_position_bucket(relative_position, bidirectional, 32, max_distance)


@wrong_bucket("puts keys before and after the query into the same buckets", "after")
def sides_alike(relative: Tensor) -> Tensor:
    return torch.zeros_like(relative)


@wrong_bucket("swaps the buckets of keys before and after the query", "after")
def sides_swapped(relative: Tensor) -> Tensor:
    return relative <= 0


@wrong_bucket("counts the query's own position among the later keys", "after")
def own_position_later(relative: Tensor) -> Tensor:
    return relative >= 0
