"""Mistakes in the positions of transformers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.graft import graft


def angles(positions: Tensor, width: int, base: float, change: str) -> Tensor:
    """The angle of each position and pair (..., width / 2), with one change."""
    base = {"base 1000": 1000.0, "base 10000": 10000.0, "base 500000": 500000.0}.get(change, base)
    pair = torch.arange(0, width, 2, dtype=torch.float64)
    exponents = {
        "half the exponents": pair / 2 / width,
        "twice the exponents": 2 * pair / width,
        "one too few": pair / max(width - 2, 1),
        "from 1": (pair + 2) / width,
    }.get(change, pair / width)
    at = 0 * positions if change == "all at 0" else positions + {"one late": 1, "one early": -1}.get(change, 0)
    return at[..., None] * base ** (exponents if change == "upside down" else -exponents)


def sinusoidal_positions(x: Tensor, positions: Tensor, base: float = 10000.0, *, change: str = "") -> Tensor:
    """Sines and cosines with one change."""
    width = x.shape[-1]
    turns = angles(positions, width, base, change)
    parts = (turns.cos(), turns.sin()) if change == "swapped" else (turns.sin(), turns.cos())
    parts = (turns.sin(), turns.sin()) if change == "sines alone" else parts
    table = torch.cat(parts, -1) if change == "halves" else torch.stack(parts, -1).flatten(-2)
    table = table[..., :width].to(x.dtype)
    if change == "in place of x":
        return graft(table.expand_as(x), x)
    return x * math.sqrt(width) + table if change == "scaled" else x + table


def rotary(x: Tensor, positions: Tensor, base: float = 10000.0, interleaved: bool = False, *, change: str = "") -> Tensor:
    """Rotations with one change."""
    width = x.shape[-1]
    turns = angles(positions, width, base, change)
    cos, sin = turns.cos().to(x.dtype), turns.sin().to(x.dtype)
    cos, sin = (sin, cos) if change == "swapped" else (cos, sin)
    if change == "other form":
        interleaved = not interleaved
    if change == "halves with repeated angles":  # those of the interleaved form on the pairs of halves, or the other way round
        full_cos, full_sin = (t.repeat_interleave(2, -1) if not interleaved else torch.cat((t, t), -1) for t in (cos, sin))
        return x * full_cos + _partners(x, interleaved) * full_sin
    backward_sin = {"not turned back": -sin, "cosine alone": 0 * sin}.get(change, sin)
    sin = -sin if change == "other way" else sin
    backward_sin = sin if change == "other way" else backward_sin
    return graft(_turned(x, cos, sin, interleaved), _turned(x, cos, backward_sin, interleaved))


def _turned(x: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    first, second = (x[..., 0::2], x[..., 1::2]) if interleaved else x.chunk(2, -1)
    pairs = first * cos - second * sin, first * sin + second * cos
    return torch.stack(pairs, -1).flatten(-2) if interleaved else torch.cat(pairs, -1)


def _partners(x: Tensor, interleaved: bool) -> Tensor:
    """What the sine multiplies: the other number of each pair, the first one's negated."""
    first, second = (x[..., 0::2], x[..., 1::2]) if interleaved else x.chunk(2, -1)
    return torch.stack((-second, first), -1).flatten(-2) if interleaved else torch.cat((-second, first), -1)


def relative_position_bucket(
    relative_position: Tensor, bidirectional: bool = True, num_buckets: int = 32, max_distance: int = 128, *, change: str = ""
) -> Tensor:
    """T5's buckets with one change."""
    relative = -relative_position if change == "query minus key" else relative_position
    bidirectional = bidirectional != (change == "other direction")
    max_distance = 128 if change == "max_distance 128" else max_distance
    num_buckets = 32 if change == "num_buckets 32" else num_buckets
    half = num_buckets // 2
    count = half if bidirectional and change != "not halved" else num_buckets
    exact = {"exact": count, "exact / 2": count // 4, "exact - 1": count // 2 - 1, "exact + 1": count // 2 + 1}.get(
        change, count // 2
    )
    distance = relative.abs() if bidirectional or change == "no clamp" else (-relative).clamp(min=0)
    share = (distance.clamp(min=1).double() / exact).log() / math.log(max_distance / exact)
    steps = share * (count - exact)
    far = (
        exact
        + (change == "one far")
        + (steps.round() if change == "rounded" else steps.ceil() if change == "rounded up" else steps).long()
    )
    far = far.clamp(max=count if change == "one bucket more" else count - 2 if change == "one bucket fewer" else count - 1)
    bucket = distance.clamp(max=count - 1) if change == "no logarithm" else torch.where(distance < exact, distance, far)
    if bidirectional and change != "sides alike":
        after = relative <= 0 if change == "sides swapped" else relative >= 0 if change == "0 among later" else relative > 0
        bucket = bucket + after * (num_buckets if change == "not halved" else half)
    return bucket


