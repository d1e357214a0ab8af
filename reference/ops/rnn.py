"""The simple recurrent network (Elman 1990)."""

import torch
from torch import Tensor

from reference.ops.recurrence import run_kernel


def rnn(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    counts: Tensor | None = None,
    nonlinearity: str = "tanh",
) -> tuple[Tensor, Tensor]:
    """Run one layer of torch.rnn_tanh or torch.rnn_relu in one direction."""
    y, (h,) = run_kernel(
        {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}[nonlinearity], x, (h0,), counts, weight_ih, weight_hh, bias_ih, bias_hh
    )
    return y, h
