"""Mistakes in dropout, under the mask that torch's would have."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.mistakes.graft import graft


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, change: str) -> Tensor:
    """Dropout with one change."""
    keep = F.dropout(torch.ones_like(input), p, training) != 0
    if not training or p in (0, 1):
        return input * keep
    scaled = input * keep / (1 - p)
    return {
        "not scaled": lambda: input * keep,
        "scaled by 1 - p": lambda: input * keep * (1 - p),
        "scaled by 1 / p": lambda: input * keep / p,
        "kept with p": lambda: input * ~keep / (1 - p),
        "kept with p, scaled by 1 / p": lambda: input * ~keep / p,
        "gradient not masked": lambda: graft(scaled, input / (1 - p)),
        "gradient not scaled": lambda: graft(scaled, input * keep),
        "gradient left alone": lambda: graft(scaled, input),
        "another mask": lambda: graft(scaled, F.dropout(input, p, training)),
    }[change]()


TABLE: dict[str, list[tuple[str, Callable[..., Tensor]]]] = {
    "dropout": [
        (text, partial(dropout, change=change))
        for change, text in {
            "not scaled": "does not scale what it keeps by 1 / (1 - p)",
            "scaled by 1 - p": "scales what it keeps by 1 - p; in training that is 1 / (1 - p)",
            "scaled by 1 / p": "scales what it keeps by 1 / p; p is the probability of being dropped",
            "kept with p": "keeps with probability p; p is the probability of being dropped",
            "kept with p, scaled by 1 / p": "keeps with probability p and scales by 1 / p; p is the probability of being dropped",
            "gradient not masked": "does not mask the gradient",
            "gradient not scaled": "does not scale the gradient by 1 / (1 - p)",
            "gradient left alone": "neither masks nor scales the gradient",
            "another mask": "draws another mask for the backward",
        }.items()
    ],
}
