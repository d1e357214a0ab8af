"""Mistakes in joining tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from parity.mistakes.register import mistake


@mistake("cat", "joins the tensors in reverse order")
def reversed_order(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    return torch.cat(list(tensors)[::-1], dim)
