"""Mistakes in padding with zeros."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.graft import graft


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None, *, change: str = "") -> Tensor:
    """Padding with one change in how much there is before and behind, or in which part the gradient comes from."""
    before, behind = pad[::2], pad[1::2]
    both = [(n + m) // 2 for n, m in zip(before, behind, strict=True)]
    sides = {
        "other side": (behind, before),
        "both sides": (both, [n + m - half for n, m, half in zip(before, behind, both, strict=True)]),
        "other side's gradient": (behind, before),
    }.get(change, (before, behind))
    wrong = F.pad(input, [n for pair in zip(*sides, strict=True) for n in pair], mode, value)
    return graft(F.pad(input, pad, mode, value), wrong) if change.endswith("gradient") else wrong


def pad_with_edge(input: Tensor, pad: Sequence[int], **options: Any) -> Tensor:
    """Padding that repeats what it begins at."""
    return F.pad(input, pad, "replicate")


TABLE: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "pad": [
        ("pads before where it is to pad behind, and behind for before", partial(pad, change="other side")),
        ("repeats the edge rather than padding with zeros", pad_with_edge),
        ("shares the padding between both sides", partial(pad, change="both sides")),
        ("takes the gradient of the padding for that of the input", partial(pad, change="other side's gradient")),
    ]
}
