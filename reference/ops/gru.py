"""Gated recurrent units (Cho et al. 2014)."""

import torch
from torch import Tensor

from reference.ops.recurrence import run_kernel


def gru(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    counts: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Run one layer of torch.gru in one direction."""
    y, (h,) = run_kernel(torch.gru, x, (h0,), counts, weight_ih, weight_hh, bias_ih, bias_hh)
    return y, h
