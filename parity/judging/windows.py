"""The windows of a pooling, as PyTorch tensors."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F


def windows(input: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, value: float) -> Tensor:
    """Return the input numbers of each output of a pooling: (..., OH, OW, KH * KW)."""
    stride = stride or kernel_size
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = (
        v if isinstance(v, tuple | list) else (v, v) for v in (kernel_size, stride, padding, dilation)
    )
    padded = F.pad(input, (pw, pw, ph, ph), value=value)
    seen = padded.unfold(-2, dh * (kh - 1) + 1, sh).unfold(-2, dw * (kw - 1) + 1, sw)
    return seen[..., ::dh, ::dw].flatten(-2)
