"""The call of torch's recurrent kernels that rnn, lstm and gru share."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

GATES: dict[Callable[..., Any], int] = {torch.rnn_tanh: 1, torch.rnn_relu: 1, torch.gru: 3, torch.lstm: 4}


def run_kernel(
    kernel: Callable[..., tuple[Tensor, ...]],
    x: Tensor,
    states: tuple[Tensor, ...],
    counts: Tensor | None,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    weight_hr: Tensor | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """Run one of torch's recurrent kernels over one layer; with `counts`, over a packed sequence with these batch sizes."""
    _check_shapes(kernel, x, states, counts, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr)
    (T, B, _), rows = x.shape, len(weight_ih)
    hx: Any = [state[None] for state in states]
    hx = hx if len(hx) > 1 else hx[0]
    biased = bias_ih is not None or bias_hh is not None
    biases = [x.new_zeros(rows) if bias is None else bias for bias in (bias_ih, bias_hh)] if biased else []
    given = [weight_ih, weight_hh, *biases, *([] if weight_hr is None else [weight_hr])]
    options = biased, 1, 0.0, False, False  # layers, dropout, training, both directions
    if counts is None:
        y, *ends = kernel(x, hx, given, *options, False)
        return y, [end[0] for end in ends]
    if counts.is_floating_point() or counts.long().diff().gt(0).any() or counts[0] != B or counts[-1] < 0:
        raise ValueError(f"expected counts that start at {B} and never increase, got {counts}")
    running = torch.arange(B) < counts[:, None]
    packed, *ends = kernel(x[running], counts[counts > 0].long().cpu(), hx, given, *options)
    y = packed.new_zeros(T, B, packed.shape[-1])
    return y.masked_scatter(running[:, :, None], packed), [end[0] for end in ends]


def _check_shapes(
    kernel: Callable[..., Any],
    x: Tensor,
    states: tuple[Tensor, ...],
    counts: Tensor | None,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    weight_hr: Tensor | None,
) -> None:
    """Raise ValueError unless the shapes fit each other: torch's kernels do not check, and would read outside their memory."""
    (T, B, I), width, H = x.shape, weight_hh.shape[1], len(weight_ih) // GATES[kernel]
    rows = H * GATES[kernel]
    expected: list[tuple[Tensor | None, tuple[int, ...]]] = []
    expected += [(weight_ih, (rows, I)), (weight_hh, (rows, H if weight_hr is None else width)), (weight_hr, (width, H))]
    expected += [(bias_ih, (rows,)), (bias_hh, (rows,)), (counts, (T,))]
    expected += [(states[0], (B, width)), *((state, (B, H)) for state in states[1:])]
    for tensor, shape in expected:
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"expected shapes that fit each other, got {tuple(tensor.shape)} in place of {shape}")
