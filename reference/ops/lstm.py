"""Long short-term memory (Hochreiter & Schmidhuber 1997)."""

import torch
from torch import Tensor

from reference.ops.recurrence import run_kernel


def lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    weight_hr: Tensor | None = None,
    counts: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer of torch.lstm in one direction."""
    y, (h, c) = run_kernel(torch.lstm, x, (h0, c0), counts, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr)
    return y, h, c
