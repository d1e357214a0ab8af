"""Recurrent layers of torch for padded batches of sequences with their lengths."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class RNN(nn.RNN):
    """Layer nn.RNN that takes lengths (B,)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ):
        super().__init__(input_size, hidden_size, num_layers, nonlinearity, bias, batch_first, dropout, bidirectional)

    def forward(  # type: ignore[override]
        self, x: Tensor, hx: Tensor | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        return over_lengths(super().forward, self.batch_first, x, hx, lengths)


class LSTM(nn.LSTM):
    """Layer nn.LSTM that takes lengths (B,)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
    ):
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)

    def forward(  # type: ignore[override]
        self, x: Tensor, hx: tuple[Tensor, Tensor] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return over_lengths(super().forward, self.batch_first, x, hx, lengths)


class GRU(nn.GRU):
    """Layer nn.GRU that takes lengths (B,)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ):
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)

    def forward(  # type: ignore[override]
        self, x: Tensor, hx: Tensor | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        return over_lengths(super().forward, self.batch_first, x, hx, lengths)


def over_lengths(forward: Any, batch_first: bool, x: Tensor, hx: Any, lengths: Tensor | None) -> Any:
    """Pack sequences by their lengths, call a recurrent layer's forward, and pad the result."""
    if lengths is None:
        return forward(x, hx)
    packed = pack_padded_sequence(x, lengths.to("cpu", torch.int64), batch_first, enforce_sorted=False)
    if hx is not None:  # with packed sequences torch does not check the states, and its kernels read outside their memory
        forward.__self__.check_forward_args(packed.data, hx, packed.batch_sizes)
    y, states = forward(packed, hx)
    y, _ = pad_packed_sequence(y, batch_first, total_length=x.shape[1 if batch_first else 0])
    return y, states