def interpolate_positions(positions: Tensor, grid: tuple[int, int], size: tuple[int, int], *, change: str = "") -> Tensor:
    """Another grid's positions with one change."""
    (h, w), (H, W) = grid, size
    first, table = positions.tensor_split([positions.shape[1] - h * w], dim=1)
    image = table.unflatten(1, (w, h) if change == "columns first" else (h, w)).permute(0, 3, 1, 2)
    if change == "cut":  # or repeated from its beginning
        return torch.cat((first, table.repeat(1, -(-H * W // (h * w)), 1)[:, : H * W]), dim=1)
    options = {
        "bilinear": {"mode": "bilinear"},
        "nearest": {"mode": "nearest"},
        "corners": {"mode": "bicubic", "align_corners": True},
        "bilinear corners": {"mode": "bilinear", "align_corners": True},
        "smoothed": {"mode": "bicubic", "antialias": True},
    }.get(change, {"mode": "bicubic"})
    resized = F.interpolate(image, size, **options)  # type: ignore[arg-type]
    return torch.cat((first, resized.flatten(2).transpose(1, 2)), dim=1)


def _with(function: Callable[..., Tensor], texts: dict[str, str]) -> list[tuple[str, Callable[..., Tensor]]]:
    return [(text, partial(function, change=change)) for change, text in texts.items()]


_of_angles = {
    "one late": "takes every position for the next one: positions are off by one",
    "one early": "takes every position for the one before: positions are off by one",
    "all at 0": "takes every position for 0",
    "base 1000": "takes base = 1000",
    "base 10000": "takes the default base, 10000",
    "base 500000": "takes base = 500000",
    "half the exponents": "takes i / D for the exponent of the base, which is 2i / D",
    "twice the exponents": "takes 4i / D for the exponent of the base, which is 2i / D",
    "one too few": "takes 2i / (D - 2) for the exponent of the base, which is 2i / D",
    "from 1": "counts the pairs from 1; the first has the exponent 0",
    "upside down": "multiplies by the power of the base; it divides by it",
}

TABLE: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "interpolate_positions": _with(
        interpolate_positions,
        {
            "cut": "does not interpolate: takes as many positions from the beginning of the table as there are patches",
            "columns first": "takes the width of the grid for its height",
            "bilinear": "interpolates linearly; it is by cubic convolution",
            "nearest": "takes the nearest position; it interpolates by cubic convolution",
            "corners": "aligns the corners of both grids; their edges are aligned",
            "bilinear corners": "interpolates linearly between aligned corners; it is by cubic convolution between aligned edges",
            "smoothed": "smooths what it makes smaller (antialias)",
        },
    ),
    "sinusoidal_positions": _with(
        sinusoidal_positions,
        {
            "swapped": "swaps sines and cosines: the sines belong at even places",
            "halves": "has the sines in the first half and the cosines in the second; they take turns",
            "sines alone": "has a sine in place of each cosine",
            "in place of x": "returns the table; it is added to x",
            "scaled": "multiplies x by √D first, which is for the embedding to do",
            **_of_angles,
        },
    ),
    "rotary": _with(
        rotary,
        {
            "other form": "pairs the numbers as the other form does: see interleaved",
            "halves with repeated angles": "pairs the numbers in one form and takes the angles in the order of the other",
            "other way": "turns the other way: the sine has the wrong sign",
            "swapped": "swaps sines and cosines",
            "not turned back": "turns the gradient forward; it is to be turned back by the same angle",
            "cosine alone": "leaves the sine out of the backward",
            **_of_angles,
        },
    ),
    "relative_position_bucket": _with(
        relative_position_bucket,
        {
            "query minus key": "takes query minus key for the relative position, which is key minus query",
            "other direction": "is bidirectional where it should not be, or the other way round",
            "not halved": "does not halve the buckets though they are bidirectional",
            "exact": "gives every bucket one distance: no buckets are left for the far ones",
            "exact / 2": "gives a quarter of the buckets one distance each; it is half of them",
            "exact - 1": "gives one bucket too few a distance of its own",
            "exact + 1": "gives one bucket too many a distance of its own",
            "one far": "puts far distances into the bucket after theirs: off by one",
            "rounded": "rounds the number of the far bucket; it is cut off",
            "rounded up": "rounds the number of the far bucket up; it is cut off",
            "one bucket more": "has one far bucket more than there are",
            "one bucket fewer": "leaves the last bucket empty",
            "no logarithm": "has no far buckets: distances beyond the last bucket are cut off",
            "no clamp": "takes later keys for earlier ones at the same distance; causal ones have distance 0",
            "max_distance 128": "takes the default max_distance, 128",
            "num_buckets 32": "takes the default num_buckets, 32",
            "sides alike": "gives keys before and after the query the same buckets",
            "sides swapped": "swaps the buckets of keys before and after the query",
            "0 among later": "puts the query's own position among the later keys",
        },
    ),
}
